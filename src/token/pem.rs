//! PEM, read by the rules of Go's `encoding/pem` (`Decode`, Go 1.26), by which kuma-cp and kumactl read
//! every key.
//!
//! In: bytes. Out: their first [`Block`], or nothing if Go sees none; [`NotPem`](super::NotPem) then says what the
//! bytes are. The contents are not parsed. They may be a private key, so the contents and the working copies are wiped.
//!
//! The gate differs from RFC 7468 as Go does. Text may stand before and after the block, and headers (RFC 1421) and
//! blank lines in it. White space is space, tab, CR and LF. But BEGIN and END must each start a line, a line ends in LF
//! or CR LF, and a damaged block is skipped.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

pub(super) const BEGIN: &[u8] = b"-----BEGIN ";
const LINE_AND_END: &[u8] = b"\n-----END ";
const DASHES: &[u8] = b"-----";

/// As Go's `base64.StdEncoding`: padding is required, and spare bits of the last character may be anything.
const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

/// A PEM block.
pub struct Block<'a> {
    /// The text behind BEGIN and END, for example `PUBLIC KEY`.
    pub label: &'a [u8],
    /// The lines of its headers, for example `Proc-Type: 4,ENCRYPTED`.
    pub headers: &'a [u8],
    /// The bytes that the base64 encodes.
    pub contents: Zeroizing<Vec<u8>>,
}

impl<'a> Block<'a> {
    /// The first block that Go's `pem.Decode` finds in `text`.
    pub fn first(text: &'a [u8]) -> Option<Self> {
        let mut rest = text;
        loop {
            match attempt(rest)? {
                Attempt::Block(block) => return Some(block),
                Attempt::PassedOver { rest: behind } => rest = behind,
            }
        }
    }

    /// The label as text for an error, cut short.
    pub fn label_text(&self) -> String {
        String::from_utf8_lossy(self.label).chars().take(40).collect()
    }
}

enum Attempt<'a> {
    Block(Block<'a>),
    /// The text behind the word END that was tried.
    PassedOver {
        rest: &'a [u8],
    },
}

/// Looks at the first END in `text` and the last BEGIN before it. All slices here end where `text` ends, so
/// the longer one is the one that starts earlier.
fn attempt(text: &[u8]) -> Option<Attempt<'_>> {
    let at = find(text, LINE_AND_END)?;
    let (before, end) = text.split_at_checked(at)?;
    let trailer = end.get(LINE_AND_END.len()..)?;
    let passed_over = Some(Attempt::PassedOver { rest: trailer });
    let Some(begin) = last(before, BEGIN).filter(|begin| starts_a_line(before, *begin)) else {
        return passed_over;
    };
    let (begin_line, first_line) = split_line(text.get(begin.saturating_add(BEGIN.len())..)?);
    let Some(label) = begin_line.strip_suffix(DASHES) else { return passed_over };
    let body = behind_headers(first_line);
    let has_headers = body.len() < first_line.len();
    if has_headers && body.len() < end.len() {
        // The headers extend over END. Go gives up if they end behind the word itself.
        return if trailer.len() > body.len() { None } else { passed_over };
    }
    if !is_end_of(label, trailer) {
        return passed_over;
    }
    let length = body.len().saturating_sub(end.len());
    let headers = first_line.get(..first_line.len().saturating_sub(body.len()))?;
    match decode(body.get(..length)?) {
        Some(contents) => Some(Attempt::Block(Block { label, headers, contents })),
        None => passed_over,
    }
}

fn starts_a_line(text: &[u8], at: usize) -> bool {
    text.get(..at).is_some_and(|before| before.is_empty() || before.ends_with(b"\n"))
}

/// The text behind the headers, which are the lines with a colon.
fn behind_headers(mut text: &[u8]) -> &[u8] {
    while !text.is_empty() {
        let (line, next) = split_line(text);
        if !line.contains(&b':') {
            return text;
        }
        text = next;
    }
    text
}

/// Whether `trailer`, the text behind `-----END `, closes a block of this label: the label, dashes, and nothing else on
/// the line.
fn is_end_of(label: &[u8], trailer: &[u8]) -> bool {
    let behind = trailer.strip_prefix(label).and_then(|rest| rest.strip_prefix(DASHES));
    behind.is_some_and(|rest| split_line(rest).0.is_empty())
}

/// The first line without its end (LF or CR LF) and the spaces and tabs before that; then the text behind it.
pub(super) fn split_line(text: &[u8]) -> (&[u8], &[u8]) {
    let (line, rest) = match memchr::memchr(b'\n', text).and_then(|at| text.split_at_checked(at)) {
        Some((line, rest)) => (line.strip_suffix(b"\r").unwrap_or(line), rest.get(1..)),
        None => (text, None),
    };
    let blanks = line.iter().rev().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let line = line.get(..line.len().saturating_sub(blanks)).unwrap_or_default();
    (line, rest.unwrap_or_default())
}

