//! PEM armour around a private key (RFC 7468), without copies of the key that stay in memory.
//!
//! In: text. Out: the label of its first block and what is inside. As laxly as Go's `pem.Decode`:
//! text around the block, CRLF, PEM headers and one long line are fine. What the block holds is not
//! read. (Crate pem would do, but it leaves its working copies behind.)

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::SigningKeyError;

const BEGIN: &str = "-----BEGIN ";

/// One PEM block.
pub(super) struct Block<'a> {
    pub(super) label: &'a str,
    /// Whether a header says that the contents are encrypted (RFC 1421 §4.6.1.1).
    pub(super) is_encrypted: bool,
    pub(super) contents: Zeroizing<Vec<u8>>,
}

/// The first block of `text`.
pub(super) fn first_block(text: &str) -> Result<Block<'_>, SigningKeyError> {
    let mut lines = text.lines();
    let label = lines.by_ref().find_map(label).ok_or_else(|| no_block(text))?;
    let end = format!("-----END {label}-----");
    let mut body = Zeroizing::new(String::with_capacity(text.len()));
    let mut is_encrypted = false;
    for line in lines.map(str::trim) {
        if line == end {
            let contents = decode(&body).ok_or(SigningKeyError::BrokenPem)?;
            return Ok(Block { label, is_encrypted, contents });
        }
        match line.contains(':') {
            true => is_encrypted |= line.contains("ENCRYPTED"),
            false => body.push_str(line),
        }
    }
    Err(SigningKeyError::BrokenPem)
}

/// The bytes of which `text` is the base64, in one line or several.
pub(super) fn packed(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut packed = Zeroizing::new(String::with_capacity(text.len()));
    packed.extend(text.split_whitespace());
    decode(&packed)
}

/// Whether a PEM block begins in `text`.
pub(super) fn holds_pem(text: &str) -> bool {
    text.contains(BEGIN)
}

fn label(line: &str) -> Option<&str> {
    line.trim_end().strip_prefix(BEGIN)?.strip_suffix("-----")
}

fn decode(packed: &str) -> Option<Zeroizing<Vec<u8>>> {
    STANDARD.decode(packed).ok().map(Zeroizing::new)
}

fn no_block(text: &str) -> SigningKeyError {
    match text {
        _ if text.trim().is_empty() => SigningKeyError::Empty,
        _ if is_base64_of_pem(text) => SigningKeyError::Base64OfPem,
        _ => SigningKeyError::NotPem,
    }
}

fn is_base64_of_pem(text: &str) -> bool {
    packed(text).is_some_and(|bytes| std::str::from_utf8(&bytes).is_ok_and(holds_pem))
}
