//! The token with which an admin authenticates to a control plane.
//!
//! In: a file, or an environment variable. Not an argument, because every user of the machine can see arguments. Out:
//! the `authorization` header. The token is read for every poll, so its file may be replaced at any time. The control
//! plane decides whether the token is good.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use http::HeaderValue;
use zeroize::Zeroizing;

/// The environment variable with the token.
pub const VARIABLE: &str = "ZONEGATE_ADMIN_TOKEN";

/// More than any token has: kumactl's are under 1 KiB, and Go's servers take headers up to 1 MiB.
const MAX_BYTES: u64 = 64 * 1024;

/// The source of the admin token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenSource {
    /// In this file.
    File(PathBuf),
    /// In [`VARIABLE`].
    Environment,
    /// No token: a control plane treats every client on its own machine as an admin, unless
    /// `apiServer.authn.localhostIsAdmin` forbids it.
    Nowhere,
}

/// Why there is no token.
#[derive(Debug)]
pub enum TokenError {
    /// The file cannot be read.
    Unreadable(PathBuf, io::Error),
    /// The source with this name is empty.
    Empty(String),
    /// The source with this name has something that is not a token.
    NotAToken(String),
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(path, error) => {
                write!(f, "could not read the admin token {}: {error}", path.display())
            }
            Self::Empty(name) => write!(f, "the admin token in {name} is empty"),
            Self::NotAToken(name) => write!(
                f,
                "what {name} holds is no admin token: one line without spaces is expected, as \
                 kumactl generate user-token prints it"
            ),
        }
    }
}

impl std::error::Error for TokenError {}

impl TokenSource {
    /// The header `authorization`; `None` without a token.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub fn header(&self) -> Result<Option<HeaderValue>, TokenError> {
        let text = match self {
            Self::File(path) => {
                read(path).map_err(|error| TokenError::Unreadable(path.clone(), error))?
            }
            Self::Environment => Zeroizing::new(std::env::var(VARIABLE).unwrap_or_default().into()),
            Self::Nowhere => return Ok(None),
        };
        let token = text.trim_ascii();
        if token.is_empty() {
            return Err(TokenError::Empty(self.to_string()));
        }
        bearer(token).map(Some).ok_or_else(|| TokenError::NotAToken(self.to_string()))
    }
}

impl fmt::Display for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Environment => write!(f, "the variable {VARIABLE}"),
            Self::Nowhere => f.write_str("no admin token"),
        }
    }
}

/// The capacity is reserved at once, because a buffer that grows leaves copies behind. A longer file is cut, and is
/// then not a token.
fn read(path: &PathBuf) -> io::Result<Zeroizing<Vec<u8>>> {
    let room = usize::try_from(MAX_BYTES).unwrap_or_default();
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    File::open(path)?.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The header value. RFC 6750 section 2.1: `b64token` is visible ASCII.
fn bearer(token: &[u8]) -> Option<HeaderValue> {
    let fits = u64::try_from(token.len()).is_ok_and(|length| length < MAX_BYTES);
    if !fits || !token.iter().all(u8::is_ascii_graphic) {
        return None;
    }
    let header = Zeroizing::new([b"Bearer ", token].concat());
    let mut value = HeaderValue::from_bytes(&header).ok()?;
    value.set_sensitive(true); // so that Debug does not show it
    Some(value)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use std::fs;

    use super::*;

    fn in_file(contents: &[u8]) -> Result<Option<HeaderValue>, TokenError> {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("token");
        fs::write(&path, contents).unwrap();
        TokenSource::File(path).header()
    }

    #[test]
    fn a_token_is_sent_without_the_line_break_behind_it() {
        for contents in [&b"abc.def-_"[..], b"abc.def-_\n", b" abc.def-_\r\n"] {
            let header = in_file(contents).unwrap().unwrap();
            assert_eq!(header.as_bytes(), b"Bearer abc.def-_");
            assert_eq!(format!("{header:?}"), "Sensitive");
        }
    }

    #[test]
    fn other_text_is_refused_and_not_repeated() {
        for contents in [&b"two words"[..], b"two\nlines", b"caf\xc3\xa9", b"\0", &[b'x'; 70_000]] {
            let error = in_file(contents).unwrap_err();
            assert!(matches!(error, TokenError::NotAToken(_)), "{error}");
            assert!(!error.to_string().contains("two"), "{error}");
        }
        assert!(matches!(in_file(b" \n"), Err(TokenError::Empty(_))));
        let nowhere = TokenSource::File("/nonexistent".into()).header().unwrap_err();
        assert!(nowhere.to_string().contains("/nonexistent: No such file"), "{nowhere}");
    }
}
