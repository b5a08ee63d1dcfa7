//! The hooks of a stream.

use std::cell::RefCell;
use std::hint::black_box;
use std::time::SystemTime;

use zonegate::lifecycle::{Step as Go, StreamId};
use zonegate::metrics::Change;

use crate::abi;
use crate::configuration::{Configuration, Step};

/// What Envoy does with a piece of a body.
pub(crate) enum BodyStep {
    Continue,
    #[expect(dead_code, reason = "the floor keeps no body; abi.rs asks for it")]
    Keep,
    Discard,
}

/// Whether a stream whose hook has failed still waits for its answer.
#[derive(PartialEq, Eq)]
pub(crate) enum MustBeAnswered {
    Yes,
    No,
}

#[derive(Clone, Copy)]
struct Stream {
    step: Step,
    counters: [usize; 2],
}

thread_local! {
    static STREAMS: RefCell<Vec<Option<Stream>>> = const { RefCell::new(Vec::new()) };
}

pub(crate) fn begin(id: StreamId, configuration: &Configuration) {
    let stream = Stream { step: configuration.step, counters: configuration.counters };
    set(id, Some(stream));
}

pub(crate) fn on_headers(id: StreamId, _: bool) -> Option<Go> {
    let stream = find(id)?;
    if stream.step >= Step::Headers {
        abi::with_request_headers(id, |headers| black_box(headers.iter().count()));
    }
    if stream.step >= Step::Facts {
        black_box(SystemTime::now());
    }
    if stream.step == Step::Refusal {
        stream.tell(id, &[("verdict", "deny"), ("reason", "unknown_kid")], 1);
        let text = "zonegate: unknown_kid: no configured key has this kid; rotated out?";
        let headers = [
            (":status", "200"),
            ("content-type", "application/grpc"),
            ("grpc-status", "16"),
            ("grpc-message", text),
        ];
        abi::respond(id, None, &headers, "");
    }
    Some(match stream.step {
        Step::Nothing | Step::Headers => Go::Continue,
        Step::Message | Step::Facts | Step::Refusal => Go::Pause,
    })
}

pub(crate) fn on_body(id: StreamId, _: bool) -> Option<BodyStep> {
    let stream = find(id)?;
    if stream.step >= Step::Message {
        abi::with_request_body(id, true, |chunks| black_box(chunks.len()));
    }
    if stream.step == Step::Facts {
        black_box(SystemTime::now());
        let token = "kind=zoneToken kid=1 jti=6b8d1c1e-53c5-4f5e-9f0c-7f3d0a1c2b3d zone=east";
        stream.tell(id, &[("verdict", "allow"), ("token", token)], 2);
    }
    Some(match stream.step {
        Step::Refusal => BodyStep::Discard,
        Step::Nothing | Step::Headers | Step::Message | Step::Facts => BodyStep::Continue,
    })
}

pub(crate) fn on_trailers(id: StreamId) -> Option<Go> {
    find(id).map(|_| Go::Continue)
}

pub(crate) fn on_complete(_: StreamId) {}

pub(crate) fn on_end(id: StreamId) {
    set(id, None);
}

pub(crate) fn woken(_: StreamId) {}

pub(crate) fn failed(_: StreamId) -> MustBeAnswered {
    MustBeAnswered::Yes
}

impl Stream {
    fn tell(&self, id: StreamId, facts: &[(&str, &str)], count: usize) {
        for (name, value) in facts {
            abi::set_filter_state(id, name, value);
        }
        for counter in self.counters.iter().take(count) {
            abi::change(id, *counter, Change::Count);
        }
    }
}

fn find(StreamId(number): StreamId) -> Option<Stream> {
    let place = usize::try_from(number).ok()?;
    STREAMS.with_borrow(|streams| streams.get(place).copied().flatten())
}

fn set(StreamId(number): StreamId, stream: Option<Stream>) {
    let Ok(place) = usize::try_from(number) else { return };
    STREAMS.with_borrow_mut(|streams| {
        if streams.len() <= place {
            streams.resize(place.saturating_add(1), None);
        }
        if let Some(place) = streams.get_mut(place) {
            *place = stream;
        }
    });
}
