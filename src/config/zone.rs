//! The name of a zone.
//!
//! In: what a configuration says. Out: whether a control plane can have that name, and whether it is meant.
//! That it is the name of the control plane behind the gate is not known here.

use std::fmt;
use std::net::IpAddr;

use crate::text::Quoted;

/// Why a name may not be meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ZoneDoubt {
    /// It is a placeholder.
    Placeholder,
    /// Kuma 3.0 takes names of RFC 1035 only.
    NotInKuma3,
}

/// Why no control plane has such a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ZoneError {
    /// It is empty.
    Empty,
    /// It is longer than a name in DNS.
    TooLong(usize),
    /// White space is in it.
    WhiteSpace(String),
    /// A control character is in it.
    ControlCharacter(String),
    /// It has quotes.
    Quotes(String),
    /// It is no name in DNS.
    NotAName(String),
}

impl fmt::Display for ZoneDoubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Placeholder => "it looks like a placeholder that nobody has filled in",
            Self::NotInKuma3 => {
                "Kuma 3.0 takes only lower-case letters, digits and hyphens, from a letter on \
                 (RFC 1035); earlier releases take it"
            }
        })
    }
}

impl fmt::Display for ZoneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (zone, why) = match self {
            Self::Empty => return f.write_str("must not be empty"),
            Self::TooLong(length) => {
                return write!(f, "{length} characters: kuma-cp takes {MAX} at most");
            }
            Self::WhiteSpace(zone) => {
                (zone, "white space is in it (a line break of a YAML block?)")
            }
            Self::ControlCharacter(zone) => (zone, "a control character is in it"),
            Self::Quotes(zone) => (zone, "quotes are in it"),
            Self::NotAName(zone) => {
                (zone, "only letters, digits, - _ and dots between them make a name")
            }
        };
        write!(f, "{}: kuma-cp takes no such name: {why}", Quoted(zone))
    }
}

impl std::error::Error for ZoneError {}

/// Longer than a label of DNS (RFC 1035 §2.3.4) kuma-cp takes none.
const MAX: usize = 63;

/// Looks at the name of a zone, as kuma-cp 2.14 does (`pkg/config/multizone`: govalidator's `IsDNSName`).
///
/// # Errors
/// No control plane has such a name.
pub fn zone(name: &str) -> Result<Option<ZoneDoubt>, ZoneError> {
    if name.is_empty() {
        return Err(ZoneError::Empty);
    }
    // Whoever checks a template, checks it before it is filled in.
    if is_placeholder(name) {
        return Ok(Some(ZoneDoubt::Placeholder));
    }
    let owned = || name.to_owned();
    match () {
        () if name.contains(char::is_whitespace) => Err(ZoneError::WhiteSpace(owned())),
        () if name.contains(char::is_control) => Err(ZoneError::ControlCharacter(owned())),
        () if name.contains(['"', '\'']) => Err(ZoneError::Quotes(owned())),
        () if name.chars().count() > MAX => Err(ZoneError::TooLong(name.chars().count())),
        () if !is_dns_name(name) => Err(ZoneError::NotAName(owned())),
        () => Ok((!is_rfc_1035(name)).then_some(ZoneDoubt::NotInKuma3)),
    }
}

/// As a shell, Helm or a template engine has them.
fn is_placeholder(name: &str) -> bool {
    let is_between = |start, end| name.starts_with(start) && name.ends_with(end);
    let has_control = name.contains(char::is_control);
    !has_control
        && (is_between("${", "}")
            || is_between("{{", "}}")
            || is_between("<", ">")
            || is_between("$(", ")"))
}

/// `^([a-zA-Z0-9_][a-zA-Z0-9_-]{0,62})(\.[a-zA-Z0-9_][a-zA-Z0-9_-]{0,62})*[\._]?$`, and no address.
fn is_dns_name(name: &str) -> bool {
    let is_label = |label: &str| {
        label.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
    };
    let name_proper = name.strip_suffix('.').unwrap_or(name);
    name_proper.split('.').all(is_label) && name.parse::<IpAddr>().is_err()
}

fn is_rfc_1035(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kuma_takes_is_taken_and_the_rest_has_a_reason() {
        for name in ["east", "us-east-1", "e"] {
            assert_eq!(zone(name), Ok(None), "{name}");
        }
        for name in ["East", "us_east", "1", "1.50", "eu.west", "east.", "_", "a-"] {
            assert_eq!(zone(name), Ok(Some(ZoneDoubt::NotInKuma3)), "{name}");
        }
        for name in ["${ZONE}", "{{ zone }}", "<zone>", "$(ZONE)"] {
            assert_eq!(zone(name), Ok(Some(ZoneDoubt::Placeholder)), "{name}");
        }
        let of = |name: &str| zone(name).map_err(|error| error.to_string());
        for (name, why) in [
            ("", "must not be empty"),
            ("east\n", "\"east\\n\": kuma-cp takes no such name: white space"),
            ("us east", "\"us east\": kuma-cp takes no such name: white space"),
            (
                "east\0KUMA_MODE=zone\0",
                "\"east\\u{0}KUMA_MODE=zone\\u{0}\": kuma-cp takes no such name: a control",
            ),
            ("\"east\"", "\"\\\"east\\\"\": kuma-cp takes no such name: quotes"),
            ("-east", "\"-east\": kuma-cp takes no such name: only letters"),
            ("a..b", "\"a..b\": kuma-cp takes no such name: only letters"),
            ("$ZONE", "\"$ZONE\": kuma-cp takes no such name: only letters"),
            ("öst", "\"\\u{f6}st\": kuma-cp takes no such name: only letters"),
            ("10.0.0.1", "\"10.0.0.1\": kuma-cp takes no such name"),
            (&"e".repeat(64), "64 characters: kuma-cp takes 63 at most"),
        ] {
            assert!(
                of(name).is_err_and(|error| error.starts_with(why)),
                "{name:?}: {:?}",
                of(name)
            );
        }
        assert_eq!(zone(&"e".repeat(63)), Ok(None));
    }
}
