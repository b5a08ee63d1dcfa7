//! The configuration: the calls that the floor makes.

use std::sync::Arc;

use crate::abi::Host;

/// The calls that the library makes. Each of the first four steps adds to the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// None: Envoy calls the library.
    Nothing,
    /// It reads the headers.
    Headers,
    /// It holds the request until the first message has come, and reads the message.
    Message,
    /// It reads the clock, sets the values for the access log, and counts.
    Facts,
    /// It reads the headers and the clock, sets the values of a refusal, counts, and refuses.
    Refusal,
}

/// A configuration, which lives as long as Envoy keeps it.
#[derive(Debug)]
pub(crate) struct Configuration {
    pub(crate) step: Step,
    /// Envoy's numbers of the counters.
    pub(crate) counters: [usize; 2],
}

pub(crate) fn begin(host: Host<'_>, _name: &str, text: &[u8]) -> Option<Arc<Configuration>> {
    let step = match text {
        b"nothing" => Step::Nothing,
        b"headers" => Step::Headers,
        b"message" => Step::Message,
        b"facts" => Step::Facts,
        b"refusal" => Step::Refusal,
        _ => return None,
    };
    let counters = [host.define_counter("floor.all")?, host.define_counter("floor.some")?];
    Some(Arc::new(Configuration { step, counters }))
}

pub(crate) fn stands(_: Host<'_>, _: &Configuration) {}

pub(crate) fn end(_: &Configuration) {}

pub(crate) fn pushed_elsewhere(_: &str, _: &[u8]) {}
