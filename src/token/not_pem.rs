//! Texts that should be a PEM block and are not.
//!
//! In: bytes in which Go's `pem.Decode` sees no block. Out: what they are, and how to convert them. This is a guess for
//! messages: no key is accepted by it. kuma-cp does not check for a missing block: its `pkg/util/rsa/pem.go`
//! dereferences nil, and the process crashes.

use std::fmt;

use super::der::DerKind;
use super::pem::{self, BEGIN};

/// What a text is in which Go sees no PEM block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotPem {
    /// Unknown.
    Other,
    /// White space.
    Empty,
    /// Neither text nor DER.
    Binary,
    /// UTF-16.
    Utf16,
    /// PEM behind a byte order mark.
    ByteOrderMark,
    /// PEM whose BEGIN line is indented.
    Indented,
    /// PEM in quotation marks.
    Quoted,
    /// PEM behind something else on its first line.
    NotAtLineStart,
    /// PEM with a backslash and an n for each line end.
    LiteralLineEnds,
    /// PEM with CR for each line end.
    CarriageReturns,
    /// PEM on one line.
    OneLine,
    /// PEM whose BEGIN line has no end, or something behind it.
    BeginLine,
    /// PEM without a good END line.
    EndLine,
    /// PEM whose base64 is damaged.
    Base64,
    /// Base64 of PEM, as `generate signing-key` prints by default.
    Base64OfPem,
    /// Base64 of DER, so the inside of a PEM block.
    Base64OfDer(DerKind),
    /// DER.
    Der(DerKind),
    /// A JSON Web Key (RFC 7517), or a set of them.
    Jwk,
    /// A public key in a format of ssh.
    Ssh,
}

impl fmt::Display for NotPem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Other => "no line of it begins with -----BEGIN",
            Self::Empty => "it is empty",
            Self::Binary => "it is neither text nor a key in DER",
            Self::Utf16 => "it is UTF-16: convert it (iconv -f UTF-16 -t UTF-8 FILE)",
            Self::ByteOrderMark => {
                "a byte order mark stands before its first line: remove it (tail -c +4 FILE)"
            }
            Self::Indented => {
                "its BEGIN line is indented: remove the white space (sed 's/^[[:space:]]*//' FILE)"
            }
            Self::Quoted => "quotation marks stand around it: remove them (tr -d '\"' <FILE)",
            Self::NotAtLineStart => "-----BEGIN does not stand at the start of its line",
            Self::LiteralLineEnds => {
                "each of its line ends is a backslash and an n: replace each with a real line end \
                 (sed 's/\\\\n/\\n/g' FILE)"
            }
            Self::CarriageReturns => "its lines end in CR: convert them (tr '\\r' '\\n' <FILE)",
            Self::OneLine => {
                "all of it stands on one line: keep its line ends (in YAML, key: | and not key: >)"
            }
            Self::BeginLine => "its BEGIN line does not end in ----- and a line end",
            Self::EndLine => {
                "its END line is missing or damaged: the same as BEGIN, on a line of its own"
            }
            Self::Base64 => "its base64 is damaged",
            Self::Base64OfPem => "this looks like base64 of a PEM: decode it first (base64 -d)",
            Self::Base64OfDer(_) => {
                "this looks like a key in base64 without its BEGIN and END lines: decode it \
                 (base64 -d), then convert it from DER"
            }
            Self::Der(DerKind::Spki) => {
                "a public key in DER: convert it (openssl pkey -pubin -inform DER -in FILE)"
            }
            Self::Der(DerKind::Pkcs1Public) => {
                "a public key in DER: convert it (openssl rsa -RSAPublicKey_in -inform DER \
                 -RSAPublicKey_out -in FILE)"
            }
            Self::Der(DerKind::Certificate) => {
                "a certificate in DER: take the key out of it (openssl x509 -inform DER -noout \
                 -pubkey -in FILE)"
            }
            Self::Der(DerKind::Pkcs12) => {
                "a PKCS#12 file: take the key out of it (openssl pkcs12 -nokeys -in FILE | openssl \
                 x509 -noout -pubkey)"
            }
            Self::Der(_) => "a private key in DER",
            Self::Jwk => {
                "a JSON Web Key: print the key as PEM (zonegate generate public-key without \
                 --format jwk)"
            }
            Self::Ssh => "a public key of ssh: convert it (ssh-keygen -e -m PKCS8 -f FILE)",
        })
    }
}

impl NotPem {
    /// What `text` is, if it has no [`Block`](pem::Block).
    pub fn of(text: &[u8]) -> Self {
        if let Some(kind) = DerKind::of(text) {
            return Self::Der(kind);
        }
        match text {
            [0xFE, 0xFF, ..] | [0xFF, 0xFE, ..] | [b'-', 0, ..] | [0, b'-', ..] => Self::Utf16,
            _ if text.trim_ascii().is_empty() => Self::Empty,
            _ => match pem::find(text, BEGIN).and_then(|at| text.split_at_checked(at)) {
                Some((before, armour)) => damage(before, armour),
                None => without_armour(text.trim_ascii()),
            },
        }
    }

    /// Whether it is a private key.
    pub fn is_private_key(self) -> bool {
        matches!(self, Self::Der(kind) | Self::Base64OfDer(kind) if kind.is_private())
    }
}

fn without_armour(text: &[u8]) -> NotPem {
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    if text.starts_with(b"{") && pem::find(text, b"\"kty\"").is_some() {
        return NotPem::Jwk;
    }
    if text.starts_with(b"ssh-") || text.starts_with(b"---- BEGIN SSH2 ") {
        return NotPem::Ssh;
    }
    match pem::decode(text) {
        Some(bytes) if pem::find(&bytes, BEGIN).is_some() => NotPem::Base64OfPem,
        Some(bytes) => DerKind::of(&bytes).map_or(NotPem::Other, NotPem::Base64OfDer),
        None if std::str::from_utf8(text).is_err() => NotPem::Binary,
        None => NotPem::Other,
    }
}

