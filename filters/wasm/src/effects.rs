//! Effects, as host calls.
//!
//! In: effects, and the context of the callback that is running. Out: host calls, each for the stream
//! that its effect names. The effective context is switched in one place only, which switches it back.

use log::{Level, log};
use proxy_wasm::hostcalls;
use zonegate::lifecycle::{Effect, StreamId};
use zonegate::log_line::{self, LogLine};

use super::{host, metrics};

/// Performs `effects` in a callback of context `current`.
pub(super) fn perform(effects: &mut Vec<Effect>, current: u32) {
    for effect in effects.drain(..) {
        match effect {
            Effect::Resume(stream) => in_context(stream, current, host::resume),
            Effect::Answer(stream, answer) => in_context(stream, current, || host::answer(&answer)),
            Effect::Cut(stream) => in_context(stream, current, host::reset),
            Effect::Facts(stream, facts) => {
                in_context(stream, current, || facts.values().for_each(host::set_filter_state));
            }
            Effect::Define(labels) => metrics::define(&labels),
            Effect::Change(metric, change) => metrics::change(&metric, change),
            Effect::Log(line) => write(&line, current),
        }
    }
}

fn write(line: &LogLine, current: u32) {
    let level = match line.level() {
        log_line::Level::Info => Level::Info,
        log_line::Level::Warn => Level::Warn,
        log_line::Level::Error => Level::Error,
    };
    let mut peer = String::new();
    if let Some(stream) = line.peer_of() {
        in_context(stream, current, || peer = host::peer());
    }
    log!(level, "{}", line.render(&peer));
}

/// Runs `call` with the context of `stream` as the effective one, in a callback of `current`.
fn in_context(StreamId(stream): StreamId, current: u32, call: impl FnOnce()) {
    if stream == current {
        return call();
    }
    // A stream that has ended needs nothing any more.
    if hostcalls::set_effective_context(stream).is_ok() {
        call();
        let _ = hostcalls::set_effective_context(current);
    }
}
