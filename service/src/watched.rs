//! A file that is polled for changes.
//!
//! In: a path. Out: the bytes of the file, when they have changed: by a rename, a symbolic link to another file, or a
//! write. The bytes are not interpreted.
//!
//! Polling costs one system call, works with every way of mounting a file, and cannot lose events as a watch can.

use std::fs::{self, File, Metadata};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The time between two polls, so that revoked streams are cut within a second.
pub(crate) const LOOK: Duration = Duration::from_millis(200);
/// A file that was written this recently may be written again without a change of its metadata.
const FRESH: Duration = Duration::from_secs(2);

/// A polled file.
#[derive(Debug)]
pub(crate) struct Watched {
    path: PathBuf,
    limit: usize,
    seen: Option<Seen>,
    hasher: RandomState,
    /// The last error, so that it is reported once.
    failed: Option<io::ErrorKind>,
}

/// The state of a file when it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    identity: [i64; 6],
    is_fresh: bool,
    content: u64,
}

impl Watched {
    /// The file at `path`, of which at most `limit` bytes are read.
    pub(crate) fn new(path: &Path, limit: usize) -> Self {
        Self { path: path.to_owned(), limit, seen: None, hasher: RandomState::new(), failed: None }
    }

    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The bytes of the file, if they have changed. An error is reported once, until another error occurs or the file
    /// can be read again.
    ///
    /// # Errors
    /// The file cannot be read, is too long, or is no regular file.
    pub(crate) fn news(&mut self) -> io::Result<Option<Vec<u8>>> {
        match self.read_if_new() {
            Ok(news) => {
                self.failed = None;
                Ok(news)
            }
            Err(error) if self.failed.replace(error.kind()) == Some(error.kind()) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn read_if_new(&mut self) -> io::Result<Option<Vec<u8>>> {
        let metadata = fs::metadata(&self.path)?;
        // Opening a pipe waits for somebody who writes to it, and a device may have no end.
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
        }
        let found = identity(&metadata);
        if let Some(seen) = &self.seen
            && seen.identity == found
            && !seen.is_fresh
        {
            return Ok(None);
        }
        let file = File::open(&self.path)?;
        let metadata = file.metadata()?;
        let mut bytes = Vec::new();
        let limit = u64::try_from(self.limit).unwrap_or(u64::MAX);
        (&file).take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() > self.limit {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("the file is larger than {} bytes", self.limit),
            ));
        }
        let seen = Seen {
            identity: identity(&metadata),
            is_fresh: is_fresh(&metadata),
            content: self.hasher.hash_one(&bytes),
        };
        let content = seen.content;
        let before = self.seen.replace(seen);
        Ok(before.is_none_or(|before| before.content != content).then_some(bytes))
    }
}

fn identity(file: &Metadata) -> [i64; 6] {
    [
        file.dev().cast_signed(),
        file.ino().cast_signed(),
        file.size().cast_signed(),
        file.mtime(),
        file.mtime_nsec(),
        file.ctime_nsec(),
    ]
}

fn is_fresh(file: &Metadata) -> bool {
    let age = file.modified().ok().and_then(|at| SystemTime::now().duration_since(at).ok());
    age.is_none_or(|age| age < FRESH)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use std::os::unix::fs::symlink;
    use std::process::Command;

    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("zonegate-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn text(news: io::Result<Option<Vec<u8>>>) -> Option<String> {
        news.unwrap().map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn renames_links_and_writes_are_seen_once() {
        let folder = folder("seen");
        let place = folder.join("policy");
        let mut watched = Watched::new(&place, 100);
        assert_eq!(watched.news().unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(text(watched.news()), None);
        fs::write(&place, "one").unwrap();
        assert_eq!(text(watched.news()).as_deref(), Some("one"));
        assert_eq!(text(watched.news()), None);
        // The same length, at once.
        fs::write(&place, "two").unwrap();
        assert_eq!(text(watched.news()).as_deref(), Some("two"));
        fs::write(folder.join("new"), "three").unwrap();
        fs::rename(folder.join("new"), &place).unwrap();
        assert_eq!(text(watched.news()).as_deref(), Some("three"));
        // As Kubernetes updates a mounted file.
        for (version, content) in [("v1", "four"), ("v2", "five")] {
            fs::create_dir_all(folder.join(version)).unwrap();
            fs::write(folder.join(version).join("policy"), content).unwrap();
            let _ = fs::remove_file(folder.join("data-new"));
            symlink(version, folder.join("data-new")).unwrap();
            fs::rename(folder.join("data-new"), folder.join("data")).unwrap();
            if version == "v1" {
                fs::remove_file(&place).unwrap();
                symlink("data/policy", &place).unwrap();
            }
            assert_eq!(text(watched.news()).as_deref(), Some(content));
        }
        assert_eq!(text(watched.news()), None);
        fs::write(&place, "x".repeat(101)).unwrap();
        assert_eq!(watched.news().unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_is_no_file_is_an_error_at_once() {
        let folder = folder("kinds");
        let place = folder.join("policy");
        let mut watched = Watched::new(&place, 100);
        let kinds: [(&str, &[&str]); 3] =
            [("mkfifo", &[]), ("mkdir", &[]), ("ln", &["-s", "/dev/zero"])];
        for (command, arguments) in kinds {
            let made = Command::new(command).args(arguments).arg(&place).status().unwrap();
            assert!(made.success(), "{command}");
            assert_eq!(watched.news().unwrap_err().kind(), io::ErrorKind::InvalidInput);
            match fs::symlink_metadata(&place).unwrap().is_dir() {
                true => fs::remove_dir(&place).unwrap(),
                false => fs::remove_file(&place).unwrap(),
            }
            fs::write(&place, command).unwrap();
            assert_eq!(text(watched.news()).as_deref(), Some(command));
            fs::remove_file(&place).unwrap();
        }
        fs::remove_dir_all(folder).unwrap();
    }
}
