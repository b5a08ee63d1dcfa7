//! The stream context: one for each request.
//!
//! In: Envoy's callbacks for headers, body and trailers. Out: Continue, Pause or an answer. While a
//! request is held, Envoy keeps its headers and its body; nothing has gone upstream.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use super::host::{self, Headers, Protocol};
use super::metrics::metrics;
use super::waiting;
use crate::gate::{
    Clock, Denial, ErrorDetail, Form, Frame, Head, Held, MAX_BOOTSTRAP, PREFIX, Permit, Policy,
    Refusal, RequestError, Verdict,
};
use crate::log_line::{self, Origin, RateLimit};
use crate::token::ZoneToken;

thread_local! {
    static LOG_LIMIT: RefCell<RateLimit> = RefCell::default();
}

/// The stream context.
pub(super) struct Stream {
    id: u32,
    policy: Option<Rc<Policy>>,
    state: State,
}

enum State {
    /// No headers yet.
    New,
    /// Held for its first message.
    FirstMessage {
        exchange: Rc<Exchange>,
        form: Form,
        token: Result<ZoneToken, Refusal>,
        frame: Option<Frame>,
    },
    /// Held for its body.
    Bootstrap(Rc<Exchange>),
    /// Passes, and counts as open until it ends.
    Open,
    /// Answered.
    Denied,
}

/// What it takes to answer a request, from its own context or from the root's.
pub(super) struct Exchange {
    pub(super) policy: Rc<Policy>,
    protocol: Protocol,
    origin: Origin,
    denied: Cell<bool>,
}

impl Stream {
    pub(super) fn new(id: u32, policy: Option<Rc<Policy>>) -> Self {
        Self { id, policy, state: State::New }
    }

    /// Acts on the verdict of the headers.
    fn act(&mut self, verdict: Verdict, exchange: Exchange, clock: Clock) -> Action {
        match verdict {
            Verdict::Allow(permit) => self.allow(&permit),
            Verdict::Deny(denial) => self.deny(&exchange, denial),
            Verdict::Hold(held) => {
                let exchange = Rc::new(exchange);
                let now = match clock.now() {
                    Ok(now) => now,
                    Err(refusal) => return self.deny(&exchange, refusal.into()),
                };
                waiting::add(self.id, Rc::clone(&exchange), now);
                self.state = match held {
                    Held::FirstMessage { form, token } => {
                        State::FirstMessage { exchange, form, token, frame: None }
                    }
                    Held::Bootstrap => State::Bootstrap(exchange),
                };
                Action::Pause
            }
        }
    }

    fn allow(&mut self, permit: &Permit) -> Action {
        log::debug!("{}", log_line::allowed(permit));
        host::set_filter_state("zonegate.verdict", "allow");
        let kid = match permit {
            Permit::ZoneToken { token, proxy: _ } => {
                set_token_state(token);
                Some(token.kid.as_str())
            }
            Permit::Unchecked(_) => None,
        };
        metrics(|metrics| {
            metrics.allowed(kid);
            metrics.stream_opened();
        });
        self.state = State::Open;
        Action::Continue
    }

    fn deny(&mut self, exchange: &Exchange, denial: Denial) -> Action {
        exchange.deny(denial);
        self.state = State::Denied;
        Action::Pause
    }

    /// No configuration or no headers: the host is broken, so nothing passes.
    fn deny_blindly(&mut self) -> Action {
        let refusal = Refusal::MalformedRequest(RequestError::Host);
        metrics(|metrics| metrics.denied(refusal.reason()));
        host::reply(&refusal, Protocol::Http, ErrorDetail::Reason);
        self.state = State::Denied;
        Action::Pause
    }

    fn conclude(&mut self, exchange: &Exchange, judged: Result<Permit, Denial>) -> Action {
        waiting::remove(self.id);
        // Its time was over before its message came.
        if exchange.denied.get() {
            self.state = State::Denied;
            return Action::Pause;
        }
        match judged {
            Ok(permit) => self.allow(&permit),
            Err(denial) => self.deny(exchange, denial),
        }
    }

    /// Looks at the body of a held request, of which `size` bytes have come.
    fn body(&mut self, size: usize, end: bool) -> Action {
        match std::mem::replace(&mut self.state, State::Denied) {
            State::FirstMessage { exchange, form, token, frame } => {
                self.first_message(exchange, form, token, frame, size, end)
            }
            State::Bootstrap(exchange) => self.bootstrap(exchange, size, end),
            State::Open => {
                self.state = State::Open;
                Action::Continue
            }
            State::New | State::Denied => Action::Pause,
        }
    }

