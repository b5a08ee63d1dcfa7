//! The hooks of a stream.
//!
//! In: Envoy's hooks for headers, body, trailers and the end of a stream. Out: how Envoy continues.

use std::borrow::Cow;

use zonegate::lifecycle::{Request, RequestBody, Step, StreamId};

use crate::abi;
use crate::configuration::Configuration;
use crate::effects;
use crate::worker::{self, Phase, Stream};

/// What Envoy does with a piece of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyStep {
    /// The piece goes on, with all that was kept.
    Continue,
    /// The piece is kept.
    Keep,
    /// The stream was answered.
    Discard,
}

/// Whether a stream whose hook has failed still waits for its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MustBeAnswered {
    /// It still waits.
    Yes,
    /// It was answered earlier.
    No,
}

/// A stream begins.
pub(crate) fn begin(id: StreamId, configuration: &Configuration) {
    Stream::begin(id, configuration);
}

/// The request headers of a stream have come. `None` if the stream is not known.
pub(crate) fn on_headers(id: StreamId, is_end: bool) -> Option<Step> {
    let stream = Stream::find(id)?;
    let step = stream.event(|inner, effects| {
        let now = worker::clocks();
        inner.tick_if_due(now, effects);
        abi::with_request_headers(id, |headers| {
            #[cfg(zonegate_fault)]
            crate::fault_injection::at_headers(headers);
            let request = Request::new(id, stream.under(inner), headers.iter(), is_end);
            inner.lifecycle.on_headers(&request, now.wall, effects)
        })
    })?;
    match step {
        Step::Pause if stream.phase() == Phase::Passing => stream.set_phase(Phase::Kept),
        Step::Pause | Step::Continue => {}
    }
    if stream.phase() != Phase::Ended {
        stream.keep_time();
    }
    Some(step)
}

/// A piece of the request body of a stream has come. `None` if the stream is not known.
pub(crate) fn on_body(id: StreamId, is_end: bool) -> Option<BodyStep> {
    let stream = Stream::find(id)?;
    let is_kept = match stream.phase() {
        Phase::Allowed => return Some(BodyStep::Continue),
        Phase::Ended => return Some(BodyStep::Discard),
        Phase::Passing => false,
        Phase::Kept => true,
    };
    let step = stream.event(|inner, effects| {
        abi::with_request_body(id, is_kept, |chunks| {
            inner.lifecycle.on_body(id, &Body(chunks), is_end, &worker::wall, effects)
        })
    })?;
    Some(match (step, stream.phase()) {
        (_, Phase::Ended) => BodyStep::Discard,
        (Step::Continue, _) => BodyStep::Continue,
        (Step::Pause, _) => BodyStep::Keep,
    })
}

/// The request trailers of a stream have come. `None` if the stream is not known.
pub(crate) fn on_trailers(id: StreamId) -> Option<Step> {
    let stream = Stream::find(id)?;
    match stream.phase() {
        Phase::Allowed => return Some(Step::Continue),
        Phase::Ended => return Some(Step::Pause),
        Phase::Passing | Phase::Kept => {}
    }
    Some(stream.event(|inner, effects| inner.lifecycle.on_trailers(id, effects)))
}

/// A stream has ended. Filter state that is set now still reaches its access log.
pub(crate) fn on_complete(id: StreamId) {
    if let Some(stream) = Stream::find(id) {
        effects::complete(&stream);
    }
}

/// Envoy destroys the filter of a stream.
pub(crate) fn on_end(id: StreamId) {
    if let Some(stream) = Stream::find(id) {
        stream.event(|inner, _| inner.lifecycle.on_end(id));
        stream.end();
    }
}

/// Time has passed for the gateway of a stream, or there is something new.
pub(crate) fn woken(id: StreamId) {
    if let Some(stream) = Stream::find(id) {
        stream.event(|inner, effects| {
            #[cfg(zonegate_fault)]
            crate::fault_injection::when_woken();
            inner.tick(worker::clocks(), effects);
        });
    }
}

/// A hook of this stream has failed. The state of its gateway on this worker is then unknown, so all streams of the
/// gateway end, and the gateway starts empty.
pub(crate) fn failed(id: StreamId) -> MustBeAnswered {
    let Some(stream) = Stream::find(id) else { return MustBeAnswered::Yes };
    let must_be_answered = match stream.phase() {
        Phase::Ended => MustBeAnswered::No,
        Phase::Passing | Phase::Kept | Phase::Allowed => MustBeAnswered::Yes,
    };
    stream.count_panic();
    stream.gateway.restart();
    let streams = stream.gateway.streams();
    streams.iter().for_each(|stream| stream.set_phase(Phase::Ended));
    for other in streams.iter().filter(|other| other.id != id) {
        abi::reset(other.id);
    }
    must_be_answered
}

/// The body of a request, in Envoy's pieces.
struct Body<'a>(&'a [&'a [u8]]);

impl RequestBody for Body<'_> {
    fn size(&self) -> usize {
        self.0.iter().map(|piece| piece.len()).fold(0, usize::saturating_add)
    }

    fn read(&self, length: usize) -> Option<Cow<'_, [u8]>> {
        let length = length.min(self.size());
        if let Some(bytes) = self.0.first().and_then(|first| first.get(..length)) {
            return Some(Cow::Borrowed(bytes));
        }
        let mut bytes = Vec::with_capacity(length);
        for piece in self.0 {
            let missing = length.saturating_sub(bytes.len());
            bytes.extend_from_slice(piece.get(..missing).unwrap_or(piece));
        }
        Some(Cow::Owned(bytes))
    }
}
