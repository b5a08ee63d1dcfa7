//! Why a poll found no secrets.
//!
//! In: an error on the way to the API server, or its response. Out: a sentence that says what to do, and a kind for
//! metrics. It does not repeat the server's response.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Chain;
use http::StatusCode;
use tokio_rustls::rustls;

use super::address::AddressError;
use super::admin_token::{TokenError, TokenSource, VARIABLE};
use super::api_server::is_ca_as_server;
use super::error_kind::ErrorKind;
use crate::kuma_inputs::SecretsError;

/// Why a poll found no secrets.
#[derive(Debug)]
pub enum FetchError {
    /// The address and the path are not a valid URL.
    Address(AddressError),
    /// The admin token cannot be used.
    Token(TokenError),
    /// `https` without a CA to trust.
    NoCa,
    /// A PEM file cannot be read.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The cause.
        error: io::Error,
    },
    /// A file has the wrong contents.
    NotPem {
        /// The file.
        path: PathBuf,
        /// The expected contents.
        what: &'static str,
    },
    /// A certificate of the CA file cannot be used.
    NotACa {
        /// Its file.
        path: PathBuf,
        /// The cause.
        why: String,
    },
    /// The client certificate cannot be used.
    ClientCertificate {
        /// Its file.
        path: PathBuf,
        /// The cause.
        why: String,
    },
    /// There is no server at the address.
    Connect(String),
    /// The server is not trusted, or does not speak TLS.
    Tls(String),
    /// The response broke off.
    Broken(String),
    /// It took longer than this.
    Timeout(Duration),
    /// Status 401.
    Unauthorized(TokenSource),
    /// Status 403.
    Forbidden(TokenSource),
    /// The server redirects to another place.
    Redirect(StatusCode),
    /// Any other status.
    Status(StatusCode),
    /// The response has more bytes than this.
    TooLarge(usize),
    /// The response is a web page.
    Html,
    /// The response is not the API's.
    NotTheApi,
    /// Fewer secrets than the server says it has.
    Incomplete {
        /// The number that came.
        there: usize,
        /// The number that the server has.
        total: u64,
    },
    /// The secrets cannot be used.
    Secrets(SecretsError),
    /// There is no key, so no token would pass.
    NoKeys {
        /// The number of keys that cannot be used.
        unusable: usize,
    },
}

impl FetchError {
    /// Its kind, for metrics.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Token(_) => ErrorKind::Token,
            Self::Address(_) | Self::NoCa => ErrorKind::Settings,
            Self::Unreadable { .. }
            | Self::NotPem { .. }
            | Self::NotACa { .. }
            | Self::ClientCertificate { .. } => ErrorKind::Settings,
            Self::Connect(_) => ErrorKind::Connect,
            Self::Tls(_) => ErrorKind::Tls,
            Self::Timeout(_) => ErrorKind::Timeout,
            Self::Unauthorized(_) => ErrorKind::Unauthorized,
            Self::Forbidden(_) => ErrorKind::Forbidden,
            Self::Redirect(_) => ErrorKind::Redirect,
            Self::Status(_) => ErrorKind::Status,
            Self::TooLarge(_) => ErrorKind::TooLarge,
            Self::Broken(_) | Self::Html | Self::NotTheApi | Self::Incomplete { .. } => {
                ErrorKind::BadAnswer
            }
            Self::Secrets(_) => ErrorKind::BadSecrets,
            Self::NoKeys { .. } => ErrorKind::NoKeys,
        }
    }

    /// The meaning of an error of hyper: no server, a server that is not trusted, or a connection that broke off.
    pub(super) fn of(error: &(dyn Error + 'static)) -> Self {
        if let Some(tls) = Chain::new(error).find_map(tls_error) {
            return Self::Tls(tls_words(tls));
        }
        let text = Chain::new(error).last().map_or_else(String::new, ToString::to_string);
        let is_connect = error
            .downcast_ref::<hyper_util::client::legacy::Error>()
            .is_some_and(hyper_util::client::legacy::Error::is_connect);
        if is_connect { Self::Connect(text) } else { Self::Broken(text) }
    }
}

/// The text of a TLS error. rustls shows errors without a name as code.
fn tls_words(error: &rustls::Error) -> String {
    match is_ca_as_server(error) {
        true => "invalid peer certificate: it is one that the control plane made itself, and not the one \
                 in --ca-cert-file"
            .to_owned(),
        false => error.to_string(),
    }
}

