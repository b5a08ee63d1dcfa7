//! The floor of the measurement: a module that asks of Envoy what the filter must ask, and does nothing
//! with it. What it costs, no filter in a VM can do without; what the filter costs more is its own.
//!
//! The plugin configuration is one word; see [`Step`]. It lets everything pass, or refuses everything,
//! and is never to be used as a gateway.
#![cfg(target_family = "wasm")]
#![allow(missing_docs, unsafe_code)] // of the entry point that the SDK makes

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, BufferType, ContextType, GrpcStatusCode, MapType, MetricType};

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(Root { step: Step::Nothing, counters: [0; 2] }));
}}

/// How far it goes. Each of the first four is the one before and something more.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// It is called.
    Nothing,
    /// It reads the headers.
    Headers,
    /// It holds the request until the first message is there, and reads it.
    Message,
    /// It looks at the clock, sets the values for the access log, and counts.
    Facts,
    /// It reads the headers, looks at the clock, sets the values of a refusal, counts, and refuses.
    Refusal,
}

struct Root {
    step: Step,
    counters: [u32; 2],
}

struct Stream {
    step: Step,
    counters: [u32; 2],
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        let word = hostcalls::get_buffer(BufferType::PluginConfiguration, 0, usize::MAX);
        let word = word.ok().flatten().unwrap_or_default();
        self.step = match word.as_slice() {
            b"nothing" => Step::Nothing,
            b"headers" => Step::Headers,
            b"message" => Step::Message,
            b"facts" => Step::Facts,
            b"refusal" => Step::Refusal,
            _ => return false,
        };
        for (counter, name) in self.counters.iter_mut().zip(["floor.all", "floor.some"]) {
            *counter = hostcalls::define_metric(MetricType::Counter, name).unwrap_or_default();
        }
        true
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream { step: self.step, counters: self.counters }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        if self.step >= Step::Headers {
            let _ = hostcalls::get_map_bytes(MapType::HttpRequestHeaders);
        }
        if self.step >= Step::Facts {
            let _ = hostcalls::get_current_time();
        }
        if self.step == Step::Refusal {
            self.facts(&[("verdict", "deny"), ("reason", "unknown_kid")], 1);
            let status = GrpcStatusCode::Unauthenticated;
            let text = "zonegate: unknown_kid: no configured key has its kid";
            let _ = hostcalls::send_grpc_response(status, Some(text), Vec::new());
        }
        match self.step {
            Step::Nothing | Step::Headers => Action::Continue,
            Step::Message | Step::Facts | Step::Refusal => Action::Pause,
        }
    }

    fn on_http_request_body(&mut self, size: usize, _: bool) -> Action {
        if matches!(self.step, Step::Message | Step::Facts) {
            let _ = hostcalls::get_buffer(BufferType::HttpRequestBody, 0, size);
        }
        if self.step == Step::Facts {
            let _ = hostcalls::get_current_time();
            let jti = "6b8d1c1e-53c5-4f5e-9f0c-7f3d0a1c2b3d";
            let facts = [("verdict", "allow"), ("zone", "east"), ("kid", "1"), ("jti", jti)];
            self.facts(&facts, 2);
        }
        Action::Continue
    }
}

impl Stream {
    fn facts(&self, facts: &[(&str, &str)], count: usize) {
        for (name, value) in facts {
            let _ = hostcalls::set_property(vec![name], Some(value.as_bytes()));
        }
        for counter in self.counters.iter().take(count) {
            let _ = hostcalls::increment_metric(*counter, 1);
        }
    }
}
