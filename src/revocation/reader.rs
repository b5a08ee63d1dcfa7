//! The reader of revocation texts.
//!
//! In: a text, or the items of a list. Out: its entries, one by one, in their order. Kuma trims one line
//! feed, splits on commas and compares exactly, so `id1, id2` or one id a line would revoke nothing: here
//! each word between white space is an entry. A byte order mark at the start is dropped. Repetitions are
//! not noticed.

use std::fmt;
use std::str::{Utf8Error, from_utf8};

use super::uuid_set::{TEXT, Uuid};

/// An entry of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The id. Empty: every token without an ID is revoked, as in Kuma. [`BLANK`](Self::BLANK): an entry of
    /// white space only.
    pub id: &'a str,
    /// Where it stands.
    pub place: Place,
}

/// Where an entry stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// Which entry it is, from 1.
    pub entry: usize,
    /// On which line of the text, from 1.
    pub line: usize,
}

impl Entry<'_> {
    /// The id of an entry of white space only.
    pub const BLANK: &'static str = " ";
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "entry {}", self.entry)?;
        match self.line {
            0 | 1 => Ok(()),
            line => write!(f, ", line {line}"),
        }
    }
}

/// The entries of `text`, as in the secret.
pub fn entries(text: &str) -> impl Iterator<Item = Entry<'_>> {
    let mut reader = Reader::new(text.as_bytes());
    std::iter::from_fn(move || {
        // It is UTF-8 already.
        let piece = reader.next()?.ok()?;
        let id = match piece {
            Piece::Uuid(_, text) => from_utf8(text).ok()?,
            Piece::Word(word) => word,
            Piece::Empty => "",
            Piece::Blank => Entry::BLANK,
        };
        Some(Entry { id, place: reader.place() })
    })
}

/// The entries of a list: an item is an id, without the white space around it.
pub fn items<'a>(items: impl IntoIterator<Item = &'a str>) -> impl Iterator<Item = Entry<'a>> {
    items.into_iter().enumerate().map(|(index, item)| Entry {
        id: trimmed(item),
        place: Place { entry: index.saturating_add(1), line: 1 },
    })
}

/// The id of an item that is not empty.
pub(super) fn trimmed(item: &str) -> &str {
    let text = item.strip_prefix(MARK).unwrap_or(item);
    match text.trim() {
        "" if !text.is_empty() => Entry::BLANK,
        id => id,
    }
}

/// The byte order mark.
pub(super) const MARK: char = '\u{feff}';
const MARK_UTF8: &[u8] = b"\xef\xbb\xbf";

