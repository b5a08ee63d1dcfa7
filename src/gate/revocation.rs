//! The revocation list (Kuma: `pkg/core/tokens/revocation.go` and the GlobalSecret
//! `zone-token-revocations`).
//!
//! In: the text of the secret, or a list of ids. Out: whether an id is on it. Whose token has the id
//! is not known here.

use std::collections::BTreeSet;
use std::str::{Utf8Error, from_utf8};

use super::uuid_set::{Staged, TEXT, Uuid, UuidSet};

/// Ids of tokens that are no longer good.
#[derive(Debug, Clone, Default)]
pub struct RevocationList {
    /// Ids that are UUIDs, as those of Kuma are.
    uuids: UuidSet,
    /// All others.
    others: BTreeSet<Box<str>>,
    /// Whether there was white space around or between ids.
    spaced: bool,
    /// How many ids were given, without repetitions.
    ids: usize,
}

/// Bytes that a UUID takes in a text.
const WITH_COMMA: usize = TEXT + 1;
/// What an ID that is no UUID takes besides its text.
const OTHER_OVERHEAD: usize = 32;
/// The longest ID that a token can have: more than the longest token is in none.
const MAX_ID: usize = 65_536;

impl RevocationList {
    /// Reads the text of the secret. Kuma trims one line feed, splits on commas and compares exactly,
    /// so `id1, id2` or one id a line would revoke nothing: here the words between white space are
    /// revoked. An empty entry revokes every token without an ID, as in Kuma.
    ///
    /// # Errors
    /// It is not UTF-8.
    pub fn from_text(text: &[u8]) -> Result<Self, Utf8Error> {
        let mut list = Self::default();
        if !text.is_empty() {
            let mut uuids = Staged::with_room_for(text.len() / WITH_COMMA);
            list.read(text.strip_suffix(b"\n").unwrap_or(text), &mut uuids)?;
            list.take(uuids);
        }
        Ok(list)
    }

    /// Takes ids one by one; each without the white space around it.
    pub fn from_ids<'a>(ids: impl IntoIterator<Item = &'a str>) -> Self {
        let mut list = Self::default();
        let ids = ids.into_iter();
        let mut uuids = Staged::with_room_for(ids.size_hint().0);
        for id in ids {
            // A UUID is not looked at letter by letter.
            let uuid = uuid(id).or_else(|| {
                list.spaced |= id.contains(char::is_whitespace);
                uuid(id.trim())
            });
            match uuid {
                Some(uuid) => uuids.push(uuid),
                None => list.insert(id.trim()),
            }
        }
        list.take(uuids);
        list
    }

    /// Whether a token of this ID is revoked; an absent ID is the empty one. An ID with white space in
    /// it may be what Kuma makes of a list with white space in it, and counts as revoked there.
    pub fn contains(&self, id: &str) -> bool {
        match uuid(id) {
            Some(uuid) => self.uuids.contains(uuid),
            None if self.spaced && id.contains(char::is_whitespace) => true,
            None => self.others.contains(id),
        }
    }

    /// Takes all of `text`; what is a UUID goes to `uuids`, and is not looked at letter by letter.
    fn read(&mut self, mut text: &[u8], uuids: &mut Staged) -> Result<(), Utf8Error> {
        loop {
            match uuid_at_start(text) {
                Some((uuid, [])) => {
                    uuids.push(uuid);
                    return Ok(());
                }
                Some((uuid, [b',', rest @ ..])) => {
                    uuids.push(uuid);
                    text = rest;
                }
                _ => {
                    let mut entries = text.splitn(2, |byte| *byte == b',');
                    self.read_entry(from_utf8(entries.next().unwrap_or_default())?, uuids);
                    match entries.next() {
                        Some(rest) => text = rest,
                        None => return Ok(()),
                    }
                }
            }
        }
    }

    /// Takes what is between two commas.
    fn read_entry(&mut self, entry: &str, uuids: &mut Staged) {
        if entry.is_empty() {
            return self.insert("");
        }
        let mut rest = entry;
        while !rest.is_empty() {
            let words = rest.trim_start();
            self.spaced |= words.len() < rest.len();
            rest = self.read_word(words, uuids);
        }
    }

    /// Takes the word that `text` starts with, if it does, and leaves what follows it.
    fn read_word<'a>(&mut self, text: &'a str, uuids: &mut Staged) -> &'a str {
        if let Some((uuid, _)) = uuid_at_start(text.as_bytes())
            && let Some(rest) = text.get(TEXT..)
            && (rest.is_empty() || rest.starts_with(char::is_whitespace))
        {
            uuids.push(uuid);
            return rest;
        }
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        let (word, rest) = text.split_at_checked(end).unwrap_or((text, ""));
        if !word.is_empty() {
            self.insert(word);
        }
        rest
    }

    /// Takes an id that is no UUID.
    fn insert(&mut self, id: &str) {
        let is_new = id.len() > MAX_ID || self.others.insert(id.into());
        self.ids = self.ids.saturating_add(usize::from(is_new));
    }

    /// Takes those that are.
    fn take(&mut self, uuids: Staged) {
        self.uuids = uuids.into_set();
        self.ids = self.ids.saturating_add(self.uuids.len());
    }

    /// About how many bytes it takes.
    pub fn bytes(&self) -> usize {
        let others = self.others.iter().map(|id| id.len().saturating_add(OTHER_OVERHEAD));
        others.fold(self.uuids.bytes(), usize::saturating_add)
    }

    /// Whether every token without an ID is revoked.
    pub fn has_empty_entry(&self) -> bool {
        self.others.contains("")
    }

    /// How many ids were given, without repetitions; an empty entry is none.
    pub fn ids(&self) -> usize {
        self.ids.saturating_sub(usize::from(self.has_empty_entry()))
    }
}

