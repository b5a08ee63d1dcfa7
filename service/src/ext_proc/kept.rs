//! The kept parts of a held request.
//!
//! In: pieces of its body. Out: the whole body, for the core to read and to send back to Envoy. The core limits its
//! size.

use std::borrow::Cow;

use zonegate::lifecycle::RequestBody;

/// The parts of a held request that have come.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) body: Vec<u8>,
    pub(super) has_body: bool,
    pub(super) has_ended: bool,
    pub(super) has_trailers: bool,
}

impl Kept {
    /// Adds a piece of the body.
    pub(super) fn add(&mut self, piece: Vec<u8>, is_end: bool) {
        self.has_body = true;
        self.has_ended |= is_end;
        match self.body.is_empty() {
            true => self.body = piece,
            false => self.body.extend_from_slice(&piece),
        }
    }
}

/// Bytes of a body.
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl RequestBody for Bytes<'_> {
    fn size(&self) -> usize {
        self.0.len()
    }

    fn read(&self, length: usize) -> Option<Cow<'_, [u8]>> {
        self.0.get(..length.min(self.0.len())).map(Cow::Borrowed)
    }
}
