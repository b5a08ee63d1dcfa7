//! What is kept of a request that is held.
//!
//! In: pieces of its body. Out: all of them, for the core to read and for Envoy to get back. How much of it there may be
//! is the core's business.

use std::borrow::Cow;

use zonegate::lifecycle::RequestBody;

/// What has come of a request that is held.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) body: Vec<u8>,
    pub(super) has_body: bool,
    pub(super) has_ended: bool,
    pub(super) has_trailers: bool,
}

impl Kept {
    /// Another piece of the body.
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
