//! The release of Kuma's programs.
//!
//! In: the output of `kuma-cp version`. Out: a [`Release`], with the features of the release. Releases before 2.11 and
//! after 2.14 are read as well, but their features were not checked.

use std::fmt;
use std::path::Path;
use std::process::Command;
use std::str::FromStr;

use anyhow::{Context, anyhow, ensure};

/// A release, for example 2.14.3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    major: u32,
    minor: u32,
    text: String,
}

impl Release {
    /// The release of this kuma-cp.
    ///
    /// # Errors
    /// It cannot be run, or its output is not a version.
    pub(super) fn of(kuma_cp: &Path) -> anyhow::Result<Self> {
        let output = Command::new(kuma_cp).arg("version").env_clear().output();
        let output = output.with_context(|| format!("running {}", kuma_cp.display()))?;
        ensure!(output.status.success(), "kuma-cp version: {}", output.status);
        String::from_utf8_lossy(&output.stdout).parse()
    }

    /// Whether it is older than the first release of `major.minor`.
    pub fn is_before(&self, major: u32, minor: u32) -> bool {
        (self.major, self.minor) < (major, minor)
    }

    /// Whether the admin interface of kuma-dp's Envoy is at a socket. Before 2.14, every proxy has it at TCP port 9901,
    /// unless its resource names another port.
    pub fn has_admin_socket(&self) -> bool {
        !self.is_before(2, 14)
    }

    /// Whether kuma-dp has one folder for all its files. Before 2.12, it has one for configurations and one for
    /// sockets.
    pub(super) fn has_work_dir(&self) -> bool {
        !self.is_before(2, 12)
    }

    /// The flag of kuma-dp for the folder of its files.
    pub(super) fn work_dir_flag(&self) -> &'static str {
        match self.has_work_dir() {
            true => "--work-dir",
            false => "--config-dir",
        }
    }
}

impl FromStr for Release {
    type Err = anyhow::Error;

    /// The last word is the version: `Kuma: 2.14.3`.
    fn from_str(said: &str) -> anyhow::Result<Self> {
        let text = said.split_whitespace().next_back().context("kuma-cp has no version")?;
        let mut numbers = text.split('.').map(str::parse::<u32>);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => Ok(Self { major, minor, text: text.to_owned() }),
            _ => Err(anyhow!("kuma-cp has the version {text:?}, which is no release")),
        }
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use super::*;

    #[test]
    fn a_release_is_read_and_compared_by_its_numbers() {
        let release: Release = "Kuma: 2.9.13\n".parse().unwrap();
        assert_eq!(release.to_string(), "2.9.13");
        assert!(release.is_before(2, 10) && release.is_before(3, 0));
        assert!(!release.is_before(2, 9) && !release.is_before(1, 99));
        assert!("Kuma: unknown".parse::<Release>().is_err());
    }
}
