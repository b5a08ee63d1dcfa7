//! Locks on a file that several processes may replace.
//!
//! In: the path of the file. Out: a lock, or who has it. The lock does not stop processes that do not ask for it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::{ReplaceError, target};

/// A lock. While it lives, no other process that asks for the same lock changes the file. The lock is a file beside it,
/// which is removed afterwards. Other users cannot open the lock file, so they cannot hold it.
#[derive(Debug)]
pub struct FileLock {
    path: PathBuf,
    /// Keeps the lock file open.
    _file: File,
}

impl FileLock {
    /// Waits at most `limit` for the lock of the file at `path`.
    ///
    /// # Errors
    /// [`ReplaceError::Held`], or [`ReplaceError::Io`].
    pub fn of(path: &Path, limit: Duration) -> Result<Self, ReplaceError> {
        let path = beside(&target(path)?, "lock");
        let start = Instant::now();
        loop {
            if let Some(file) = take(&path)? {
                return Ok(Self { path, _file: file });
            }
            if start.elapsed() >= limit {
                return Err(ReplaceError::Held(path, limit));
            }
            sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for FileLock {
    /// The file is removed while the lock is held: a waiting process sees that the file is gone, and creates a new one.
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// The lock, unless another process has it.
fn take(path: &Path) -> Result<Option<File>, ReplaceError> {
    let at = |error| ReplaceError::Io("could not make its lock file", error);
    let mut options = OpenOptions::new();
    let file =
        options.create(true).truncate(false).write(true).mode(0o600).open(path).map_err(at)?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(at(error)),
        Ok(()) => {}
    }
    // The previous holder may have removed the file after it was opened here.
    let is_there = match (fs::symlink_metadata(path), file.metadata()) {
        (Ok(there), Ok(held)) => (there.dev(), there.ino()) == (held.dev(), held.ino()),
        _ => false,
    };
    Ok(is_there.then_some(file))
}

/// The name of a file that belongs to the one at `path`.
pub(crate) fn beside(path: &Path, what: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{what}"))
}

/// The part of a file that a `zonegate sync` keeps current.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeps {
    /// Keys and revoked ids only.
    Secrets,
    /// The whole file, or the sync did not say which part.
    Whole,
}

/// Whether a `zonegate sync` keeps a file current.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeptBySync {
    /// No sync is known.
    No,
    /// A sync did, and is not running.
    WasOnce(Keeps),
    /// A running sync does.
    Yes(Keeps),
    /// Unknown, because the lock belongs to another user.
    Unknown,
}

/// The lock that a `zonegate sync` holds as long as it runs.
pub(crate) const SYNC_LOCK: &str = "sync-lock";

impl Keeps {
    /// The text that a sync writes into its lock.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Secrets => "keys and revoked ids\n",
            Self::Whole => "",
        }
    }

    fn said_in(mut lock: File) -> Self {
        let mut text = String::new();
        match lock.read_to_string(&mut text) {
            Ok(_) if text == Self::Secrets.as_str() => Self::Secrets,
            Ok(_) | Err(_) => Self::Whole,
        }
    }
}

/// Whether a `zonegate sync` keeps the file at `path` current.
///
/// # Errors
/// The path does not lead to a file that can be replaced.
pub fn kept_by_sync(path: &Path) -> Result<KeptBySync, ReplaceError> {
    let lock = beside(&target(path)?, SYNC_LOCK);
    Ok(match OpenOptions::new().read(true).write(true).open(lock) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => KeptBySync::Unknown,
        Err(_) => KeptBySync::No,
        Ok(file) => match file.try_lock() {
            Ok(()) => KeptBySync::WasOnce(Keeps::said_in(file)),
            Err(_) => KeptBySync::Yes(Keeps::said_in(file)),
        },
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_file_is_locked_once_and_nothing_is_left() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("file");
        let first = FileLock::of(&path, Duration::ZERO).unwrap();
        let lock = fs::metadata(dir.path().join(".file.lock")).unwrap();
        assert_eq!(lock.mode() & 0o777, 0o600);
        let second = FileLock::of(&path, Duration::ZERO);
        assert!(matches!(second, Err(ReplaceError::Held(..))));
        FileLock::of(&dir.path().join("other"), Duration::ZERO).unwrap();
        drop(first);
        FileLock::of(&path, Duration::ZERO).unwrap();
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
    }

    #[test]
    fn a_lock_on_the_folder_blocks_nobody() {
        let dir = TempDir::new().unwrap();
        let folder = File::open(&dir).unwrap();
        folder.lock().unwrap();
        FileLock::of(&dir.path().join("file"), Duration::ZERO).unwrap();
    }

    #[test]
    fn a_sync_is_seen_by_its_lock() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("file");
        assert_eq!(kept_by_sync(&path).unwrap(), KeptBySync::No);
        let lock = File::create(dir.path().join(".file.sync-lock")).unwrap();
        lock.try_lock().unwrap();
        assert_eq!(kept_by_sync(&path).unwrap(), KeptBySync::Yes(Keeps::Whole));
        fs::write(dir.path().join(".file.sync-lock"), Keeps::Secrets.as_str()).unwrap();
        assert_eq!(kept_by_sync(&path).unwrap(), KeptBySync::Yes(Keeps::Secrets));
        drop(lock);
        assert_eq!(kept_by_sync(&path).unwrap(), KeptBySync::WasOnce(Keeps::Secrets));
    }
}