fn uuid(text: &str) -> Option<Uuid> {
    text.as_bytes().try_into().ok().and_then(Uuid::parse)
}

fn uuid_at_start(text: &[u8]) -> Option<(Uuid, &[u8])> {
    let (start, rest) = text.split_first_chunk()?;
    Some((Uuid::parse(start)?, rest))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use super::*;

    const UUID: &str = "0123abcd-4567-89ef-0011-aabbccddeeff";
    const OTHER: &str = "0123abcd-4567-89ef-0011-aabbccddeef0";

    #[test]
    fn text_is_read_as_kuma_reads_it_or_more_strictly() {
        for (text, revoked, not_revoked, ids) in [
            ("", &[][..], &["", "id1"][..], 0),
            ("id1", &["id1"], &["", "id2", "ID1", "id1 "], 1),
            ("id1,id2\n", &["id1", "id2"], &["", "id2\n"], 2),
            ("id1, id2", &["id1", "id2", " id2"], &[""], 2),
            ("id1\nid2", &["id1", "id2", "id1\nid2"], &[""], 2),
            ("id1\r\nid2\r\n", &["id1", "id2", "id2\r"], &[""], 2),
            ("id1,", &["id1", ""], &["id1,"], 1),
            (",id1", &["id1", ""], &[], 1),
            ("id1,,id2", &["id1", "", "id2"], &[], 2),
            ("id1, ,id2", &["id1", " ", "id2"], &[""], 2),
            ("id1,id1", &["id1"], &[""], 1),
            ("\n", &[""], &["id1"], 0),
            (" ", &[" "], &[""], 0),
            (UUID, &[UUID], &[OTHER, ""], 1),
        ] {
            let list = RevocationList::from_text(text.as_bytes()).unwrap();
            for id in revoked {
                assert!(list.contains(id), "{text:?} revokes {id:?}");
            }
            for id in not_revoked {
                assert!(!list.contains(id), "{text:?} does not revoke {id:?}");
            }
            assert_eq!(list.ids(), ids, "{text:?}");
        }
    }

    #[test]
    fn a_uuid_is_revoked_in_its_own_spelling_only() {
        let long = format!("{UUID}0");
        let upper = UUID.to_uppercase();
        for text in [
            format!("{UUID},{long}"),
            format!("{long},{UUID}"),
            format!("{OTHER}\n{UUID}\r\n{long}"),
        ] {
            let list = RevocationList::from_text(text.as_bytes()).unwrap();
            assert!(list.contains(UUID) && list.contains(&long), "{text:?}");
            assert!(
                !list.contains(&upper) && !list.contains(UUID.trim_start_matches('0')),
                "{text:?}"
            );
        }
        assert!(RevocationList::from_text(upper.as_bytes()).unwrap().contains(&upper));
        assert!(!RevocationList::from_text(upper.as_bytes()).unwrap().contains(UUID));
        assert!(!RevocationList::from_text(long.as_bytes()).unwrap().contains(UUID));
    }

    #[test]
    fn a_list_entry_is_one_id() {
        let list = RevocationList::from_ids(["id1", " id2\n", "a,b", UUID]);
        assert!(["id1", "id2", " id2\n", "a,b", UUID].iter().all(|id| list.contains(id)));
        assert!(["a", "b", ""].iter().all(|id| !list.contains(id)));
        assert_eq!(list.ids(), 4);
    }
}
