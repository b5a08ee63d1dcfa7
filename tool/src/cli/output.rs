//! Where the result of a verb goes.
//!
//! In: the result, and a path or `-` for standard output. Out: a new file, or the text on standard output. An existing
//! file is left unchanged; a failed write leaves no file. Whether the folder is safe for a secret is not checked.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use super::failure::warn;

/// Where a new file goes.
#[derive(Args)]
pub(super) struct Output {
    /// New file to write, or - for standard output; an existing file is never replaced
    #[arg(long, value_name = "FILE", default_value = "-")]
    output_file: PathBuf,
    /// Former name of --output-file
    #[arg(long, value_name = "FILE", hide = true, conflicts_with = "output_file")]
    output: Option<PathBuf>,
}

/// Warns that the flag now names a format. It still works with a file.
pub(super) fn hint_at_output_file(flag: &str) {
    warn(&format!(
        "{flag} FILE is now --output-file FILE, because -o is a format in all commands; the old flag still works"
    ));
}

/// Who may read the result.
#[derive(Clone, Copy)]
pub(super) enum Secrecy {
    /// Its owner only.
    Secret,
    /// Everyone.
    Public,
}

impl Output {
    /// Writes `text`.
    pub(super) fn write(&self, text: &str, secrecy: Secrecy) -> anyhow::Result<()> {
        let file = match &self.output {
            Some(file) => {
                hint_at_output_file("--output");
                file
            }
            None => &self.output_file,
        };
        if file == Path::new("-") {
            return print(text).context("could not write to standard output");
        }
        let path = file.display();
        match create(file, secrecy) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                Err(error).with_context(|| {
                    format!(
                        "{path} is left as it is: give another --output-file, or move it away first"
                    )
                })
            }
            Err(error) => Err(error).with_context(|| format!("could not create {path}")),
            Ok(new) => fill(new, file, text)
                .with_context(|| format!("could not write {path}; it is removed again")),
        }
    }
}

/// Prints `text` to standard output.
///
/// kumactl does not end a token or a key in base64 with a line break. Nor does this, except on a terminal, where the
/// next prompt would follow on the same line.
///
/// Colours are removed if standard output is no terminal, or if NO_COLOR asks for it. A closed pipe is no error: a
/// reader such as `head` or `grep -q` may have read enough.
pub(super) fn print(text: &str) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    let end = if io::stdout().is_terminal() && !text.ends_with('\n') { "\n" } else { "" };
    let written = out
        .write_all(text.as_bytes())
        .and_then(|()| out.write_all(end.as_bytes()))
        .and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Prints a line about progress.
macro_rules! say {
    ($($text:tt)*) => {
        $crate::cli::output::line(format_args!($($text)*))
    };
}
pub(super) use say;

/// As [`print()`], but ignores errors.
pub(super) fn line(text: std::fmt::Arguments<'_>) {
    let _ = print(&format!("{text}\n"));
}

/// Creates the file with its mode, so that others cannot open it at any moment.
fn create(path: &Path, secrecy: Secrecy) -> io::Result<File> {
    let mode = match secrecy {
        Secrecy::Secret => 0o600,
        Secrecy::Public => 0o644,
    };
    OpenOptions::new().write(true).create_new(true).mode(mode).open(path)
}

fn fill(mut file: File, path: &Path, text: &str) -> io::Result<()> {
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    if written.is_err() {
        // The first error is the one to report.
        let _ = fs::remove_file(path);
    }
    written
}
