//! The stream context: one for each request.
//!
//! In: Envoy's callbacks for headers, body and trailers. Out: Continue or Pause.

use std::sync::Arc;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use super::host::{self, Body};
use super::vm_state;
use zonegate::lifecycle::{Effect, Lifecycle, PolicyNumber, Request, Step, StreamId};
use zonegate::vm_gateway::VmGateway;

/// The stream context.
pub(super) struct Stream {
    pub(super) id: StreamId,
    /// The name of its gateway.
    pub(super) gateway: Arc<str>,
    /// The policy of the configuration under which Envoy began the stream.
    pub(super) under: Option<PolicyNumber>,
}

impl Stream {
    fn event(&self, event: impl FnOnce(&mut Lifecycle, &mut Vec<Effect>) -> Step) -> Action {
        let event = |inner: &mut VmGateway, effects: &mut _| event(&mut inner.lifecycle, effects);
        match vm_state::event(&self.gateway, self.id.0, event) {
            Step::Continue => Action::Continue,
            Step::Pause => Action::Pause,
        }
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, is_end: bool) -> Action {
        let headers = host::request_headers();
        #[cfg(zonegate_fault)]
        super::fault_injection::at_headers(&headers);
        let headers = headers.iter().map(|(name, value)| (name.as_bytes(), value.as_slice()));
        let request = Request::new(self.id, self.under, headers, is_end);
        self.event(|life, effects| life.on_headers(&request, host::clock(), effects))
    }

    fn on_http_request_body(&mut self, size: usize, is_end: bool) -> Action {
        let body = Body(size);
        self.event(|life, effects| life.on_body(self.id, &body, is_end, &host::clock, effects))
    }

    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        self.event(|life, effects| life.on_trailers(self.id, effects))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        vm_state::event(&self.gateway, self.id.0, |inner, _| inner.lifecycle.on_end(self.id));
    }
}
