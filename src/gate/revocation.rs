//! The revocation list (Kuma: `pkg/core/tokens/revocation.go` and the GlobalSecret
//! `zone-token-revocations`).
//!
//! In: the text of the secret, or a list of ids. Out: whether an id is on it. Whose token has the id
//! is not known here.

use std::collections::BTreeSet;

/// Ids of tokens that are no longer good.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RevocationList {
    /// Every spelling that revokes.
    entries: BTreeSet<String>,
    /// How many ids were meant.
    ids: usize,
}

impl RevocationList {
    /// Reads the text of the secret. Kuma trims one line feed, splits on commas and compares exactly,
    /// so `id1, id2` or one id a line would revoke nothing: here the pieces between white space are
    /// revoked as well. An empty entry revokes every token without an ID, as in Kuma.
    pub fn from_text(text: &str) -> Self {
        if text.is_empty() {
            return Self::default();
        }
        let pieces =
            || text.split(|c: char| c == ',' || c.is_whitespace()).filter(|id| !id.is_empty());
        let as_kuma = text.strip_suffix('\n').unwrap_or(text).split(',');
        Self {
            ids: pieces().collect::<BTreeSet<_>>().len(),
            entries: as_kuma.chain(pieces()).map(str::to_owned).collect(),
        }
    }

    /// Takes ids one by one; each also without the white space around it.
    pub fn from_ids<'a>(ids: impl IntoIterator<Item = &'a str>) -> Self {
        let given: BTreeSet<&str> = ids.into_iter().collect();
        Self {
            ids: given.len(),
            entries: given.into_iter().flat_map(|id| [id, id.trim()]).map(str::to_owned).collect(),
        }
    }

    /// Whether a token of this ID is revoked; an absent ID is the empty one.
    pub fn contains(&self, id: &str) -> bool {
        self.entries.contains(id)
    }

    /// Whether every token without an ID is revoked.
    pub fn has_empty_entry(&self) -> bool {
        self.contains("")
    }

    /// How many ids were given, without repetitions.
    pub fn ids(&self) -> usize {
        self.ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_as_kuma_reads_it_or_more_strictly() {
        for (text, revoked, not_revoked) in [
            ("", &[][..], &["", "id1"][..]),
            ("id1", &["id1"], &["", "id2", "ID1"]),
            ("id1,id2\n", &["id1", "id2"], &["", "id2\n"]),
            ("id1, id2", &["id1", "id2", " id2"], &[""]),
            ("id1\nid2", &["id1", "id2", "id1\nid2"], &[""]),
            ("id1\r\nid2\r\n", &["id1", "id2"], &[""]),
            ("id1,", &["id1", ""], &[]),
            ("\n", &[""], &["id1"]),
            (" ", &[" "], &[""]),
        ] {
            let list = RevocationList::from_text(text);
            for id in revoked {
                assert!(list.contains(id), "{text:?} revokes {id:?}");
            }
            for id in not_revoked {
                assert!(!list.contains(id), "{text:?} does not revoke {id:?}");
            }
        }
    }

    #[test]
    fn a_list_entry_is_one_id() {
        let list = RevocationList::from_ids(["id1", " id2\n", "a,b"]);
        assert!(["id1", "id2", "a,b"].iter().all(|id| list.contains(id)));
        assert!(["a", "b", ""].iter().all(|id| !list.contains(id)));
    }
}
