//! A text that was given as a token, and the token in it.
//!
//! In: a text as people paste it and programs print it. Out: the bare token, and a sentence about each thing around it;
//! or what the text is instead of a token. Whether the token is good is judged elsewhere.

use serde_json::Value;
use zeroize::Zeroizing;

/// A text that was given as a token.
pub(super) struct Pasted {
    /// The token in it. If there is none: the text, without the white space around it, which kuma-dp also removes.
    pub(super) token: Zeroizing<Vec<u8>>,
    /// Why the text is not a bare token, as kuma-dp needs it. Empty if it is.
    pub(super) faults: Vec<String>,
    /// What the text is, if it is known not to be a token.
    pub(super) other: Option<&'static str>,
}

/// The limit for wrappings around a token.
const DEPTH: usize = 6;

impl Pasted {
    /// Reads `text`.
    pub(super) fn read(text: &[u8]) -> Self {
        let mut token = Zeroizing::new(text.trim_ascii().to_vec());
        let mut faults = Vec::new();
        for _ in 0..DEPTH {
            let Some((fault, inner)) = unwrapped(&token) else { break };
            if !faults.contains(&fault) {
                faults.push(fault);
            }
            token = Zeroizing::new(inner.trim_ascii().to_vec());
        }
        let other = other(&token);
        Self { token, faults, other }
    }

    /// Everything that is wrong with the text, in one sentence; `None` if it is a bare token, or damaged.
    pub(super) fn fault(&self) -> Option<String> {
        let all: Vec<&str> = self.faults.iter().map(String::as_str).chain(self.other).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }

    /// Whether the text has something around what may be a token.
    pub(super) fn is_wrapped(&self) -> bool {
        !self.faults.is_empty() && self.other.is_none()
    }
}

type Unwrapped = (String, Zeroizing<Vec<u8>>);

/// The fault of what is around a token, and the text without it.
fn unwrapped(text: &[u8]) -> Option<Unwrapped> {
    utf16(text)
        .or_else(|| byte_order_mark(text))
        .or_else(|| json(text))
        .or_else(|| quotes(text))
        .or_else(|| scheme(text))
        .or_else(|| line_breaks(text))
}

/// UTF-16, as PowerShell writes files.
fn utf16(text: &[u8]) -> Option<Unwrapped> {
    let (units, read): (_, fn([u8; 2]) -> u16) = match text {
        [0xff, 0xfe, units @ ..] => (units, u16::from_le_bytes),
        [0xfe, 0xff, units @ ..] => (units, u16::from_be_bytes),
        _ => return None,
    };
    let units: Vec<u16> = units.as_chunks().0.iter().map(|unit| read(*unit)).collect();
    let text = Zeroizing::new(String::from_utf16(&units).ok()?);
    Some(("it is UTF-16: save it as UTF-8 or ASCII".to_owned(), bytes(&text)))
}

fn byte_order_mark(text: &[u8]) -> Option<Unwrapped> {
    let rest = text.strip_prefix(b"\xef\xbb\xbf")?;
    let fault = "a byte order mark stands before it: save it as UTF-8 without BOM";
    Some((fault.to_owned(), Zeroizing::new(rest.to_vec())))
}

/// The members with a token, in responses of identity providers, kumactl and Kubernetes.
const MEMBERS: [&str; 6] = ["access_token", "token", "id_token", "dataplaneToken", "jwt", "data"];

fn json(text: &[u8]) -> Option<Unwrapped> {
    if !text.starts_with(b"{") {
        return None;
    }
    let file: Value = serde_json::from_slice(text).ok()?;
    let (name, token) = MEMBERS.iter().find_map(|name| Some((name, file.get(name)?.as_str()?)))?;
    Some((format!("it is JSON: the token is its {name}, which jq -r .{name} prints"), bytes(token)))
}

fn quotes(text: &[u8]) -> Option<Unwrapped> {
    let inner = match text {
        [b'"', inner @ .., b'"'] | [b'\'', inner @ .., b'\''] | [b'`', inner @ .., b'`'] => inner,
        _ => return None,
    };
    Some(("it is in quotes (jq without -r?)".to_owned(), Zeroizing::new(inner.to_vec())))
}

fn scheme(text: &[u8]) -> Option<Unwrapped> {
    let (text, header) = match split_word(text, b"authorization:") {
        Some(rest) => (rest, "it is a whole header: give what stands behind Authorization: Bearer"),
        None => (text, ""),
    };
    match (split_word(text, b"bearer"), header) {
        (Some(rest), _) => {
            let fault = "it begins with Bearer: Kuma wants the bare token";
            Some((fault.to_owned(), Zeroizing::new(rest.to_vec())))
        }
        (None, "") => None,
        (None, header) => Some((header.to_owned(), Zeroizing::new(text.to_vec()))),
    }
}

