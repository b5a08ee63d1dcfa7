//! Effects, as calls of Envoy.
//!
//! In: effects, and the stream whose hook runs. Out: calls of Envoy, each for the stream that its effect
//! names. What ends a stream comes last: Envoy may destroy it in that very call.

use zonegate::gate::{GrpcCode, Status};
use zonegate::lifecycle::{Answer, Decision, Effect, Facts, Protocol, StreamId};
use zonegate::log_line::LogLine;
use zonegate::metrics::Metric;

use crate::abi::{self, Change};
use crate::worker::{Phase, Stream};

/// Where a stream that passes and is not judged yet is marked as such. Envoy lets nobody write filter state
/// anew, so the verdict has a place of its own.
const PENDING: &str = "wasm.zonegate.pending";
const VERDICT: &str = "wasm.zonegate.verdict";

/// Performs `effects` and counts `counts`, in a hook of `speaker`. Out: what could not be counted.
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
            Effect::Count(counter) => {
                count(Metric::Counter(counter.clone()), Change::Count(1));
            }
            Effect::Add(gauge, change) => {
                count(Metric::Gauge(gauge.clone()), Change::Add(*change));
            }
            Effect::Set(gauge, value) => {
                let value = u64::try_from(*value).unwrap_or(u64::MAX);
                count(Metric::Gauge(gauge.clone()), Change::Set(value));
            }
            Effect::Log(line) => write(line),
            // All of a configuration's are defined with it.
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
            Effect::Facts(..)
            | Effect::Count(_)
            | Effect::Add(..)
            | Effect::Set(..)
            | Effect::Log(_)
            | Effect::Define(_) => {}
        }
    }
    left
}

/// A stream is over. One that was never judged has the verdict that it is not.
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

fn answer(stream: StreamId, Answer { protocol, status: Status { grpc, http }, message }: &Answer) {
    match protocol {
        Protocol::Grpc => {
            let (status, message) = (grpc_status(*grpc), percent_encoded(message));
            let headers = [
                (":status", "200"),
                ("content-type", "application/grpc"),
                ("grpc-status", status),
                ("grpc-message", &message),
            ];
            abi::respond(stream, None, &headers, "");
        }
        Protocol::Http => {
            abi::respond(stream, Some(*http), &[("content-type", "text/plain")], message);
        }
    }
}

fn grpc_status(code: GrpcCode) -> &'static str {
    match code {
        GrpcCode::InvalidArgument => "3",
        GrpcCode::DeadlineExceeded => "4",
        GrpcCode::PermissionDenied => "7",
        GrpcCode::Unimplemented => "12",
        GrpcCode::Unavailable => "14",
        GrpcCode::Unauthenticated => "16",
    }
}

/// A text as `grpc-message` has it (gRPC over HTTP/2, Status-Message).
fn percent_encoded(message: &str) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    let digit = |value: u8| DIGITS.get(usize::from(value)).copied().unwrap_or('0');
    let mut encoded = String::with_capacity(message.len());
    for byte in message.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => encoded.push(char::from(byte)),
            _ => encoded.extend(['%', digit(byte >> 4), digit(byte & 0xf)]),
        }
    }
    encoded
}
