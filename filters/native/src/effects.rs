//! Effects, as calls of Envoy.
//!
//! In: effects, and the stream whose hook runs. Out: calls of Envoy, each for the stream that its effect
//! names. An effect that ends a stream comes last: Envoy may destroy the stream during that call.

use zonegate::gate::Status;
use zonegate::lifecycle::{Answer, Decision, Effect, Facts, Protocol, StreamId};
use zonegate::log_line::LogLine;
use zonegate::metrics::{Change, Metric};

use crate::abi;
use crate::worker::{Phase, Stream};

/// The filter state that marks a stream that passes and is not judged yet. Filter state cannot be changed, so the
/// verdict has another name.
const PENDING: &str = "wasm.zonegate.pending";
const VERDICT: &str = "wasm.zonegate.verdict";

/// Performs `effects` and counts `counts`, in a hook of `speaker`. Returns the metrics that could not be changed.
pub(crate) fn perform(
    effects: &mut Vec<Effect>,
    counts: Vec<(Metric, Change)>,
    speaker: &Stream,
) -> Vec<(Metric, Change)> {
    let mut left = Vec::new();
    let mut count = |metric: Metric, change| {
        if !speaker.count(&metric, change) {
            left.push((metric, change));
        }
    };
    for (metric, change) in counts {
        count(metric, change);
    }
    for effect in effects.iter() {
        match effect {
            Effect::Facts(stream, facts) => tell(*stream, facts),
            Effect::Change(metric, change) => count(metric.clone(), *change),
            Effect::Log(line) => write(line),
            // All metrics of a configuration are defined with it.
            Effect::Define(_) => {}
            Effect::Resume(_) | Effect::Answer(..) | Effect::Cut(_) => {}
        }
    }
    for effect in effects.drain(..) {
        match effect {
            Effect::Resume(stream) => abi::resume(stream),
            Effect::Answer(stream, answer) => {
                end(stream);
                self::answer(stream, &answer);
            }
            Effect::Cut(stream) => {
                end(stream);
                abi::reset(stream);
            }
            Effect::Facts(..) | Effect::Change(..) | Effect::Log(_) | Effect::Define(_) => {}
        }
    }
    left
}

/// A stream has ended. A stream that was never judged gets the verdict `pending`.
pub(crate) fn complete(stream: &Stream) {
    if stream.phase() == Phase::Passing {
        abi::set_filter_state(stream.id, VERDICT, Decision::Pending.as_str());
    }
}

fn end(stream: StreamId) {
    if let Some(stream) = Stream::find(stream) {
        stream.set_phase(Phase::Ended);
    }
}

/// Sets filter state `wasm.zonegate.…`, as the module in wasm does: one `gateway.yaml` fits both.
fn tell(id: StreamId, facts: &Facts) {
    let phase = match facts.verdict {
        Decision::Allow | Decision::WouldDeny => Phase::Allowed,
        Decision::Deny => Phase::Ended,
        Decision::Pending => {
            return abi::set_filter_state(id, PENDING, Decision::Pending.as_str());
        }
    };
    if let Some(stream) = Stream::find(id) {
        stream.set_phase(phase);
    }
    for (name, value) in facts.values() {
        abi::set_filter_state(id, name, value);
    }
}

fn write(line: &LogLine) {
    let peer = line.peer_of().map(abi::peer).unwrap_or_default();
    abi::log(line.level(), &line.render(&peer));
}

fn answer(stream: StreamId, answer: &Answer) {
    let Answer { protocol, status: Status { grpc, http }, message } = answer;
    match protocol {
        Protocol::Grpc => {
            let headers = [
                (":status", "200"),
                ("content-type", "application/grpc"),
                ("grpc-status", &*grpc.to_string()),
                ("grpc-message", &*answer.grpc_message()),
            ];
            abi::respond(stream, None, &headers, "");
        }
        Protocol::Http => {
            abi::respond(stream, Some(*http), &[("content-type", "text/plain")], message);
        }
    }
}
