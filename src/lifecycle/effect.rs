//! What a host tells the lifecycle, and what the lifecycle asks of the host.
//!
//! In: nothing. Out: the types of events and effects. Nothing is decided here.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use crate::credential::Identity;
use crate::gate::{Head, Now, Reason, Status};
use crate::log_line::LogLine;
use crate::metrics::{Counter, Gauge, Labels};

/// A stream, by the number that the host has for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(
    /// The host's number. No two streams that live at the same time share one.
    pub u32,
);

/// Which policy a worker was handed: the first is 1, the next is 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PolicyNumber(pub(super) u64);

/// What the host's clocks say.
#[derive(Debug, Clone, Copy)]
pub struct Clocks {
    /// The time of day, by which tokens are judged. It can be set back, and it can be missing.
    pub wall: Now,
    /// Time since some moment of the past, by which deadlines are kept. It cannot go back.
    pub monotonic: Duration,
}

/// A request, as far as its headers have come.
pub struct Request<'a> {
    /// Whose request.
    pub stream: StreamId,
    /// The policy that the host had in force when it began the stream, where that is known.
    pub under: Option<PolicyNumber>,
    /// The headers.
    pub head: Head<'a>,
    /// `x-request-id`, for the log.
    pub request_id: &'a [u8],
    /// How many bytes all headers take together.
    pub header_bytes: usize,
    /// Whether neither body nor trailers follow.
    pub is_end: bool,
}

/// A request body, as a host shows it.
pub trait RequestBody {
    /// How many bytes the host shows: all that it keeps where the stream is held, else the next piece.
    fn size(&self) -> usize;

    /// The first `length` bytes of those; `None` where the host does not hand them over.
    fn read(&self, length: usize) -> Option<Cow<'_, [u8]>>;
}

/// What the host does with the stream whose event it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Step {
    /// It goes on.
    Continue,
    /// It stays, with all that has come of it.
    Pause,
}

/// What the host does besides. Each effect names its stream.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Lets a paused stream go on.
    Resume(StreamId),
    /// Answers a stream in place of the upstream, which ends the stream.
    Answer(StreamId, Answer),
    /// Resets a stream.
    Cut(StreamId),
    /// Sets what access logs and later filters see.
    Facts(StreamId, Facts),
    /// Defines the metrics that are not defined yet, with those of these labels.
    Define(Labels),
    /// Counts one more.
    Count(Counter),
    /// Changes a gauge that several share.
    Add(Gauge, i64),
    /// Sets a gauge.
    Set(Gauge, usize),
    /// Writes a line to the log; some lines name the peer of a stream.
    Log(Box<LogLine>),
}

impl Effect {
    /// Writes `line`.
    pub(crate) fn log(line: LogLine) -> Self {
        Self::Log(Box::new(line))
    }
}

/// A refusal, as a client is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// How the client wants to be answered.
    pub protocol: Protocol,
    /// The code, in the words of either protocol.
    pub status: Status,
    /// The text.
    pub message: String,
}

/// How a client wants to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// gRPC: status and message in trailers.
    Grpc,
    /// Plain HTTP: status and text.
    Http,
}

/// What is known of a stream by now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// What was decided.
    pub verdict: Decision,
    /// Why, of a refusal.
    pub reason: Option<Reason>,
    /// Whose it is, once verified.
    pub identity: Option<Arc<Identity>>,
}

/// What was decided of a stream, as access logs show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It passes.
    Allow,
    /// It is refused.
    Deny,
    /// It passes, and would be refused in enforce mode.
    WouldDeny,
    /// It passes, and is not judged yet: shadow mode.
    Pending,
}

impl Facts {
    /// Filter state, by its names in access logs. What is not known is left out. All that a token says is one
    /// value, for each value costs a stream as much as a counter.
    pub fn values(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let verdict = [("wasm.zonegate.verdict", self.verdict.as_str())];
        let reason = self.reason.map(|reason| ("wasm.zonegate.reason", reason.as_str()));
        let token =
            self.identity.as_ref().map(|identity| ("wasm.zonegate.token", &*identity.pairs));
        verdict.into_iter().chain(reason).chain(token)
    }

    /// Of a stream that passes and is not judged yet.
    pub(super) fn pending() -> Self {
        Self { verdict: Decision::Pending, reason: None, identity: None }
    }
}

impl Decision {
    /// Its one spelling.
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
    /// Streams that wait for their first message, or their body.
    pub held: u64,
    /// Streams that passed in shadow mode and would be refused in enforce mode.
    pub shadowed: u64,
}