/// Why Go does not see the block that begins with `armour`; `before` is the text before it.
fn damage(before: &[u8], armour: &[u8]) -> NotPem {
    let line_before = before.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    let has = |word: &[u8]| pem::find(armour, word).is_some();
    if has(b"\\n") {
        return NotPem::LiteralLineEnds;
    }
    if let Some(why) = what_precedes(line_before) {
        return why;
    }
    let (first, rest) = pem::split_line(armour);
    let label = first.strip_prefix(BEGIN).and_then(|line| line.strip_suffix(b"-----"));
    match label {
        // Tested before the label, because a PEM on one line ends in dashes too.
        _ if pem::find(first, b"-----END ").is_some() && first.contains(&b'\r') => {
            NotPem::CarriageReturns
        }
        _ if pem::find(first, b"-----END ").is_some() => NotPem::OneLine,
        None => NotPem::BeginLine,
        Some(label) if has_end_line(label, rest) => NotPem::Base64,
        Some(_) => NotPem::EndLine,
    }
}

fn what_precedes(line: &[u8]) -> Option<NotPem> {
    let text = String::from_utf8_lossy(line);
    match text.trim() {
        _ if line.is_empty() => None,
        "\u{FEFF}" => Some(NotPem::ByteOrderMark),
        "" => Some(NotPem::Indented),
        quoted if quoted.ends_with(['"', '\'', '`', '“', '„']) => Some(NotPem::Quoted),
        _ => Some(NotPem::NotAtLineStart),
    }
}

fn has_end_line(label: &[u8], mut text: &[u8]) -> bool {
    while !text.is_empty() {
        let (line, rest) = pem::split_line(text);
        let inner = line.strip_prefix(b"-----END ").and_then(|line| line.strip_suffix(b"-----"));
        if inner == Some(label) {
            return true;
        }
        text = rest;
    }
    false
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    const GOOD: &str = include_str!("../../tests/data/key-1.pub.pem");

    #[test]
    fn texts_without_armour_are_recognised() {
        let utf16: Vec<u8> = GOOD.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let base64 = STANDARD.encode(GOOD);
        let body: String = GOOD.lines().filter(|line| !line.starts_with('-')).collect();
        let der = STANDARD.decode(&body).unwrap();
        let kind = DerKind::of(&der).unwrap();
        for (text, wanted) in [
            (b"".as_slice(), NotPem::Empty),
            (b" \n\t", NotPem::Empty),
            (b"hello", NotPem::Other),
            (&[0xFF, 0xD8, 0x80], NotPem::Binary),
            (&utf16, NotPem::Utf16),
            (&[&[0xFF, 0xFE], utf16.as_slice()].concat(), NotPem::Utf16),
            (base64.as_bytes(), NotPem::Base64OfPem),
            (body.as_bytes(), NotPem::Base64OfDer(kind)),
            (&der, NotPem::Der(kind)),
            (b"{\"kty\":\"RSA\",\"n\":\"AQ\"}", NotPem::Jwk),
            (b"{\"keys\": [{\"kty\":\"RSA\"}]}", NotPem::Jwk),
            (b"{}", NotPem::Other),
            (b"ssh-rsa AAAAB3NzaC1yc2E= me@here", NotPem::Ssh),
        ] {
            assert!(pem::Block::first(text).is_none());
            assert_eq!(NotPem::of(text), wanted, "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn damage_of_the_armour_is_recognised() {
        let indented: String = GOOD.lines().map(|line| format!("  {line}\n")).collect();
        let no_end = GOOD.split("-----END").next().unwrap();
        for (text, wanted) in [
            (format!("\u{feff}{GOOD}"), NotPem::ByteOrderMark),
            (indented, NotPem::Indented),
            (format!("\u{a0}{GOOD}"), NotPem::Indented),
            (format!("\"{GOOD}\""), NotPem::Quoted),
            (format!("key: \"{GOOD}\""), NotPem::Quoted),
            (format!("key: {GOOD}"), NotPem::NotAtLineStart),
            (GOOD.replace('\n', "\\n"), NotPem::LiteralLineEnds),
            (format!("\"{}\"", GOOD.replace('\n', "\\n")), NotPem::LiteralLineEnds),
            (GOOD.replace('\n', "\r"), NotPem::CarriageReturns),
            (GOOD.replace('\n', " "), NotPem::OneLine),
            (GOOD.replace('\n', "\u{2028}"), NotPem::OneLine),
            (GOOD.replace('\n', "\r\r\n"), NotPem::BeginLine),
            (GOOD.replacen("-----\n", "-----", 1), NotPem::BeginLine),
            (GOOD.replacen("-----\n", "-----\u{a0}\n", 1), NotPem::BeginLine),
            (no_end.to_owned(), NotPem::EndLine),
            (GOOD.replace("-----END", " -----END"), NotPem::EndLine),
            (GOOD.replace("\n-----END", "-----END"), NotPem::EndLine),
            (GOOD.trim_end().to_owned() + "-", NotPem::EndLine),
            (GOOD.trim_end().to_owned() + "\u{a0}", NotPem::EndLine),
            (GOOD.replace("END RSA", "END"), NotPem::EndLine),
            (GOOD.replace("MII", "MI*"), NotPem::Base64),
        ] {
            assert!(pem::Block::first(text.as_bytes()).is_none());
            assert_eq!(NotPem::of(text.as_bytes()), wanted, "{text:?}");
        }
    }
}
