//! Bodies that come in pieces, with gaps, or as large as they may be.

use super::*;

struct Shown<'a>(&'a [u8]);

impl RequestBody for Shown<'_> {
    fn size(&self) -> usize {
        self.0.len()
    }

    fn read(&self, length: usize) -> Option<Cow<'_, [u8]>> {
        self.0.get(..length.min(self.0.len())).map(Cow::Borrowed)
    }
}

/// A body that the host does not hand over.
struct Unreadable;

impl RequestBody for Unreadable {
    fn size(&self) -> usize {
        1
    }

    fn read(&self, _: usize) -> Option<Cow<'_, [u8]>> {
        None
    }
}

const TOO_LARGE: RequestError = RequestError::TooLarge;

/// An empty message is in the piece behind the gap.
#[test]
fn a_body_with_a_gap_is_not_read() {
    let mut body = Body::COPIED;
    for piece in [&Unreadable as &dyn RequestBody, &Shown(&[0; PREFIX])] {
        body.add(piece);
        assert_eq!(body.first_message(piece), Err(TOO_LARGE));
        assert_eq!(body.bootstrap(piece, true), Err(TOO_LARGE));
    }
}

#[test]
fn an_empty_body_is_not_asked_for() {
    assert_eq!(Body::KEPT.bootstrap(&Unreadable, true), Ok(Some(Cow::Borrowed(&[][..]))));
}

#[test]
fn a_message_in_one_piece_is_complete_however_long_it_is() {
    for length in [0, 1, FIRST_READ - PREFIX, FIRST_READ, 2 * FIRST_READ] {
        let prefix = u32::try_from(length).unwrap_or_default().to_be_bytes();
        let bytes = [&[0][..], &prefix[..], &vec![7; length][..]].concat();
        for mut body in [Body::KEPT, Body::COPIED] {
            let shown = Shown(&bytes);
            body.add(&shown);
            let message = body.first_message(&shown).ok().flatten();
            assert_eq!(message.as_deref(), bytes.get(PREFIX..), "{length}");
        }
    }
}

#[test]
fn a_bootstrap_request_of_the_largest_size_is_read() {
    for (size, is_taken) in [(MAX_BOOTSTRAP, true), (MAX_BOOTSTRAP + 1, false)] {
        let bytes = vec![b' '; size];
        for mut body in [Body::KEPT, Body::COPIED] {
            let shown = Shown(&bytes);
            body.add(&shown);
            let read = body.bootstrap(&shown, true);
            assert_eq!(read.is_ok_and(|read| read.is_some()), is_taken, "{size}");
        }
    }
}

#[test]
fn the_bound_for_all_held_streams_is_exact() {
    let total = |bytes| HeldTotal { bytes, ..HeldTotal::default() };
    assert!(!total(HELD_BYTES).is_over() && total(HELD_BYTES + 1).is_over());
}
