//! Which streams a host ends in one callback, besides the stream of the callback.
//!
//! In: streams that are to be answered, resumed or cut outside their own callback. Out: whether there is room for that
//! in this callback, and what had no room in earlier callbacks.
//!
//! A host of proxy-wasm modules sets two limits (proxy-wasm-cpp-host: `include/proxy-wasm/wasm.h`, `src/context.cc`):
//!
//! - In the callback of a stream, no other stream may be answered: the host then stops the stream of the callback, and
//!   may lose the piece of its body. So others are ended in ticks and pushes only.
//! - The host ends streams after the callback, each inside the end of the one before: the end of a stream is a call into
//!   the VM, and after that call the host ends the next stream (`doAfterVmCallActions`). The stack grows with every
//!   stream. V8 fails the VM after some 450, and then every stream of the worker is lost.

use std::collections::VecDeque;

use super::StreamId;
use super::effect::Effect;
use super::streams::Streams;

/// The room in this callback.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// How many streams end in one callback; `None` if the host has no limits.
    most: Option<usize>,
    left: usize,
    is_stream: bool,
    /// What had no room, the first first.
    later: VecDeque<(StreamId, Effect)>,
}

impl Pace {
    pub(super) fn of(most: usize) -> Self {
        Self { most: Some(most), left: most, ..Self::default() }
    }

    /// The callback of a stream begins.
    pub(super) fn begin_stream(&mut self) {
        self.is_stream = true;
    }

    /// The callback of a push begins. It may belong to a tick.
    pub(super) fn begin_push(&mut self) {
        self.is_stream = false;
    }

    /// A tick begins: performs what had no room before, for streams that have not ended since.
    pub(super) fn begin_tick(&mut self, streams: &Streams, effects: &mut Vec<Effect>) {
        self.is_stream = false;
        self.left = self.most.unwrap_or_default();
        while self.has_room()
            && let Some((id, effect)) = self.later.pop_front()
        {
            if streams.get(id).is_some() {
                self.take();
                effects.push(effect);
            }
        }
    }

    /// Whether another stream may be ended now.
    pub(super) fn has_room(&self) -> bool {
        self.most.is_none() || (!self.is_stream && self.left > 0)
    }

    /// Takes the room for one stream. Returns whether there was room.
    pub(super) fn take(&mut self) -> bool {
        let has_room = self.has_room();
        if has_room {
            self.left = self.left.saturating_sub(1);
        }
        has_room
    }

    /// Whether there may be streams for which there was no room.
    pub(super) fn is_behind(&self) -> bool {
        self.most.is_some() && (self.left == 0 || !self.later.is_empty())
    }

    /// Performs these effects on a stream in a later callback.
    pub(super) fn put_off(&mut self, id: StreamId, effects: impl Iterator<Item = Effect>) {
        self.later.extend(effects.map(|effect| (id, effect)));
    }
}
