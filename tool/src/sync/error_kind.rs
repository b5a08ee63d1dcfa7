//! What kinds of failure are told apart, in metrics and in the log.
//!
//! In: nothing. Out: [`ErrorKind`], the one spelling for both.

use std::fmt::{self, Write as _};

use prometheus_client::encoding::{EncodeLabelValue, LabelValueEncoder};

/// By what kind a failed poll is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// A file or flag that sync was given.
    Settings,
    /// The admin token cannot be read.
    Token,
    /// The control plane cannot be reached.
    Connect,
    /// It is not trusted.
    Tls,
    /// It is too slow.
    Timeout,
    /// It does not accept the token.
    Unauthorized,
    /// It does not let the token's user read.
    Forbidden,
    /// It sends us elsewhere.
    Redirect,
    /// It answers something else.
    Status,
    /// It answers more than can be meant.
    TooLarge,
    /// Its answer is not the API's.
    BadAnswer,
    /// Its secrets cannot be read.
    BadSecrets,
    /// It has no keys.
    NoKeys,
    /// The filter would refuse the result.
    Policy,
    /// The file cannot be written.
    Write,
}

impl ErrorKind {
    /// All of them.
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

    /// As metrics and log lines spell it.
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
