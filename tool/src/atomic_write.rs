//! Replaces a file as a whole, and locks it.
//!
//! In: a path and contents. Out: the new file in place of the old one, with its mode and owner, or the old file
//! unchanged. The new file is written beside the old one, synced and renamed, so whoever watches the folder sees one or
//! the other. The file system decides who may write there.

mod lock;

use std::fmt;
use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::NamedTempFile;

pub use lock::{FileLock, Keeps, KeptBySync, kept_by_sync};
pub(crate) use lock::{SYNC_LOCK, beside};

/// Why a file was not replaced. The file is unchanged.
#[derive(Debug)]
pub enum ReplaceError {
    /// The file is part of a ConfigMap or Secret that Kubernetes has mounted.
    Mounted(PathBuf),
    /// The path is not a regular file.
    NotAFile(PathBuf),
    /// The owner of the file cannot be kept.
    Owner(io::Error),
    /// Another process has held its lock file for this long.
    Held(PathBuf, Duration),
    /// An error of the file system, and the step that failed.
    Io(&'static str, io::Error),
}

impl fmt::Display for ReplaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mounted(path) => write!(
                f,
                "it is mounted from a ConfigMap or Secret ({}), and Kubernetes would undo the change: \
                 change that object instead",
                path.display()
            ),
            Self::NotAFile(path) => write!(f, "{} is not a file", path.display()),
            Self::Owner(error) => {
                write!(f, "its owner could not be kept: run this as the owner, or as root: {error}")
            }
            Self::Held(lock, time) => write!(
                f,
                "another zonegate has held {} for {} seconds: try again when it is done",
                lock.display(),
                time.as_secs()
            ),
            Self::Io(what, error) => write!(f, "{what}: {error}"),
        }
    }
}

impl std::error::Error for ReplaceError {}

/// Everyone may read new files, as far as the umask allows.
const NEW_FILE: u32 = 0o644;

/// Replaces the file at `path`, or creates it. A symbolic link stays, and its target is replaced.
///
/// # Errors
/// See [`ReplaceError`].
pub fn replace(path: &Path, contents: &[u8]) -> Result<(), ReplaceError> {
    let path = target(path)?;
    let folder = folder(&path);
    let at = |what| move |error| ReplaceError::Io(what, error);
    let mut file = tempfile::Builder::new()
        .prefix(".zonegate-")
        .permissions(Permissions::from_mode(NEW_FILE))
        .tempfile_in(folder)
        .map_err(|error| ReplaceError::Io("could not write beside it", without_path(error)))?;
    keep_owner(&path, &file)?;
    file.write_all(contents)
        .and_then(|()| file.as_file().sync_all())
        .map_err(at("could not write beside it"))?;
    file.persist(&path).map_err(|error| ReplaceError::Io("could not rename", error.error))?;
    // Without this sync a crash may undo the rename. Not every file system supports it.
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}

/// The file that `path` leads to. Kubernetes mounts a ConfigMap as `file -> ..data/file`, `..data -> ..2026_…`. Such a
/// mount is not always read-only.
fn target(path: &Path) -> Result<PathBuf, ReplaceError> {
    let at = |error| ReplaceError::Io("could not be found", error);
    let target = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(path.to_owned()),
        Err(error) => return Err(at(error)),
        Ok(_) => fs::canonicalize(path).map_err(at)?,
    };
    let is_mounted = |part: std::path::Component<'_>| {
        part.as_os_str().to_str().is_some_and(|name| name.starts_with("..") && name.len() > 2)
    };
    if target.components().any(is_mounted) {
        return Err(ReplaceError::Mounted(target));
    }
    match fs::metadata(&target).map_err(at)?.is_file() {
        true => Ok(target),
        false => Err(ReplaceError::NotAFile(path.to_owned())),
    }
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// The error without the name of the temporary file, which means nothing to the operator.
fn without_path(error: io::Error) -> io::Error {
    let message = error.to_string();
    let problem = message.split(" at path ").next().unwrap_or_default();
    io::Error::new(error.kind(), problem.to_owned())
}

fn keep_owner(path: &Path, file: &NamedTempFile) -> Result<(), ReplaceError> {
    let at = |error| ReplaceError::Io("could not keep its mode", error);
    let Ok(old) = fs::metadata(path) else { return Ok(()) };
    let new = file.as_file().metadata().map_err(at)?;
    if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
        fchown(file, Some(old.uid()), Some(old.gid())).map_err(ReplaceError::Owner)?;
    }
    // After the owner: a change of owner may clear bits.
    file.as_file().set_permissions(Permissions::from_mode(old.mode() & 0o7777)).map_err(at)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_file_is_made_or_replaced_and_keeps_its_mode() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("file");
        replace(&path, b"one").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let before = fs::metadata(&path).unwrap();
        replace(&path, b"two").unwrap();
        let after = fs::metadata(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(after.mode() & 0o7777, 0o640);
        assert_ne!(before.ino(), after.ino());
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
    }

    #[test]
    fn a_symlink_stays_and_its_target_is_replaced() {
        let dir = TempDir::new().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        fs::write(&file, "one").unwrap();
        symlink("file", &link).unwrap();
        replace(&link, b"two").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"two");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[test]
    fn a_config_map_a_folder_and_a_dangling_link_are_refused() {
        let dir = TempDir::new().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::create_dir(path("..2026")).unwrap();
        fs::write(path("..2026/file"), "one").unwrap();
        symlink("..2026", path("..data")).unwrap();
        symlink("..data/file", path("file")).unwrap();
        symlink("nowhere", path("loose")).unwrap();
        assert!(matches!(replace(&path("file"), b"two"), Err(ReplaceError::Mounted(_))));
        assert!(matches!(replace(dir.path(), b"two"), Err(ReplaceError::NotAFile(_))));
        assert!(matches!(replace(&path("loose"), b"two"), Err(ReplaceError::Io(..))));
        assert_eq!(fs::read(path("file")).unwrap(), b"one");
    }
}
