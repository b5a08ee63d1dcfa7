//! The stream context: one for each request.
//!
//! In: Envoy's callbacks for headers, body and trailers. Out: Continue or Pause.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use super::host::{self, Body, Headers};
use super::vm_state::Gateway;
use zonegate::lifecycle::{PolicyNumber, Request, Step, StreamId};

/// The stream context.
pub(super) struct Stream {
    id: u32,
    gateway: Rc<Gateway>,
    under: Option<PolicyNumber>,
}

impl Stream {
    pub(super) fn new(id: u32, gateway: Rc<Gateway>, under: Option<PolicyNumber>) -> Self {
        Self { id, gateway, under }
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, is_end: bool) -> Action {
        let headers = Headers::fetch();
        #[cfg(zonegate_fault)]
        super::fault_injection::at_headers(&headers);
        let request = Request {
            stream: StreamId(self.id),
            under: self.under,
            head: headers.head(),
            request_id: headers.first("x-request-id"),
            header_bytes: headers.bytes(),
            is_end,
        };
        action(self.gateway.event(self.id, |gateway, effects| {
            gateway.lifecycle.on_headers(&request, host::clock(), effects)
        }))
    }

    fn on_http_request_body(&mut self, size: usize, is_end: bool) -> Action {
        let id = StreamId(self.id);
        action(self.gateway.event(self.id, |gateway, effects| {
            gateway.lifecycle.on_body(id, &Body(size), is_end, &host::clock, effects)
        }))
    }

    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        let id = StreamId(self.id);
        action(
            self.gateway
                .event(self.id, |gateway, effects| gateway.lifecycle.on_trailers(id, effects)),
        )
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let id = StreamId(self.id);
        self.gateway.event(self.id, |gateway, _| gateway.lifecycle.on_end(id));
    }
}

fn action(step: Step) -> Action {
    match step {
        Step::Continue => Action::Continue,
        Step::Pause => Action::Pause,
    }
}
