//! Reads the inputs of a verb.
//!
//! In: a path, or `-` for standard input. Out: the contents, or [`BadInput`], because a bad input is the caller's
//! mistake. At most a limit is read, and a pipe without a writer fails after a while. So a wrong path gives an error,
//! not a full memory or a hung terminal. Who else may read the file is not checked.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, anyhow};
use zeroize::Zeroizing;
use zonegate_issuer::SigningKey;

use super::failure::BadInput;

/// The largest key that the gate accepts is under 7 KiB as PEM, under 9 KiB as base64 of PEM.
const MAX_KEY: usize = 64 * 1024;
/// Longer than every line of a log: the headers of a request have 60 KiB.
const MAX_LINE: u64 = 1024 * 1024;
/// How long a named pipe may wait for its writer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Reads the signing key at `path`.
pub(super) fn signing_key(path: &Path) -> anyhow::Result<SigningKey> {
    let bytes = secret(path, MAX_KEY, "signing key")?;
    SigningKey::from_bytes(&bytes)
        .with_context(|| BadInput(format!("{} is not a signing key", name(path))))
}

/// Reads `what` at `path`, at most `limit` bytes. The bytes are wiped from memory when they are dropped.
pub(super) fn secret(path: &Path, limit: usize, what: &str) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    // The capacity is reserved at once, because a buffer that grows leaves copies behind. One more byte shows that the
    // input is too large.
    let mut bytes = Zeroizing::new(Vec::with_capacity(limit.saturating_add(1)));
    fill(&mut bytes, path, limit, what)?;
    Ok(bytes)
}

/// Reads `what` at `path`, at most `limit` bytes.
pub(super) fn public(path: &Path, limit: usize, what: &str) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fill(&mut bytes, path, limit, what)?;
    Ok(bytes)
}

/// Passes each line at `path` to `take`. Very long lines are split; lines that are not UTF-8 are skipped.
pub(super) fn lines(path: &Path, what: &str, mut take: impl FnMut(&str)) -> anyhow::Result<()> {
    let unreadable = || BadInput(format!("could not read the {what} {}", name(path)));
    let mut source = BufReader::new(open(path).with_context(unreadable)?);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = source.by_ref().take(MAX_LINE).read_until(b'\n', &mut line);
        if read.with_context(unreadable)? == 0 {
            return Ok(());
        }
        if let Ok(line) = std::str::from_utf8(&line) {
            take(line);
        }
    }
}

/// The name of `path` in errors.
pub(super) fn name(path: &Path) -> String {
    match is_standard_input(path) {
        true => "standard input".to_owned(),
        false => path.display().to_string(),
    }
}

fn is_standard_input(path: &Path) -> bool {
    path == Path::new("-")
}

fn fill(bytes: &mut Vec<u8>, path: &Path, limit: usize, what: &str) -> anyhow::Result<()> {
    let one_more = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    open(path).and_then(|source| source.take(one_more).read_to_end(bytes)).with_context(|| {
        match is_standard_input(path) {
            true => BadInput(format!("could not read the {what} on standard input")),
            false => BadInput(format!("could not read the {what} {}", name(path))),
        }
    })?;
    match bytes.len() > limit {
        false => Ok(()),
        true => Err(anyhow!("it is larger than {}", size(limit)))
            .with_context(|| BadInput(format!("{} is not a {what}", name(path)))),
    }
}

fn size(bytes: usize) -> String {
    match bytes.checked_ilog2() {
        Some(20..) => format!("{} MiB", bytes >> 20),
        _ => format!("{} KiB", bytes >> 10),
    }
}

fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    if is_standard_input(path) {
        return Ok(Box::new(io::stdin().lock()));
    }
    let file = match fs::metadata(path)?.file_type().is_fifo() {
        true => open_pipe(path)?,
        false => File::open(path)?,
    };
    Ok(Box::new(file))
}

/// Opening a named pipe blocks until someone writes to it, which may never happen.
fn open_pipe(path: &Path) -> io::Result<File> {
    let (send, receive) = mpsc::channel();
    let path = path.to_owned();
    thread::spawn(move || send.send(File::open(path)));
    receive.recv_timeout(PATIENCE).unwrap_or_else(|_| {
        Err(io::Error::new(ErrorKind::TimedOut, "it is a pipe that nothing writes to"))
    })
}
