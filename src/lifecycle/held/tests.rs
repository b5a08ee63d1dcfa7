//! Bodies that come in pieces, with gaps, or as large as they may be.

use std::cell::RefCell;

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

/// The host copies what it is asked for. Other messages may follow the first one.
#[test]
fn a_short_message_is_read_once_and_not_what_follows() {
    struct Counted(Vec<u8>, RefCell<Vec<usize>>);
    impl RequestBody for Counted {
        fn size(&self) -> usize {
            self.0.len()
        }

        fn read(&self, length: usize) -> Option<Cow<'_, [u8]>> {
            self.1.borrow_mut().push(length);
            self.0.get(..length).map(Cow::Borrowed)
        }
    }
    let length: u16 = 10 * 1024;
    let [high, low] = length.to_be_bytes();
    let bytes = [&[0, 0, 0, high, low][..], &[7; 100 * 1024]].concat();
    let (shown, mut body) = (Counted(bytes, RefCell::default()), Body::KEPT);
    body.add(&shown);
    let message = body.first_message(&shown);
    assert_eq!(message.map(|message| message.map(|bytes| bytes.len())), Ok(Some(length.into())));
    assert_eq!(shown.1.into_inner(), [16 * 1024]);
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

/// Strangers can hold thousands of requests without a body.
#[test]
fn streams_without_a_body_reach_the_bound_too() {
    let origin = Origin::new(b"", b"");
    let stream =
        HeldStream::new(Held::Bootstrap, None, Body::KEPT, 0, Protocol::Http, origin).weight();
    assert_eq!(HELD_BYTES.checked_div(stream), Some(8_192));
}