/// The bytes of which `text` is the base64, in one line or several.
pub fn decode(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    // Allocated at full size, because a buffer that grows leaves copies behind.
    let mut packed = Zeroizing::new(Vec::with_capacity(text.len()));
    packed.extend(text.iter().filter(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n')));
    let mut bytes = Zeroizing::new(vec![0; base64::decoded_len_estimate(packed.len())]);
    let length = ENGINE.decode_slice(packed.as_slice(), &mut bytes).ok()?;
    bytes.truncate(length);
    Some(bytes)
}

pub(super) fn find(text: &[u8], word: &[u8]) -> Option<usize> {
    text.windows(word.len()).position(|window| window == word)
}

fn last(text: &[u8], word: &[u8]) -> Option<usize> {
    text.windows(word.len()).rposition(|window| window == word)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use super::*;

    const GOOD: &str = "-----BEGIN A-----\nQUJD\n-----END A-----\n";

    fn read(text: &str) -> Option<(String, Vec<u8>)> {
        let block = Block::first(text.as_bytes())?;
        Some((block.label_text(), block.contents.to_vec()))
    }

    /// Go 1.26 gave each of these results.
    #[test]
    fn blocks_that_go_reads_are_read() {
        for text in [
            GOOD.to_owned(),
            GOOD.trim_end().to_owned(),
            GOOD.replace('\n', "\r\n"),
            GOOD.replace('\n', " \t\r\n"),
            GOOD.replace("QUJD", "\n Q U\tJ\rD \n\n"),
            GOOD.replace("QUJD", "a: b\nc:d\n\nQUJD"),
            GOOD.replace("QUJD", "a: b\nQUJD"),
            format!("words\n{GOOD}words"),
            format!("-----BEGIN A-----\n{GOOD}"),
            format!("-----BEGIN A-----\nQ*JD\n-----END A-----\n{GOOD}"),
            format!("-----END A-----\n{GOOD}"),
            // Headers up to END: the block is skipped, and the next one is read.
            format!("{}{GOOD}", GOOD.replace("QUJD", "a: b")),
            // Go takes the text behind END for the start of a line.
            format!("\n-----END {GOOD}"),
        ] {
            assert_eq!(read(&text), Some(("A".into(), b"ABC".to_vec())), "{text:?}");
        }
        assert_eq!(read("-----BEGIN A-----\n-----END A-----"), Some(("A".into(), vec![])));
        assert_eq!(read("-----BEGIN -----\n\n-----END -----"), Some(("".into(), vec![])));
        // The line break before END is not one of a header.
        assert_eq!(read(&GOOD.replace("QUJD", "a: b\n")), Some(("A".into(), vec![])));
        let spare_bits = GOOD.replace("QUJD", "QR=\n=");
        assert_eq!(read(&spare_bits), Some(("A".into(), b"A".to_vec())));
    }

    /// Go 1.26 gave each of these results.
    #[test]
    fn blocks_that_go_does_not_see_are_not_read() {
        for text in [
            "".to_owned(),
            GOOD.replace('\n', " "),
            GOOD.replace('\n', "\r"),
            GOOD.replace('\n', "\r\r\n"),
            GOOD.replace('\n', "\n\r"),
            GOOD.replace('\n', "\u{b}"),
            GOOD.replace('\n', "\u{85}"),
            GOOD.replace('\n', "\u{2028}"),
            GOOD.trim_end().to_owned() + "\r",
            GOOD.replace("\n-----END", "\n -----END"),
            GOOD.replace("\n-----END", "-----END"),
            GOOD.replace("END A-----", "END A------"),
            GOOD.replace("END A-----", "END A-----\u{a0}"),
            GOOD.replace("END A-----", "END A----- x"),
            GOOD.replace("END A-----", "END B-----"),
            GOOD.replace("BEGIN A-----\n", "BEGIN A-----"),
            GOOD.replace("BEGIN A-----", "BEGIN A-----\u{a0}"),
            GOOD.replace("QUJD", "QUJ"),
            GOOD.replace("QUJD", "QQ==QUJD"),
            GOOD.replace("QUJD", "QU-_"),
            GOOD.replace("QUJD", "a: b"),
            // The END line is a header itself.
            format!("-----BEGIN A-----\na: b\n-----END A: -----\n{GOOD}"),
            format!(" {GOOD}"),
            format!("\u{feff}{GOOD}"),
        ] {
            assert_eq!(read(&text), None, "{text:?}");
        }
    }
}
