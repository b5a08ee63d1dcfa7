//! What the lifecycle asks of a host.
//!
//! In: nothing. Out: the types of effects. This file decides nothing.

use std::fmt::Write as _;
use std::sync::Arc;

use super::event::StreamId;
use crate::credential::Identity;
use crate::gate::{Reason, Status};
use crate::log_line::LogLine;
use crate::metrics::{Change, Counter, Labels, Metric};

/// Something that the host does besides the [`Step`](super::event::Step). Each effect names its stream.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Lets a paused stream continue.
    Resume(StreamId),
    /// Answers a stream instead of the upstream. This ends the stream.
    Answer(StreamId, Answer),
    /// Resets a stream.
    Cut(StreamId),
    /// Sets the facts that access logs and later filters see.
    Facts(StreamId, Facts),
    /// Defines all metrics with these labels that are not defined yet.
    Define(Labels),
    /// Changes a counter or a gauge.
    Change(Metric, Change),
    /// Writes a line to the log; some lines name the peer of a stream.
    Log(Box<LogLine>),
}

impl Effect {
    /// Adds one to a counter.
    pub(crate) fn count(counter: Counter) -> Self {
        Self::Change(Metric::Counter(counter), Change::Count)
    }

    /// Writes `line`.
    pub(crate) fn log(line: LogLine) -> Self {
        Self::Log(Box::new(line))
    }
}

/// A refusal, as the client sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// How the client wants to be answered.
    pub protocol: Protocol,
    /// The status, for either protocol.
    pub status: Status,
    /// The text.
    pub message: String,
}

impl Answer {
    /// The text, encoded for `grpc-message` (gRPC over HTTP/2, Status-Message).
    pub fn grpc_message(&self) -> String {
        let mut encoded = String::with_capacity(self.message.len());
        for byte in self.message.bytes() {
            match byte {
                b' '..=b'~' if byte != b'%' => encoded.push(char::from(byte)),
                // Writing to a String does not fail.
                _ => drop(write!(encoded, "%{byte:02X}")),
            }
        }
        encoded
    }
}

/// How a client wants to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// gRPC: status and message in trailers.
    Grpc,
    /// Plain HTTP: status and text.
    Http,
}

/// What is known about a stream so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// What was decided.
    pub verdict: Decision,
    /// The reason of a refusal.
    pub reason: Option<Reason>,
    /// Whose stream it is, once the token is verified.
    pub identity: Option<Arc<Identity>>,
}

/// The decision on a stream, as access logs show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It passes.
    Allow,
    /// It is refused.
    Deny,
    /// It passes, and would be refused in enforce mode.
    WouldDeny,
    /// It is not judged yet, and passes: as a whole in shadow mode, its headers if only bodies are held.
    Pending,
}

impl Facts {
    /// Filter state, by its names in access logs. Unknown facts are left out. All facts about a token are one value,
    /// because each value costs a stream as much as a counter.
    pub fn values(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let verdict = [("wasm.zonegate.verdict", self.verdict.as_str())];
        let reason = self.reason.map(|reason| ("wasm.zonegate.reason", reason.as_str()));
        let token =
            self.identity.as_ref().map(|identity| ("wasm.zonegate.token", &*identity.pairs));
        verdict.into_iter().chain(reason).chain(token)
    }

    /// The facts of a stream that passes and is not judged yet.
    pub(super) fn pending() -> Self {
        Self { verdict: Decision::Pending, reason: None, identity: None }
    }
}

impl Decision {
    /// Its name in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::WouldDeny => "would_deny",
            Self::Pending => "pending",
        }
    }
}

/// How many streams are in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Streams that were let in and have not ended.
    pub open: u64,
    /// Streams that wait for their first message or their body.
    pub held: u64,
    /// Streams that passed in shadow mode and would be refused in enforce mode.
    pub shadowed: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::GrpcCode;

    /// All characters except printable ASCII are encoded, and so is the per cent sign.
    #[test]
    fn a_message_is_encoded_for_grpc() {
        for (message, encoded) in [
            ("", ""),
            ("zonegate: revoked: id \"1\" ~", "zonegate: revoked: id \"1\" ~"),
            ("100%", "100%25"),
            ("a\r\n\t\u{7f}b", "a%0D%0A%09%7Fb"),
            ("Zürich\u{2028}", "Z%C3%BCrich%E2%80%A8"),
        ] {
            let status = Status { grpc: GrpcCode::Unauthenticated, http: 401 };
            let answer = Answer { protocol: Protocol::Grpc, status, message: message.to_owned() };
            assert_eq!(answer.grpc_message(), encoded);
        }
    }
}
