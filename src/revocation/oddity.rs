//! What is odd about the entries of a revocation list.
//!
//! In: entries that are not UUIDs in Kuma's spelling. Out: for each kind of slip, how many entries have it, and the first
//! of them. A whole token is never repeated. An odd entry is revoked all the same, because a token may have any ID.

use std::fmt;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::reader::{Entry, Place, uuid};
use crate::text::Quoted;
use crate::token::Unverified;

/// Why an entry is not an ID that tokens have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Oddity {
    /// A whole token.
    Token,
    /// Longer than the longest token.
    TooLong,
    /// A quote or a bracket at an end.
    Quoted,
    /// A character that does not show.
    Invisible,
    /// A dash that is no hyphen.
    Dash,
    /// A separator that is not Kuma's.
    Separator,
    /// Base64 of a list.
    Base64,
    /// The start of a comment, which this text has none of.
    Comment,
    /// A UUID with letters in upper case.
    UpperCase,
}

/// The longest ID that a token can have. No ID is longer than the longest token.
pub(super) const MAX_ID: usize = 65_536;

impl Entry<'_> {
    /// What is odd about it.
    pub fn oddity(&self) -> Option<Oddity> {
        Oddity::of(self.id)
    }
}

impl Oddity {
    /// What is odd about `id`.
    pub fn of(id: &str) -> Option<Self> {
        if uuid(id).is_some() {
            return None;
        }
        if id.len() > MAX_ID {
            return Some(if is_token(id) { Self::Token } else { Self::TooLong });
        }
        let has = |is_such: fn(char) -> bool| id.contains(is_such);
        match () {
            () if is_token(id) => Some(Self::Token),
            () if id.starts_with(is_mark) || id.ends_with(is_mark) => Some(Self::Quoted),
            () if has(is_invisible) => Some(Self::Invisible),
            () if has(is_dash) => Some(Self::Dash),
            () if id != Entry::BLANK && has(is_separator) => Some(Self::Separator),
            () if id.starts_with('#') => Some(Self::Comment),
            () if is_base64_of_a_list(id) => Some(Self::Base64),
            () if is_upper_case_uuid(id) => Some(Self::UpperCase),
            () => None,
        }
    }

    /// Whether an issuer may well have meant it: no more than a different spelling.
    pub fn may_be_meant(self) -> bool {
        self == Self::UpperCase
    }
}

impl fmt::Display for Oddity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token => "a whole token: put its ID (jti) in its place, and consider it exposed",
            Self::TooLong => "longer than any token",
            Self::Quoted => {
                "a quote or bracket is at its end: no token of kumactl's has such an ID"
            }
            Self::Invisible => "a character that does not show is in it",
            Self::Dash => "a dash that is no hyphen (-) is in it",
            Self::Separator => "a separator is in it: ids are separated by commas",
            Self::Base64 => "it is base64 of a list: put the list itself in its place",
            Self::Comment => "a revocation list has no comments: each word of one is an ID",
            Self::UpperCase => "kumactl writes UUIDs in lower case, and case counts",
        })
    }
}

fn is_token(id: &str) -> bool {
    id.bytes().filter(|byte| *byte == b'.').count() == 2
        && Unverified::new(id.trim_matches(is_mark).as_bytes()).has_header()
}

fn is_mark(rune: char) -> bool {
    matches!(rune, '"' | '\'' | '`' | '[' | ']' | '{' | '}' | '(' | ')' | '<' | '>')
        || matches!(rune, '\u{2018}'..='\u{201f}' | '\u{ab}' | '\u{bb}')
}

/// Control characters, and those that have no width.
fn is_invisible(rune: char) -> bool {
    (rune.is_control() && !rune.is_whitespace())
        || matches!(
            rune,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}'
        )
}

fn is_dash(rune: char) -> bool {
    matches!(
        rune,
        '\u{2010}'..='\u{2015}' | '\u{2043}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}'
    )
}

/// White space and commas are within items of a list only.
fn is_separator(rune: char) -> bool {
    matches!(
        rune,
        ',' | ';' | '|' | '\\' | '\u{60c}' | '\u{61b}' | '\u{3001}' | '\u{ff0c}' | '\u{ff1b}'
    ) || rune.is_whitespace()
}

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Shorter ones may be ids that happen to decode.
const BASE64_LEAST: usize = 16;

/// Whether a text decodes to ids: several, or one if the text is padded or long. A text does not do so by chance.
fn is_base64_of_a_list(id: &str) -> bool {
    if id.len() < 4 {
        return false;
    }
    let Ok(bytes) = BASE64.decode(id) else { return false };
    let is_of_a_list = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~:,\r\n ".contains(byte);
    let has_several = bytes.contains(&b',') || bytes.trim_ascii_end().contains(&b'\n');
    !bytes.is_empty()
        && bytes.iter().all(is_of_a_list)
        && (has_several || id.ends_with('=') || id.len() >= BASE64_LEAST)
}

