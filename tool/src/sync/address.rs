//! The address of a control plane's API server.
//!
//! In: a URL in kumactl's format. Out: an [`Address`] to which an admin token may be sent. Plain HTTP is refused unless
//! the server is on this machine or the operator allows it. Whether a server listens there is not checked.

use std::fmt;
use std::net::IpAddr;

use http::Uri;
use http::uri::Scheme;

/// The address of the API server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    scheme: Transport,
    /// Host and port.
    authority: String,
    /// The path before the API's own paths, without a slash at its end.
    prefix: String,
}

/// The protocol of the API server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// TLS.
    Https,
    /// Plain HTTP.
    Http,
}

/// Where the admin token may be sent by plain HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlainHttp {
    /// To this machine only.
    OnLoopback,
    /// To any machine.
    Anywhere,
}

/// Why a text is not an address. The text is not repeated, because it may contain a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressError {
    /// Not a URL with a host.
    NotAUrl,
    /// Neither `http` nor `https`.
    Scheme,
    /// It has a user name or a password.
    Credentials,
    /// It has a query.
    Query,
    /// The token would cross a network unencrypted.
    PlainHttp,
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAUrl => "not a URL: use for example https://control-plane:5682",
            Self::Scheme => {
                "neither https:// nor http://: use for example https://control-plane:5682"
            }
            Self::Credentials => {
                "a name or password is in it: remove it, and give the admin token by --token-file"
            }
            Self::Query => "a query is in it: give it without ? and what follows",
            Self::PlainHttp => {
                "anyone on the network could read the admin token and the signing keys: use https:// \
                 and port 5682, or give --insecure-http if the connection is protected otherwise"
            }
        })
    }
}

impl std::error::Error for AddressError {}

impl Address {
    /// Reads `text`.
    ///
    /// # Errors
    /// See [`AddressError`].
    pub fn parse(text: &str, plain: PlainHttp) -> Result<Self, AddressError> {
        let uri: Uri = text.parse().map_err(|_| AddressError::NotAUrl)?;
        let authority = uri.authority().ok_or(AddressError::NotAUrl)?;
        let scheme = transport(uri.scheme().ok_or(AddressError::NotAUrl)?)?;
        if authority.as_str().contains('@') {
            return Err(AddressError::Credentials);
        }
        if authority.host().is_empty() {
            return Err(AddressError::NotAUrl);
        }
        if uri.query().is_some() {
            return Err(AddressError::Query);
        }
        let may_be_read = scheme == Transport::Http && !is_loopback(authority.host());
        if may_be_read && plain == PlainHttp::OnLoopback {
            return Err(AddressError::PlainHttp);
        }
        let prefix = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { scheme, authority: authority.to_string(), prefix })
    }

    /// The protocol of the server.
    pub fn transport(&self) -> Transport {
        self.scheme
    }

    /// The URL of a path with its query, such as `/global-secrets?size=1`.
    ///
    /// # Errors
    /// The result is not a valid URL.
    pub fn join(&self, path: &str) -> Result<Uri, AddressError> {
        format!("{self}{path}").parse().map_err(|_| AddressError::NotAUrl)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Transport::Https => Scheme::HTTPS,
            Transport::Http => Scheme::HTTP,
        };
        write!(f, "{scheme}://{}{}", self.authority, self.prefix)
    }
}

fn transport(scheme: &Scheme) -> Result<Transport, AddressError> {
    match scheme.as_str() {
        "https" => Ok(Transport::Https),
        "http" => Ok(Transport::Http),
        _ => Err(AddressError::Scheme),
    }
}

/// `localhost` counts: RFC 6761 section 6.3 reserves it for this machine.
fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    address.map_or(host.eq_ignore_ascii_case("localhost"), |address| address.is_loopback())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use super::*;

    #[test]
    fn an_address_is_kept_as_it_is_meant() {
        for (text, shown, url) in [
            ("https://cp:5682", "https://cp:5682", "https://cp:5682/global-secrets?a"),
            ("https://cp:5682/", "https://cp:5682", "https://cp:5682/global-secrets?a"),
            ("HTTPS://cp/kuma/", "https://cp/kuma", "https://cp/kuma/global-secrets?a"),
            (
                "http://localhost:5681",
                "http://localhost:5681",
                "http://localhost:5681/global-secrets?a",
            ),
            ("http://[::1]:5681", "http://[::1]:5681", "http://[::1]:5681/global-secrets?a"),
            ("http://127.9.9.9", "http://127.9.9.9", "http://127.9.9.9/global-secrets?a"),
        ] {
            let address = Address::parse(text, PlainHttp::OnLoopback).unwrap();
            assert_eq!(address.to_string(), shown);
            assert_eq!(address.join("/global-secrets?a").unwrap().to_string(), url);
        }
    }

    #[test]
    fn other_text_is_refused_with_the_reason() {
        for (text, wanted) in [
            ("", AddressError::NotAUrl),
            ("cp:5682", AddressError::NotAUrl),
            ("/global-secrets", AddressError::NotAUrl),
            ("https://:5682", AddressError::NotAUrl),
            ("https://a b", AddressError::NotAUrl),
            ("ftp://cp", AddressError::Scheme),
            ("https://admin:secret@cp", AddressError::Credentials),
            ("https://cp?token=secret", AddressError::Query),
            ("http://cp:5681", AddressError::PlainHttp),
            ("http://10.0.0.1:5681", AddressError::PlainHttp),
            ("http://localhost.example.org", AddressError::PlainHttp),
            ("http://127.0.0.1.example.org", AddressError::PlainHttp),
        ] {
            let error = Address::parse(text, PlainHttp::OnLoopback).unwrap_err();
            assert_eq!(error, wanted, "{text}");
            assert!(!error.to_string().contains("secret"));
        }
    }

    #[test]
    fn plain_http_to_another_machine_has_to_be_asked_for() {
        let address = Address::parse("http://cp:5681", PlainHttp::Anywhere).unwrap();
        assert_eq!(address.transport(), Transport::Http);
    }
}