/// The text after a word and white space.
fn split_word<'a>(text: &'a [u8], word: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = text.split_at_checked(word.len())?;
    let is_it =
        start.eq_ignore_ascii_case(word) && rest.first().is_some_and(u8::is_ascii_whitespace);
    is_it.then(|| rest.trim_ascii_start())
}

/// Line breaks, as `fold`, mail programs and terminals put them into a long line.
fn line_breaks(text: &[u8]) -> Option<Unwrapped> {
    if !text.iter().any(|byte| matches!(byte, b'\r' | b'\n')) || other(text).is_some() {
        return None;
    }
    let joined = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    Some(("a line break is in it: no header can carry it".to_owned(), Zeroizing::new(joined)))
}

fn bytes(text: &str) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(text.as_bytes().to_vec())
}

/// What the text is, if it is known not to be a token.
fn other(text: &[u8]) -> Option<&'static str> {
    let begins =
        |word: &[u8]| text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    let is_encrypted =
        text.starts_with(b"ey") && text.iter().filter(|byte| **byte == b'.').count() == 4;
    match () {
        () if text == b"null" || text == b"undefined" => Some(
            "it is null, which jq prints for a missing field: the command that should print the token has failed",
        ),
        () if begins(b"<") => {
            Some("it is HTML or XML: a login page, or what a proxy says of an error?")
        }
        () if begins(b"basic ") => {
            Some("it is Basic authentication, a user's name and password: Kuma wants a token")
        }
        () if begins(b"-----BEGIN ") => Some("it is a PEM block: a key or a certificate, no token"),
        // RFC 7516 §7.1.
        () if is_encrypted => {
            Some("it has 5 segments, as an encrypted token has: a signed one has 3")
        }
        () => None,
    }
}

#[cfg(test)]
#[allow(clippy::string_slice)] // a test may panic
mod tests {
    use super::*;

    const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.e30.AAAA";

    #[test]
    fn a_token_is_found_in_its_wrapping() {
        let utf16: Vec<u8> = [0xfeff_u16]
            .into_iter()
            .chain(format!("{TOKEN}\r\n").encode_utf16())
            .flat_map(u16::to_le_bytes)
            .collect();
        let json = format!("{{\"access_token\": \"{TOKEN}\\n\", \"token_type\": \"Bearer\"}}");
        let wrapped = format!("{}\n  {}\r\n", &TOKEN[..9], &TOKEN[9..]);
        for (text, wanted) in [
            (format!(" {TOKEN}\n").into_bytes(), &[][..]),
            (format!("Bearer {TOKEN}").into_bytes(), &["it begins with Bearer"]),
            (format!("bearer\t{TOKEN}").into_bytes(), &["it begins with Bearer"]),
            (format!("Authorization: Bearer {TOKEN}").into_bytes(), &["it begins with Bearer"]),
            (format!("authorization: {TOKEN}").into_bytes(), &["it is a whole header"]),
            (format!("\"{TOKEN}\"\n").into_bytes(), &["it is in quotes"]),
            (
                format!("'Bearer {TOKEN}'").into_bytes(),
                &["it is in quotes", "it begins with Bearer"],
            ),
            (format!("\u{feff}{TOKEN}").into_bytes(), &["a byte order mark"]),
            (utf16, &["it is UTF-16"]),
            (json.into_bytes(), &["it is JSON: the token is its access_token"]),
            (wrapped.into_bytes(), &["a line break is in it"]),
        ] {
            let pasted = Pasted::read(&text);
            assert_eq!(*pasted.token, TOKEN.as_bytes(), "{wanted:?}");
            assert_eq!(pasted.faults.len(), wanted.len(), "{:?}", pasted.faults);
            assert!(pasted.faults.iter().zip(wanted).all(|(said, it)| said.starts_with(it)));
            assert_eq!((pasted.other, pasted.is_wrapped()), (None, !wanted.is_empty()));
        }
    }

    #[test]
    fn a_text_that_is_not_a_token_is_named() {
        for (text, wanted) in [
            ("null\n", "it is null"),
            ("\"null\"", "it is in quotes (jq without -r?); it is null"),
            ("<!DOCTYPE html>\n<html>", "it is HTML"),
            ("Basic YTpi", "it is Basic authentication"),
            ("eyJh.a.b.c.d", "it has 5 segments"),
            ("-----BEGIN RSA PUBLIC KEY-----\nx", "it is a PEM block"),
        ] {
            let pasted = Pasted::read(text.as_bytes());
            let fault = pasted.fault().unwrap_or_default();
            assert!(fault.starts_with(wanted), "{text}: {fault}");
            assert!(!pasted.is_wrapped());
        }
        assert_eq!(Pasted::read(b"garbage").fault(), None);
    }
}
