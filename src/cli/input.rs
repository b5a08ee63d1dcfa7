//! Reads a signing key for a verb.
//!
//! In: a path, or `-` for standard input. Out: the key, or why there is none. Never more than
//! [`MAX_BYTES`] are read, so a wrong path is an error and not a full memory. Who else may read the
//! file is not checked.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anyhow::Context;
use zeroize::Zeroizing;

use super::failure::BadInput;
use crate::issuer::SigningKey;

/// The largest key that the gate takes is under 7 KiB as PEM, under 9 as base64 of PEM.
const MAX_BYTES: usize = 64 * 1024;
/// One more, to see that there is more.
const ROOM: usize = MAX_BYTES + 1;

/// Reads the signing key at `path`.
pub(super) fn signing_key(path: &Path) -> anyhow::Result<SigningKey> {
    let name = name(path);
    let bytes = read(path).with_context(|| format!("could not read the signing key {name}"))?;
    let not_a_key = || BadInput(format!("{name} is not a signing key"));
    if bytes.len() > MAX_BYTES {
        let limit = format!("it is larger than {} KiB", MAX_BYTES / 1024);
        return Err(anyhow::anyhow!(limit).context(not_a_key()));
    }
    let text =
        std::str::from_utf8(&bytes).ok().context("it is not text").with_context(not_a_key)?;
    SigningKey::from_text(text).with_context(not_a_key)
}

fn name(path: &Path) -> String {
    match is_standard_input(path) {
        true => "on standard input".to_owned(),
        false => path.display().to_string(),
    }
}

fn is_standard_input(path: &Path) -> bool {
    path == Path::new("-")
}

/// What is there, or the first [`ROOM`] bytes of it.
fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut source: Box<dyn Read> = match is_standard_input(path) {
        true => Box::new(io::stdin().lock()),
        false => Box::new(File::open(path)?),
    };
    // All the room at once: a buffer that grows leaves copies of the key behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(ROOM));
    source.by_ref().take(ROOM as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}
