//! The revocation list.
//!
//! In: the text of the secret, or a list of ids. Out: whether an id is on it, and what is odd about the list.
//! Whose token has the id is not known here.

use std::collections::BTreeSet;
use std::str::Utf8Error;

use super::oddity::{MAX_ID, OddEntries};
use super::reader::{Entry, MARK, Piece, Place, Reader, trimmed, uuid};
use super::uuid_set::{Staged, UuidSet};

/// Ids of tokens that are no longer good.
#[derive(Debug, Clone, Default)]
pub struct RevocationList {
    /// Ids that are UUIDs, as those of Kuma are.
    uuids: UuidSet,
    /// All others.
    others: BTreeSet<Box<str>>,
    /// How many ids were given, without repetitions.
    ids: usize,
    /// What may not be meant.
    odd: OddEntries,
}

/// What an ID that is no UUID takes besides its text.
const OTHER_OVERHEAD: usize = 32;

impl RevocationList {
    /// Reads the text of the secret, as [`entries`](super::entries) does. An empty entry revokes every
    /// token without an ID, as in Kuma.
    ///
    /// # Errors
    /// It is not UTF-8.
    pub fn from_text(text: &[u8]) -> Result<Self, Utf8Error> {
        let mut list = Self::default();
        if !text.is_empty() {
            let mut uuids = Staged::with_room_for_those_in(text);
            let mut reader = Reader::new(text);
            while let Some(piece) = reader.next() {
                match piece? {
                    Piece::Uuid(uuid, _) => uuids.push(uuid),
                    Piece::Word(id) => list.insert(Entry { id, place: reader.place() }),
                    Piece::Empty => list.insert(Entry { id: "", place: reader.place() }),
                    Piece::Blank => list.insert(Entry { id: Entry::BLANK, place: reader.place() }),
                }
            }
            list.take(uuids);
        }
        Ok(list)
    }

    /// Takes ids one by one; each without the white space around it.
    pub fn from_ids<'a>(ids: impl IntoIterator<Item = &'a str>) -> Self {
        let mut list = Self::default();
        let ids = ids.into_iter();
        let mut uuids = Staged::with_room_for(ids.size_hint().0);
        for (index, item) in ids.enumerate() {
            // A UUID is not looked at letter by letter.
            match uuid(item).or_else(|| uuid(trimmed(item))) {
                Some(uuid) => uuids.push(uuid),
                None => {
                    let place = Place { entry: index.saturating_add(1), line: 1 };
                    list.insert(Entry { id: trimmed(item), place });
                }
            }
        }
        list.take(uuids);
        list
    }

    /// Whether a token with this ID is revoked; an absent ID counts as the empty ID. White space and a byte order mark in
    /// an ID are ignored, because Kuma may have made the ID from a list that contains them: an ID with white space is
    /// revoked if each of its words is.
    pub fn contains(&self, id: &str) -> bool {
        match uuid(id) {
            Some(uuid) => self.uuids.contains(uuid),
            None => {
                self.others.contains(id)
                    || (id.contains(char::is_whitespace) && self.has_words(id))
                    || id.strip_prefix(MARK).is_some_and(|id| !id.is_empty() && self.has(id))
            }
        }
    }

    #[inline]
    fn has(&self, id: &str) -> bool {
        match uuid(id) {
            Some(uuid) => self.uuids.contains(uuid),
            None => self.others.contains(id),
        }
    }

    fn has_words(&self, id: &str) -> bool {
        match id.trim() {
            "" => self.others.contains(Entry::BLANK),
            inner => {
                let words = || inner.trim_start_matches(MARK).split_whitespace();
                self.has(inner) || (words().next().is_some() && words().all(|word| self.has(word)))
            }
        }
    }

    /// Takes an id that is no UUID.
    fn insert(&mut self, entry: Entry<'_>) {
        self.odd.look(entry);
        let is_new = entry.id.len() > MAX_ID || self.others.insert(entry.id.into());
        let counts = is_new && !matches!(entry.id, "" | Entry::BLANK);
        self.ids = self.ids.saturating_add(usize::from(counts));
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
        self.ids
    }

    /// Entries that may not be what is meant.
    pub fn odd(&self) -> &OddEntries {
        &self.odd
    }
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
            ("id1", &["id1", "id1 "], &["", "id2", "ID1", "id1 id2", " "], 1),
            ("id1,id2\n", &["id1", "id2", "id2\n", "id1 id2"], &["", "id2,"], 2),
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
            ("\u{feff}id1,id2", &["id1", "id2", "\u{feff}id1"], &["", "\u{feff}id3"], 2),
            ("\u{feff}", &[], &["", "id1"], 0),
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
        assert!(["a", "b", "", " "].iter().all(|id| !list.contains(id)));
        assert_eq!(list.ids(), 4);
        let list = RevocationList::from_ids(["a b", " ", "\u{feff}c"]);
        assert!(["a b", " a b", "\t", "c"].iter().all(|id| list.contains(id)));
        assert!(["a", "b", "", "a  b"].iter().all(|id| !list.contains(id)));
    }

    #[test]
    fn what_may_not_be_meant_is_told_and_revoked_all_the_same() {
        let list = RevocationList::from_text(b"'id1';id2,id3,'id4'").unwrap();
        assert_eq!(list.odd().kinds().len(), 1);
        assert!(list.contains("'id4'") && !list.contains("id4"));
    }
}