fn is_upper_case_uuid(id: &str) -> bool {
    id.len() == super::uuid_set::TEXT
        && id.bytes().any(|byte| byte.is_ascii_uppercase())
        && uuid(&id.to_ascii_lowercase()).is_some()
}

/// The odd entries of a list: how many there are of each kind, and the first of each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OddEntries(Vec<OddKind>);

/// Entries that are odd in one way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OddKind {
    /// In which.
    pub oddity: Oddity,
    /// How many.
    pub count: usize,
    /// The first of them, cut; nothing of a token.
    pub example: String,
    /// Where that one stands.
    pub place: Place,
}

/// More than is shown of one.
const EXAMPLE: usize = 80;

impl OddEntries {
    /// Looks at one more entry.
    pub fn look(&mut self, entry: Entry<'_>) {
        let Some(oddity) = entry.oddity() else { return };
        if let Some(kind) = self.0.iter_mut().find(|kind| kind.oddity == oddity) {
            kind.count = kind.count.saturating_add(1);
            return;
        }
        let example = match oddity {
            Oddity::Token => String::new(),
            _ => entry.id.chars().take(EXAMPLE).collect(),
        };
        self.0.push(OddKind { oddity, count: 1, example, place: entry.place });
    }

    /// Each kind that there is; no more than there are kinds of slips.
    pub fn kinds(&self) -> &[OddKind] {
        &self.0
    }
}

impl fmt::Display for OddKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { oddity, count, example, place } = self;
        match count {
            1 => write!(f, "{place}")?,
            count => write!(f, "{count} entries, such as {place}")?,
        }
        if !example.is_empty() {
            write!(f, ", {}", Quoted(example))?;
        }
        write!(f, ": {oddity}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_told_from_ids() {
        let header = "eyJhbGciOiJSUzI1NiJ9";
        for (id, wanted) in [
            ("0123abcd-4567-89ef-0011-aabbccddeeff", None),
            ("id1", None),
            ("urn:uuid:1", None),
            ("AeyJb", None),
            ("a.b.c", None),
            ("east-2030", None),
            ("ZonegateTokenNumber1", None),
            ("", None),
            (" ", None),
            ("é", None),
            ("0123ABCD-4567-89ef-0011-aabbccddeefg", None),
            ("0123abcd-4567-89ef-0011-aabbccddeefg", None),
            // Base64 of "," and of "id-one": so short a text may be an ID.
            ("LA", None),
            ("aWQtb25l", None),
            (&"x".repeat(MAX_ID), None),
            (&format!("{header}.e30.AAAA"), Some(Oddity::Token)),
            (&format!("\"{header}.e30.AAAA\""), Some(Oddity::Token)),
            ("\"id1\"", Some(Oddity::Quoted)),
            ("[id1", Some(Oddity::Quoted)),
            ("{", Some(Oddity::Quoted)),
            ("\u{201c}id1\u{201d}", Some(Oddity::Quoted)),
            ("id\u{200b}1", Some(Oddity::Invisible)),
            ("id\u{0}", Some(Oddity::Invisible)),
            ("\u{feff}id1", Some(Oddity::Invisible)),
            ("0123abcd\u{2011}4567", Some(Oddity::Dash)),
            ("id1;id2", Some(Oddity::Separator)),
            ("id1\\nid2", Some(Oddity::Separator)),
            ("id1,id2", Some(Oddity::Separator)),
            ("id1 id2", Some(Oddity::Separator)),
            ("#", Some(Oddity::Comment)),
            ("aWQxLGlkMg==", Some(Oddity::Base64)),
            ("aWQxLGlkMgo", Some(Oddity::Base64)),
            ("aWQtbnVtYmVyLTE=", Some(Oddity::Base64)),
            // Of "a", and of "id-number-01".
            ("YQ==", Some(Oddity::Base64)),
            ("aWQtbnVtYmVyLTAx", Some(Oddity::Base64)),
            ("0123ABCD-4567-89ef-0011-aabbccddeeff", Some(Oddity::UpperCase)),
            (&"x".repeat(MAX_ID + 1), Some(Oddity::TooLong)),
        ] {
            assert_eq!(Oddity::of(id), wanted, "{id:?}");
            // Another case is another ID, which a token may have. All else is a slip.
            let may_be_meant = wanted.map(Oddity::may_be_meant);
            assert_eq!(may_be_meant, wanted.map(|oddity| oddity == Oddity::UpperCase), "{id:?}");
        }
    }

    #[test]
    fn they_are_counted_by_kind_and_a_token_is_not_repeated() {
        let mut odd = OddEntries::default();
        let token = "eyJhbGciOiJSUzI1NiJ9.e30.AAAA";
        for (index, id) in ["'a'", "b", "'c'", token].into_iter().enumerate() {
            odd.look(Entry { id, place: Place { entry: index + 1, line: 2 } });
        }
        let texts: Vec<String> = odd.kinds().iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "2 entries, such as entry 1, line 2, \"\\'a\\'\": a quote or bracket is at its end: no \
                 token of kumactl's has such an ID",
                "entry 4, line 2: a whole token: put its ID (jti) in its place, and consider it exposed",
            ]
        );
    }
}
