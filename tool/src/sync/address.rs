//! The address of a control plane's API server.
//!
//! In: a URL as kumactl takes it. Out: an [`Address`] to which an admin token may be sent. Plain HTTP
//! is refused unless the server is on this machine or the operator says otherwise. Whether anything
//! listens there is not checked.

use std::fmt;
use std::net::IpAddr;

use http::Uri;
use http::uri::Scheme;

/// Where the API server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    scheme: Transport,
    /// Host and port.
    authority: String,
    /// What stands before the API's own paths, without a slash at its end.
    prefix: String,
}

/// How the API server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// By TLS.
    Https,
    /// In the clear.
    Http,
}

/// Where plain HTTP may carry the admin token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlainHttp {
    /// To this machine.
    OnLoopback,
    /// To any.
    Anywhere,
}

/// Why a text is not an address. The text is not repeated: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressError {
    /// Not a URL with a host.
    NotAUrl,
    /// Neither `http` nor `https`.
    Scheme,
    /// A name or a password in it.
    Credentials,
    /// A `?` in it.
    Query,
    /// The token would cross a network in the clear.
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
                "everyone on the way could read the admin token and the signing keys: use https:// \
                 and port 5682, or say --insecure-http if the way is protected otherwise"
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

    /// Whether TLS is spoken there.
    pub fn transport(&self) -> Transport {
        self.scheme
    }

    /// The URL of a path with its query, such as `/global-secrets?size=1`.
    ///
    /// # Errors
    /// It makes no URL.
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
    fn what_is_no_address_is_refused_by_name() {
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
