//! The kinds of failure in metrics and in the log.
//!
//! In: nothing. Out: [`ErrorKind`], with one spelling for both.

use std::fmt::{self, Write as _};

use prometheus_client::encoding::{EncodeLabelValue, LabelValueEncoder};

/// The kind of a failed poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// A file or flag of sync is wrong.
    Settings,
    /// The admin token cannot be read.
    Token,
    /// The control plane cannot be reached.
    Connect,
    /// The control plane is not trusted.
    Tls,
    /// The control plane is too slow.
    Timeout,
    /// The control plane does not accept the token.
    Unauthorized,
    /// The token's user has no right to read.
    Forbidden,
    /// The control plane redirects to another place.
    Redirect,
    /// The control plane responds with another status.
    Status,
    /// The response is too large.
    TooLarge,
    /// The response is not the API's.
    BadAnswer,
    /// The secrets cannot be read.
    BadSecrets,
    /// The control plane has no keys.
    NoKeys,
    /// The filter would refuse the result.
    Policy,
    /// The file cannot be written.
    Write,
}

impl ErrorKind {
    /// All kinds.
    pub const ALL: [Self; 15] = [
        Self::Settings,
        Self::Token,
        Self::Connect,
        Self::Tls,
        Self::Timeout,
        Self::Unauthorized,
        Self::Forbidden,
        Self::Redirect,
        Self::Status,
        Self::TooLarge,
        Self::BadAnswer,
        Self::BadSecrets,
        Self::NoKeys,
        Self::Policy,
        Self::Write,
    ];

    /// The spelling in metrics and log lines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::Token => "token",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::Redirect => "redirect",
            Self::Status => "status",
            Self::TooLarge => "too_large",
            Self::BadAnswer => "bad_answer",
            Self::BadSecrets => "bad_secrets",
            Self::NoKeys => "no_keys",
            Self::Policy => "policy",
            Self::Write => "write",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl EncodeLabelValue for ErrorKind {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        encoder.write_str(self.as_str())
    }
}
