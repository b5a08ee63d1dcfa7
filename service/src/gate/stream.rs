//! One stream, as the module of a protocol uses it.
//!
//! In: the parts of a request as they come. Out: a [`Step`], and orders in its queue. Dropping it ends the stream.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;
use zonegate::lifecycle::{Effect, Request, RequestBody, Step, StreamId};

use super::{Gate, Order, Part, lock, wall};

/// A stream that has begun. Dropping it ends the stream.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(super) gate: Arc<Gate>,
    pub(super) part: Arc<Mutex<Part>>,
    pub(super) id: StreamId,
    /// Its orders. There are only a few, because each stream is answered once.
    pub(crate) orders: mpsc::UnboundedReceiver<Order>,
}

impl Stream {
    /// The headers of its request have come.
    pub(crate) fn on_headers<'h>(
        &self,
        headers: impl Iterator<Item = (&'h [u8], &'h [u8])>,
        is_end: bool,
    ) -> Step {
        self.event(|part, effects| {
            let request = Request::new(self.id, part.number, headers, is_end);
            part.lifecycle.on_headers(&request, wall(), effects)
        })
    }

    /// A piece of the body of its request has come.
    pub(crate) fn on_body(&self, body: &dyn RequestBody, is_end: bool) -> Step {
        self.event(|part, effects| part.lifecycle.on_body(self.id, body, is_end, &wall, effects))
    }

    /// The trailers of its request have come.
    pub(crate) fn on_trailers(&self) -> Step {
        self.event(|part, effects| part.lifecycle.on_trailers(self.id, effects))
    }

    fn event(&self, event: impl FnOnce(&mut Part, &mut Vec<Effect>) -> Step) -> Step {
        let (mut part, mut effects) = (lock(&self.part), Vec::new());
        let step = event(&mut part, &mut effects);
        self.gate.perform(&part, effects);
        step
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let mut part = lock(&self.part);
        part.lifecycle.on_end(self.id);
        part.seats.remove(&self.id);
        self.gate.streams.fetch_sub(1, Ordering::Relaxed);
    }
}
