//! The streams of a worker, each in its state, and how many are in each.
//!
//! In: states. Out: the same, and [`Gauges`]. Other files decide when a stream changes its state.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::held::HeldStream;
use super::open::Shadowed;
use super::{Gauges, StreamId};
use crate::credential::Identity;

/// The state of a stream whose headers have come. Before that a stream has no state.
#[derive(Debug)]
pub(super) enum State {
    /// It waits for its first message or its body.
    Held(Box<HeldStream>),
    /// It was let in; `None` if it was let in unchecked.
    Open(Option<Arc<Identity>>),
    /// It passed in shadow mode and would have been refused.
    Shadowed(Box<Shadowed>),
    /// It was answered or cut.
    Answered,
}

impl State {
    /// Whose stream it is, if it passes and its token was verified.
    pub(super) fn identity(&self) -> Option<Arc<Identity>> {
        match self {
            Self::Open(identity) => identity.clone(),
            Self::Shadowed(shadowed) => shadowed.identity(),
            Self::Held(_) | Self::Answered => None,
        }
    }
}

/// The streams of a worker.
#[derive(Debug, Default)]
pub(super) struct Streams {
    states: FxHashMap<StreamId, State>,
    gauges: Gauges,
}

impl Streams {
    /// Puts a stream into a state, whatever it was in before.
    pub(super) fn set(&mut self, id: StreamId, state: State) {
        self.count(&state, 1);
        if let Some(before) = self.states.insert(id, state) {
            self.count(&before, -1);
        }
    }

    /// Removes a stream.
    pub(super) fn remove(&mut self, id: StreamId) -> Option<State> {
        let state = self.states.remove(&id)?;
        self.count(&state, -1);
        Some(state)
    }

    /// Removes a held stream; a stream in another state stays.
    pub(super) fn take_held(&mut self, id: StreamId) -> Option<Box<HeldStream>> {
        match self.states.get(&id) {
            Some(State::Held(_)) => match self.remove(id) {
                Some(State::Held(stream)) => Some(stream),
                _ => None,
            },
            _ => None,
        }
    }

    pub(super) fn get(&self, id: StreamId) -> Option<&State> {
        self.states.get(&id)
    }

    /// A held stream.
    pub(super) fn held_mut(&mut self, id: StreamId) -> Option<&mut HeldStream> {
        match self.states.get_mut(&id) {
            Some(State::Held(stream)) => Some(stream),
            _ => None,
        }
    }

    /// All held streams.
    pub(super) fn all_held_mut(&mut self) -> impl Iterator<Item = (StreamId, &mut HeldStream)> {
        self.states.iter_mut().filter_map(|(id, state)| match state {
            State::Held(stream) => Some((*id, &mut **stream)),
            _ => None,
        })
    }

    /// All streams, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (StreamId, &State)> {
        self.states.iter().map(|(id, state)| (*id, state))
    }

    pub(super) fn len(&self) -> usize {
        self.states.len()
    }

    pub(super) fn gauges(&self) -> Gauges {
        self.gauges
    }

    fn count(&mut self, state: &State, change: i64) {
        let gauge = match state {
            State::Held(_) => &mut self.gauges.held,
            State::Open(_) => &mut self.gauges.open,
            State::Shadowed(_) => &mut self.gauges.shadowed,
            State::Answered => return,
        };
        *gauge = gauge.saturating_add_signed(change);
    }
}