/// What the text is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// A UUID, and its text.
    Uuid(Uuid, &'a [u8; TEXT]),
    /// Another id.
    Word(&'a str),
    /// Nothing between two commas.
    Empty,
    /// White space between two commas.
    Blank,
}

/// Reads a text piece by piece. A worker waits while a million ids are read, so a UUID between commas is not read letter
/// by letter, and the text is not checked to be UTF-8 beforehand.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    /// What is left, from the start of an entry; `None` at the end.
    rest: Option<&'a [u8]>,
    /// What is left of an entry that is no mere UUID.
    words: &'a str,
    place: Place,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        let content = text.strip_prefix(MARK_UTF8).unwrap_or(text);
        let is_marked = content.len() < text.len();
        let is_nothing = content.is_empty() || (is_marked && content.trim_ascii().is_empty());
        let content = content.strip_suffix(b"\n").unwrap_or(content);
        let rest = (!is_nothing).then_some(content);
        Self { rest, words: "", place: Place { entry: 0, line: 1 } }
    }

    /// Where the piece stands that was read last.
    pub(super) fn place(&self) -> Place {
        self.place
    }

    fn start_entry(&mut self, text: &'a [u8]) -> Result<Piece<'a>, Utf8Error> {
        let mut parts = text.splitn(2, |byte| *byte == b',');
        let entry = parts.next().unwrap_or_default();
        self.rest = parts.next();
        self.words = from_utf8(entry).inspect_err(|_| self.rest = None)?;
        match self.words {
            "" => Ok(Piece::Empty),
            _ => Ok(self.word().unwrap_or(Piece::Blank)),
        }
    }

    /// The next word of an entry, where there is one.
    #[inline]
    fn word(&mut self) -> Option<Piece<'a>> {
        let words = self.words.trim_start();
        let space = self.words.len().saturating_sub(words.len());
        let feeds = self.words.bytes().take(space).filter(|byte| *byte == b'\n').count();
        self.place.line = self.place.line.saturating_add(feeds);
        if words.is_empty() {
            self.words = "";
            return None;
        }
        if let Some((uuid, text, _)) = uuid_at_start(words.as_bytes())
            && let Some(rest) = words.get(TEXT..)
            && (rest.is_empty() || rest.starts_with(char::is_whitespace))
        {
            self.words = rest;
            return Some(Piece::Uuid(uuid, text));
        }
        let end = words.find(char::is_whitespace).unwrap_or(words.len());
        let (word, rest) = words.split_at_checked(end).unwrap_or((words, ""));
        self.words = rest;
        Some(Piece::Word(word))
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Result<Piece<'a>, Utf8Error>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if !self.words.is_empty()
            && let Some(piece) = self.word()
        {
            self.place.entry = self.place.entry.saturating_add(1);
            return Some(Ok(piece));
        }
        let text = self.rest?;
        self.place.entry = self.place.entry.saturating_add(1);
        match uuid_at_start(text) {
            Some((uuid, id, [])) => {
                self.rest = None;
                Some(Ok(Piece::Uuid(uuid, id)))
            }
            Some((uuid, id, [b',', rest @ ..])) => {
                self.rest = Some(rest);
                Some(Ok(Piece::Uuid(uuid, id)))
            }
            _ => Some(self.start_entry(text)),
        }
    }
}

/// `text` as a UUID.
pub(super) fn uuid(text: &str) -> Option<Uuid> {
    text.as_bytes().try_into().ok().and_then(Uuid::parse)
}

fn uuid_at_start(text: &[u8]) -> Option<(Uuid, &[u8; TEXT], &[u8])> {
    let (start, rest) = text.split_first_chunk()?;
    Some((Uuid::parse(start)?, start, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "0123abcd-4567-89ef-0011-aabbccddeeff";

    #[test]
    fn entries_come_in_their_order_with_their_places() {
        let lines = format!("{UUID}\r\nid 2\n\n{UUID}0,x\n{UUID} y\n");
        let long = format!("{UUID}0");
        for (text, wanted) in [
            ("", &[][..]),
            ("id1", &[("id1", 1, 1)]),
            ("id1,\n", &[("id1", 1, 1), ("", 2, 1)]),
            ("\n", &[("", 1, 1)]),
            (" , ", &[(" ", 1, 1), (" ", 2, 1)]),
            ("\u{feff}id1, id2", &[("id1", 1, 1), ("id2", 2, 1)]),
            ("\u{feff}", &[]),
            ("\u{feff}\r\n", &[]),
            ("a\n\nb,c", &[("a", 1, 1), ("b", 2, 3), ("c", 3, 3)]),
            (
                &lines,
                &[
                    (UUID, 1, 1),
                    ("id", 2, 2),
                    ("2", 3, 2),
                    (&long, 4, 4),
                    ("x", 5, 4),
                    (UUID, 6, 5),
                    ("y", 7, 5),
                ],
            ),
        ] {
            let seen: Vec<_> = entries(text)
                .map(|entry| (entry.id, entry.place.entry, entry.place.line))
                .collect();
            assert_eq!(seen, wanted, "{text:?}");
        }
        let seen: Vec<_> = items([" a\n", "\u{feff}b", "", " ", "c d"]).collect();
        let ids: Vec<_> = seen.iter().map(|entry| entry.id).collect();
        assert_eq!(ids, ["a", "b", "", " ", "c d"]);
        assert_eq!(seen.last().map(|entry| entry.place), Some(Place { entry: 5, line: 1 }));
    }

    #[test]
    fn what_is_no_text_ends_it() {
        let mut reader = Reader::new(b"a,\xff,b");
        assert_eq!(reader.next(), Some(Ok(Piece::Word("a"))));
        assert!(matches!(reader.next(), Some(Err(_))));
        assert_eq!(reader.next(), None);
    }
}