/// The error of rustls in another error. It may be in an `io::Error`, which does not return it as its source.
fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    match wrapped {
        Some(wrapped) => tls_error(wrapped),
        None => error.downcast_ref(),
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(error) => error.fmt(f),
            Self::Token(error) => error.fmt(f),
            Self::NoCa => f.write_str(
                "https needs --ca-cert-file, the CA of the control plane's certificate (of a public \
                 CA: the file of your system, such as /etc/ssl/certs/ca-certificates.crt)",
            ),
            Self::Unreadable { path, error } => {
                write!(f, "could not read {}: {error}", path.display())
            }
            Self::NotPem { path, what } => write!(f, "{} holds no {what} as PEM", path.display()),
            Self::NotACa { path, why } => {
                write!(f, "{} cannot be used as a CA: {why}", path.display())
            }
            Self::ClientCertificate { path, why } => {
                write!(f, "the client certificate {} cannot be used: {why}", path.display())
            }
            Self::Connect(why) => write!(f, "the control plane cannot be reached: {why}"),
            Self::Tls(why) => write!(
                f,
                "no trusted TLS connection: {why}; --ca-cert-file must be the CA of the control \
                 plane's certificate, and --address a name in it and its HTTPS port (5682)"
            ),
            Self::Broken(why) => write!(f, "the answer broke off: {why}"),
            Self::Timeout(limit) => {
                write!(f, "no whole answer within {} ms", limit.as_millis())
            }
            Self::Unauthorized(source) => unauthorized(source, f),
            Self::Forbidden(source) => forbidden(source, f),
            Self::Redirect(status) => write!(
                f,
                "the server redirects ({}): the token is not sent elsewhere; give the final \
                 --address",
                status.as_u16()
            ),
            Self::Status(status) => write!(f, "the server answers {status}{}", hint(*status)),
            Self::TooLarge(limit) => {
                write!(f, "the answer is larger than {} MiB", limit / (1024 * 1024))
            }
            Self::Html => f.write_str(
                "the answer is a web page: --address must be the API server of the control plane \
                 (port 5681 or 5682)",
            ),
            Self::NotTheApi => f.write_str(
                "the answer is not what the API server of a control plane says to \
                 GET /global-secrets",
            ),
            Self::Incomplete { there, total } => {
                write!(f, "only {there} of {total} secrets came")
            }
            Self::Secrets(error) => error.fmt(f),
            Self::NoKeys { unusable: 0 } => f.write_str(
                "no key is among the secrets (zone-token-signing-key-*, \
                 zone-token-signing-public-key-*): is this the zone's or the global control plane?",
            ),
            Self::NoKeys { unusable } => {
                write!(f, "no key is among the secrets that can be used; {unusable} cannot")
            }
        }
    }
}

impl Error for FetchError {}

const NEW_TOKEN: &str = "kumactl generate user-token --name NAME --group mesh-system:admin \
                         --valid-for 720h";

fn unauthorized(source: &TokenSource, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match source {
        TokenSource::Nowhere => write!(
            f,
            "the server requires a token (401): give an admin token by --token-file or {VARIABLE} \
             ({NEW_TOKEN})"
        ),
        _ => write!(
            f,
            "the control plane does not accept the token in {source} (401): it is expired, revoked \
             or of another control plane; put a new one there ({NEW_TOKEN})"
        ),
    }
}

fn forbidden(source: &TokenSource, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match source {
        TokenSource::Nowhere => write!(
            f,
            "only an admin may read GlobalSecrets (403): give an admin token by --token-file or \
             {VARIABLE} ({NEW_TOKEN})"
        ),
        _ => write!(
            f,
            "the token in {source} is valid, but its user may not read GlobalSecrets (403): its \
             group must be one of KUMA_ACCESS_STATIC_ADMIN_RESOURCES_GROUPS, which is \
             mesh-system:admin ({NEW_TOKEN})"
        ),
    }
}

fn hint(status: StatusCode) -> &'static str {
    match status {
        StatusCode::BAD_REQUEST => "; does it want https?",
        StatusCode::NOT_FOUND => "; is --address the API server (port 5681 or 5682)?",
        _ => "",
    }
}