    /// The five bytes before a message say how long it is; only then is the whole of it fetched, once.
    fn first_message(
        &mut self,
        exchange: Rc<Exchange>,
        form: Form,
        token: Result<ZoneToken, Refusal>,
        frame: Option<Frame>,
        size: usize,
        end: bool,
    ) -> Action {
        let frame = match frame {
            Some(frame) => Ok(Some(frame)),
            None => Frame::of(&host::request_body(PREFIX).unwrap_or_default()),
        };
        let error = match frame {
            Err(error) => error,
            Ok(Some(frame)) if size >= frame.length => {
                let body = host::request_body(frame.length).unwrap_or_default();
                let policy = &exchange.policy;
                let judged = match frame.message(&body) {
                    Some(message) => {
                        policy.judge_first_message(form, token, message, host::clock())
                    }
                    None => Err(Refusal::MalformedRequest(RequestError::Host).into()),
                };
                return self.conclude(&exchange, judged);
            }
            Ok(_) if end => RequestError::Incomplete,
            Ok(frame) => {
                self.state = State::FirstMessage { exchange, form, token, frame };
                return Action::Pause;
            }
        };
        self.conclude(&exchange, Err(Refusal::MalformedRequest(error).into()))
    }

    fn bootstrap(&mut self, exchange: Rc<Exchange>, size: usize, end: bool) -> Action {
        if size > MAX_BOOTSTRAP {
            let refusal = Refusal::MalformedRequest(RequestError::TooLarge);
            return self.conclude(&exchange, Err(refusal.into()));
        }
        if !end {
            self.state = State::Bootstrap(exchange);
            return Action::Pause;
        }
        let body = if size == 0 { Some(Vec::new()) } else { host::request_body(size) };
        let judged = match body {
            Some(body) => exchange.policy.judge_bootstrap_body(&body, host::clock()),
            None => Err(Refusal::MalformedRequest(RequestError::Host).into()),
        };
        self.conclude(&exchange, judged)
    }
}

impl Exchange {
    fn new(policy: Rc<Policy>, head: &Head<'_>, origin: Origin) -> Self {
        let protocol = if head.is_grpc() { Protocol::Grpc } else { Protocol::Http };
        Self { policy, protocol, origin, denied: Cell::new(false) }
    }

    /// Answers the request in effect, counts it and logs it.
    pub(super) fn deny(&self, denial: Denial) {
        self.denied.set(true);
        let reason = denial.refusal.reason();
        metrics(|metrics| metrics.denied(reason));
        host::set_filter_state("zonegate.verdict", "deny");
        host::set_filter_state("zonegate.reason", reason.as_str());
        if let Some(token) = &denial.token {
            set_token_state(token);
        }
        let now = host::clock().0.unwrap_or_default();
        if let Some(suppressed) = LOG_LIMIT.with_borrow_mut(|limit| limit.admit(now)) {
            log::warn!("{}", log_line::refusal(&denial, &self.origin, suppressed));
        }
        host::reply(&denial.refusal, self.protocol, self.policy.error_detail);
    }
}

fn set_token_state(token: &ZoneToken) {
    host::set_filter_state("zonegate.zone", &token.claims.zone);
    host::set_filter_state("zonegate.kid", &token.kid);
    host::set_filter_state("zonegate.jti", &token.claims.id);
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, end: bool) -> Action {
        let (Some(policy), Ok(headers)) = (self.policy.clone(), Headers::fetch()) else {
            return self.deny_blindly();
        };
        let clock = host::clock();
        let head = headers.head();
        let verdict = policy.judge(&head, clock);
        let exchange = Exchange::new(policy, &head, headers.origin());
        match self.act(verdict, exchange, clock) {
            // Held, and nothing more will come.
            Action::Pause if end => self.body(0, true),
            action => action,
        }
    }

    fn on_http_request_body(&mut self, size: usize, end: bool) -> Action {
        self.body(size, end)
    }

    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        match std::mem::replace(&mut self.state, State::Denied) {
            State::FirstMessage { exchange, .. } | State::Bootstrap(exchange) => {
                let refusal = Refusal::MalformedRequest(RequestError::Incomplete);
                self.conclude(&exchange, Err(refusal.into()))
            }
            State::Open => {
                self.state = State::Open;
                Action::Continue
            }
            State::New | State::Denied => Action::Pause,
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        waiting::remove(self.id);
        if matches!(self.state, State::Open) {
            metrics(|metrics| metrics.stream_closed());
        }
    }
}
