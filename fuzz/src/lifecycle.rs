//! The life of connections.
//!
//! In: bytes, which are read as a sequence of events. Out: a panic, unless all properties hold that
//! `tests/lifecycle/model.rs` lists.
//!
//! The first byte of an event picks its kind, the next bytes its details. Bytes left at the end are ignored.

#[allow(dead_code)] // the tables of the tests use the rest
#[path = "../../tests/lifecycle/host.rs"]
mod host;
#[path = "../../tests/lifecycle/model.rs"]
mod model;

use model::{Event, Model, PATHS, PIECES, POLICIES, STREAMS, TOKENS};

/// The most events. A bug needs fewer, and a body of a few events is 100 KiB.
const MOST: usize = 200;

/// See the module.
pub fn lifecycle(bytes: &[u8]) {
    // An odd number of bytes: the host ends one other stream in a tick.
    let most = if bytes.len().is_multiple_of(2) { usize::MAX } else { 1 };
    let mut model = Model::ending_at_most(most);
    let mut reader = Reader(bytes.iter());
    for event in std::iter::from_fn(|| reader.event()).take(MOST) {
        model.happen(&event);
    }
    model.end_all();
}

struct Reader<'a>(std::slice::Iter<'a, u8>);

impl Reader<'_> {
    fn event(&mut self) -> Option<Event> {
        Some(match self.byte()? % 16 {
            0..=1 => Event::Push(self.below(POLICIES.len())?),
            2 => Event::Drop(self.below(4)?),
            3 => match self.byte()? % 4 {
                0 => Event::Lose,
                _ => Event::Await,
            },
            4..=7 => Event::Begin {
                stream: self.stream()?,
                path: host::path(self.one_of(&PATHS)?),
                token: self.one_of(&TOKENS)?,
                under: self.below(4)?,
                header_bytes: self.below(256)? * 240,
            },
            8..=10 => {
                let (stream, piece) = (self.stream()?, self.one_of(&PIECES)?);
                Event::Body { stream, piece, is_end: self.byte()? % 4 == 0 }
            }
            11 => Event::Trailers(self.stream()?),
            12 => Event::End(self.stream()?),
            13..=14 => Event::Tick(u64::from(self.byte()?) * 10),
            _ => match self.byte()? {
                0 => Event::Now(None),
                by => Event::Now(Some((i64::from(by) - 128) * 30)),
            },
        })
    }

    fn stream(&mut self) -> Option<u32> {
        Some(u32::from(self.byte()?) % STREAMS)
    }

    fn one_of(&mut self, names: &[&'static str]) -> Option<&'static str> {
        Some(names[self.below(names.len())?])
    }

    fn below(&mut self, end: usize) -> Option<usize> {
        Some(usize::from(self.byte()?) % end)
    }

    fn byte(&mut self) -> Option<u8> {
        self.0.next().copied()
    }
}
