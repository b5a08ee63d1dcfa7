//! Where a verb's result goes.
//!
//! In: the result, and a path or `-` for standard output. Out: a new file, or the text on standard
//! output. A file that is there already is left as it is; a write that fails leaves no file. Whether
//! the folder is safe for a secret is not checked.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

/// The flag `--output`.
#[derive(Args)]
pub(super) struct Output {
    /// New file to write, or - for standard output; an existing file is never replaced
    #[arg(long, value_name = "FILE", default_value = "-")]
    output: PathBuf,
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
        if self.output == Path::new("-") {
            return print(text).context("could not write to standard output");
        }
        let path = self.output.display();
        match create(&self.output, secrecy) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                Err(error).with_context(|| {
                    format!("{path} is left as it is: give another --output, or move it away first")
                })
            }
            Err(error) => Err(error).with_context(|| format!("could not create {path}")),
            Ok(file) => fill(file, &self.output, text)
                .with_context(|| format!("could not write {path}; it is removed again")),
        }
    }
}

/// kumactl ends neither a token nor a key in base64 with a line break. Nor do we, except where a
/// person's next prompt would be glued to it.
///
/// Colours of `text` are taken out where standard output is no terminal, and where NO_COLOR asks for
/// it.
pub(super) fn print(text: &str) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes())?;
    if io::stdout().is_terminal() && !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    out.flush()
}

/// The mode is set as the file comes to be: there is no moment in which others could open it.
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
        // The error that matters is the first one.
        let _ = fs::remove_file(path);
    }
    written
}
