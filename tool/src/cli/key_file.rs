//! Public keys in files.
//!
//! In: `KID=FILE`, or a path. Out: the kid and the path, or the key; or [`BadInput`] if the file is not a key. The kid
//! ends at the first `=`, so the path may have more of them. A kid with a `=` can only be given in a configuration.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::Context;

use super::failure::BadInput;
use super::input;
use zonegate::token::PublicKey;

/// The largest key that the gate accepts is under 2 KiB as PEM; there may be text around it.
const MAX_KEY: usize = 64 * 1024;

/// The value of `--public-key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyFile {
    pub(super) kid: String,
    pub(super) path: PathBuf,
}

impl FromStr for KeyFile {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((kid, path)) if !kid.is_empty() && !path.is_empty() => {
                Ok(Self { kid: kid.to_owned(), path: path.into() })
            }
            _ => Err("give the kid and the file with its key, for example key-1=key-1.pub.pem"),
        }
    }
}

impl KeyFile {
    /// Reads the key.
    pub(super) fn read(&self) -> anyhow::Result<PublicKey> {
        public_key(&self.path)
    }
}

/// Reads the public key at `path`.
pub(super) fn public_key(path: &Path) -> anyhow::Result<PublicKey> {
    // It may be a private key by mistake, so the bytes are wiped.
    let bytes = input::secret(path, MAX_KEY, "public key")?;
    PublicKey::from_pem_bytes(&bytes)
        .with_context(|| BadInput(format!("{} is not a public key", input::name(path))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kid_ends_at_the_first_equals_sign() {
        let key_file = |kid: &str, path: &str| Ok(KeyFile { kid: kid.into(), path: path.into() });
        assert_eq!("1=key.pem".parse(), key_file("1", "key.pem"));
        assert_eq!("k=d=x/key.pem".parse(), key_file("k", "d=x/key.pem"));
        assert_eq!("k==".parse(), key_file("k", "="));
        for text in ["", "key.pem", "=key.pem", "k="] {
            assert!(text.parse::<KeyFile>().is_err(), "{text:?}");
        }
    }
}
