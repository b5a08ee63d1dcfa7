//! How many other streams end in one callback of the host.
//!
//! In: streams that are to be answered, resumed or cut outside their own callback. Out: whether there is room for that
//! in this callback, and what had no room in earlier callbacks.
//!
//! A host of proxy-wasm modules sets two limits (proxy-wasm-cpp-host: `include/proxy-wasm/wasm.h`, `src/context.cc`):
//!
//! - In the callback of a stream, no other stream may be answered. The host then also stops the stream of the callback,
//!   and may lose the piece of its body. So other streams are ended in ticks and pushes only.
//! - The host ends streams after the callback, each inside the end of the one before: the end of a stream is a call into
//!   the VM, and after that call the host ends the next stream (`doAfterVmCallActions`). The stack grows with every
//!   stream. V8 fails the VM after some 450, and then every stream of the worker is lost.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use super::StreamId;
use super::effect::Effect;

/// The room in this callback, and the streams that wait for room.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// How many other streams may end in one tick; `None` if the host has no limits.
    most: Option<usize>,
    left: usize,
    is_stream: bool,
    /// What had no room: the answer to a stream, or that it goes on.
    waiting: FxHashMap<StreamId, Waiting>,
    /// Who waits, the first first. Some of them may wait no longer.
    order: VecDeque<StreamId>,
    bytes: usize,
}

#[derive(Debug)]
struct Waiting {
    effect: Effect,
    bytes: usize,
}

impl Pace {
    pub(super) fn of(most: usize) -> Self {
        Self { most: Some(most), left: most, ..Self::default() }
    }

    /// The callback of a stream begins. What waits for room is done now if it concerns this stream: the stream is
    /// answered. If it is to go on, the result of the callback says so.
    pub(super) fn begin_stream(&mut self, id: StreamId, effects: &mut Vec<Effect>) {
        self.is_stream = true;
        effects.extend(self.forget(id).filter(|effect| matches!(effect, Effect::Answer(..))));
    }

    /// The callback of a push begins. The room stays as it is: a push may come in the callback of a tick.
    pub(super) fn begin_push(&mut self) {
        self.is_stream = false;
    }

    /// The callback of a tick begins.
    pub(super) fn begin_tick(&mut self) {
        self.is_stream = false;
        self.left = self.most.unwrap_or_default();
    }

    /// Performs what had no room before.
    pub(super) fn catch_up(&mut self, effects: &mut Vec<Effect>) {
        while self.has_room()
            && let Some(id) = self.order.pop_front()
        {
            if let Some(effect) = self.forget(id) {
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
        self.most.is_some() && (self.left == 0 || !self.waiting.is_empty())
    }

    /// Performs the effect on a stream in a later callback. The host holds this many bytes for the stream until then.
    pub(super) fn put_off(&mut self, id: StreamId, effect: Effect, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes);
        self.waiting.insert(id, Waiting { effect, bytes });
        self.order.push_back(id);
    }

    /// The bytes that the host holds for streams that wait for room.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Removes a stream from those that wait. Returns its effect.
    pub(super) fn forget(&mut self, id: StreamId) -> Option<Effect> {
        if self.waiting.is_empty() {
            return None;
        }
        let Waiting { effect, bytes } = self.waiting.remove(&id)?;
        self.bytes = self.bytes.saturating_sub(bytes);
        if self.waiting.is_empty() {
            self.order.clear();
        }
        Some(effect)
    }
}
