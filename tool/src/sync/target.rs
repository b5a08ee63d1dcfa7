//! The file that is kept current.
//!
//! In: a path, then texts. Out: the file with the last text, replaced as a whole, or left alone if the text is the
//! same. Only one process keeps a file current. The text is not checked.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::atomic_write::{FileLock, Keeps, ReplaceError, SYNC_LOCK, beside, replace};
use crate::plugin_config::plugin_file::MAX_BYTES;

/// A file, and the exclusive right to keep it current.
#[derive(Debug)]
pub struct Target {
    path: PathBuf,
    has_kept: bool,
    /// The lock is held as long as this lives.
    lock: File,
}

/// Why a file cannot be kept current.
#[derive(Debug)]
pub enum TargetError {
    /// The path does not end in a file's name.
    NotAFile(PathBuf),
    /// The path is a symbolic link, and Envoy would not see a change of its target.
    SymbolicLink(PathBuf),
    /// It is a file of another kind, given by mistake.
    OtherFile(PathBuf),
    /// Another process keeps it current.
    Kept(PathBuf),
    /// It cannot be replaced.
    NotReplaced(PathBuf, ReplaceError),
    /// Another operation failed.
    Io {
        /// The operation.
        doing: &'static str,
        /// Its path.
        path: PathBuf,
        /// The cause.
        error: io::Error,
    },
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAFile(path) => write!(f, "{}: give the name of a file", path.display()),
            Self::SymbolicLink(path) => write!(
                f,
                "{} is a symbolic link: give the file that it leads to, in the folder that Envoy \
                 watches",
                path.display()
            ),
            Self::OtherFile(path) => write!(
                f,
                "{} is there already and is no ECDS file of Envoy: give another name, or move it \
                 away first",
                path.display()
            ),
            Self::Kept(path) => write!(
                f,
                "another zonegate sync keeps {} current: stop that one, or give another file",
                path.display()
            ),
            Self::NotReplaced(path, error) => {
                write!(f, "could not replace {}: {error}", path.display())
            }
            Self::Io { doing, path, error } => {
                write!(f, "could not {doing} {}: {error}", path.display())
            }
        }?;
        match self.io_kind() {
            Some(ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) => {
                f.write_str("; zonegate sync must be allowed to write in that folder")
            }
            Some(ErrorKind::NotFound) => f.write_str("; make its folder first"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for TargetError {}

impl TargetError {
    fn io_kind(&self) -> Option<ErrorKind> {
        match self {
            Self::Io { error, .. } | Self::NotReplaced(_, ReplaceError::Io(_, error)) => {
                Some(error.kind())
            }
            _ => None,
        }
    }
}

/// Whether the file was replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replaced {
    /// It has the new text.
    Yes,
    /// It had the same text already and was left alone.
    WasCurrent,
}

/// The time that another zonegate may need for the file, such as `zonegate revoke`.
const PATIENCE: Duration = Duration::from_secs(5);

impl Target {
    /// Takes the right to keep the file at `path` current. The file may not exist yet.
    ///
    /// # Errors
    /// See [`TargetError`].
    pub fn open(path: &Path) -> Result<Self, TargetError> {
        let not_a_file = || TargetError::NotAFile(path.to_owned());
        path.file_name().ok_or_else(not_a_file)?;
        match fs::symlink_metadata(path) {
            Ok(found) if found.is_symlink() => return Err(TargetError::SymbolicLink(path.into())),
            Ok(found) if !found.is_file() => return Err(not_a_file()),
            _ => {}
        }
        let lock_path = beside(path, SYNC_LOCK);
        let has_kept = lock_path.exists();
        let lock = lock(&lock_path, path)?;
        let target = Self { path: path.to_owned(), has_kept, lock };
        match target.read(MAX_BYTES)? {
            Some(text) if !is_ecds(&text) => Err(TargetError::OtherFile(path.to_owned())),
            _ => Ok(target),
        }
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes into the lock which part of the file is kept, for others that want to change the file.
    ///
    /// # Errors
    /// [`TargetError::Io`].
    pub fn say(&self, keeps: Keeps) -> Result<(), TargetError> {
        let written =
            self.lock.set_len(0).and_then(|()| (&self.lock).write_all(keeps.as_str().as_bytes()));
        written.map_err(|error| failed("write", &beside(&self.path, SYNC_LOCK), error))
    }

    /// Whether a sync has kept the file before.
    pub fn has_kept(&self) -> bool {
        self.has_kept
    }

    /// Reads at most `limit` bytes of the file; `None` if there is no file.
    ///
    /// # Errors
    /// [`TargetError::Io`].
    pub fn read(&self, limit: usize) -> Result<Option<Vec<u8>>, TargetError> {
        let mut bytes = Vec::new();
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        match File::open(&self.path).and_then(|file| file.take(limit).read_to_end(&mut bytes)) {
            Ok(_) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", &self.path, error)),
        }
    }

    /// Locks the file against changes by others, such as `zonegate revoke`. The lock is held from before reading until
    /// after replacing, so that no change of theirs is lost.
    ///
    /// # Errors
    /// [`TargetError::NotReplaced`].
    pub fn hold(&self) -> Result<FileLock, TargetError> {
        FileLock::of(&self.path, PATIENCE)
            .map_err(|error| TargetError::NotReplaced(self.path.clone(), error))
    }

    /// Replaces the text of the file, while it is locked.
    ///
    /// # Errors
    /// [`TargetError::NotReplaced`] and [`TargetError::Io`]; the file then still has its old text.
    pub fn replace(&self, text: &str, _held: &FileLock) -> Result<Replaced, TargetError> {
        let not_replaced = |error| TargetError::NotReplaced(self.path.clone(), error);
        // One more byte shows whether the file is longer.
        let old = self.read(text.len().saturating_add(1))?;
        if old.as_deref() == Some(text.as_bytes()) {
            return Ok(Replaced::WasCurrent);
        }
        replace(&self.path, text.as_bytes()).map_err(not_replaced)?;
        Ok(Replaced::Yes)
    }
}

/// Whether the file looks like ECDS, so that nothing else gets lost. A damaged ECDS file may be replaced.
fn is_ecds(text: &[u8]) -> bool {
    const TYPE: &[u8] = b"envoy.config.core.v3.TypedExtensionConfig";
    text.trim_ascii().is_empty() || text.windows(TYPE.len()).any(|window| window == TYPE)
}

/// Locks the file. The lock ends with the process in every case; the empty lock file stays.
fn lock(path: &Path, kept: &Path) -> Result<File, TargetError> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path);
    let file = file.map_err(|error| failed("create", path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(TargetError::Kept(kept.to_owned())),
        Err(TryLockError::Error(error)) => Err(failed("lock", path, error)),
    }
}

fn failed(doing: &'static str, path: &Path, error: io::Error) -> TargetError {
    TargetError::Io { doing, path: path.to_owned(), error }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_file_is_made_replaced_and_left_alone() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("file");
        let target = Target::open(&path).unwrap();
        assert_eq!(target.read(9).unwrap(), None);
        let held = target.hold().unwrap();
        assert_eq!(target.replace("one", &held).unwrap(), Replaced::Yes);
        let identity = || {
            let found = fs::metadata(&path).unwrap();
            (found.ino(), found.mtime(), found.mtime_nsec(), found.ctime_nsec())
        };
        let first = identity();
        assert_eq!(target.replace("one", &held).unwrap(), Replaced::WasCurrent);
        assert_eq!(identity(), first);
        for text in ["on", "", "one and more"] {
            let before = identity();
            assert_eq!(target.replace(text, &held).unwrap(), Replaced::Yes);
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
            assert_ne!(identity().0, before.0, "written in place");
        }
        assert_eq!(target.read(3).unwrap().unwrap(), b"one");
    }

    #[test]
    fn a_file_of_another_kind_is_not_replaced() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "precious").unwrap();
        assert!(matches!(Target::open(&path), Err(TargetError::OtherFile(_))));
        for text in [" \n", include_str!("../../../envoy/ecds/zonegate.yaml")] {
            fs::write(&path, text).unwrap();
            Target::open(&path).unwrap();
        }
    }

    #[test]
    fn one_process_keeps_a_file() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("file");
        let first = Target::open(&path).unwrap();
        assert!(matches!(Target::open(&path), Err(TargetError::Kept(_))));
        Target::open(&dir.path().join("another")).unwrap();
        drop(first);
        Target::open(&path).unwrap();
    }

    #[test]
    fn a_path_that_is_not_a_file_is_refused() {
        let dir = TempDir::new().unwrap();
        let link = dir.path().join("link");
        symlink(dir.path().join("file"), &link).unwrap();
        assert!(matches!(Target::open(&link), Err(TargetError::SymbolicLink(_))));
        assert!(matches!(Target::open(dir.path()), Err(TargetError::NotAFile(_))));
        assert!(matches!(Target::open(Path::new("/")), Err(TargetError::NotAFile(_))));
        let nowhere = Target::open(&dir.path().join("no/file")).unwrap_err();
        assert!(nowhere.to_string().starts_with("could not create "), "{nowhere}");
    }
}
