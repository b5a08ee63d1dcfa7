//! The stream context: one for each request.
//!
//! In: Envoy's callbacks for headers, body and trailers. Out: Continue, Pause or an answer. While a
//! request is held, Envoy keeps its headers and its body; nothing has gone upstream. In shadow mode
//! nothing is held: the filter copies what it needs to judge, and everything goes on.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;
use zonegate::gate::{
    Clock, Denial, ErrorDetail, Held, MAX_BOOTSTRAP, Mode, Permit, Policy, Refusal, RequestError,
    Verdict,
};

use super::body::Body;
use super::exchange::Exchange;
use super::host::{self, Headers, Protocol};
use super::metrics::metrics;
use super::{shared, waiting};

/// The stream context.
pub(super) struct Stream {
    id: u32,
    gateway: Rc<str>,
    policy: Option<Rc<Policy>>,
    state: State,
}

enum State {
    /// No headers yet.
    New,
    /// Held, or in shadow mode watched, until its first message or its body is whole.
    Held { exchange: Rc<Exchange>, held: Held, body: Body },
    /// Passes, and counts as open until it ends.
    Open,
    /// Would have been denied, and passes: shadow mode.
    Shadowed,
    /// Answered.
    Denied,
}

/// What a held request lacks.
enum Judged {
    Done(Result<Permit, Denial>),
    /// Its first message, or its body, is not whole.
    More(Held),
}

impl Stream {
    pub(super) fn new(id: u32, gateway: Rc<str>, policy: Option<Rc<Policy>>) -> Self {
        Self { id, gateway, policy, state: State::New }
    }

    /// Acts on the verdict of the headers.
    fn act(&mut self, verdict: Verdict, exchange: Exchange, clock: Clock) -> Action {
        match verdict {
            Verdict::Allow(permit) => self.conclude(&exchange, Ok(permit)),
            Verdict::Deny(denial) => self.conclude(&exchange, Err(denial)),
            Verdict::Hold(held) => match clock.now() {
                Ok(now) => {
                    let exchange = Rc::new(exchange);
                    waiting::add(self.id, Rc::clone(&exchange), now);
                    let body = Body::new(exchange.policy().mode);
                    self.hold(exchange, held, body)
                }
                Err(refusal) => self.conclude(&exchange, Err(refusal.into())),
            },
        }
    }

    fn hold(&mut self, exchange: Rc<Exchange>, held: Held, body: Body) -> Action {
        let action = if body.is_kept() { Action::Pause } else { Action::Continue };
        if action == Action::Continue {
            // Behind this filter Envoy asks for a verdict: see `envoy/gateway.yaml`.
            host::set_filter_state("zonegate.verdict", "pending");
        }
        self.state = State::Held { exchange, held, body };
        action
    }

    /// Acts on the verdict of what was held.
    fn conclude_held(&mut self, exchange: &Exchange, judged: Result<Permit, Denial>) -> Action {
        waiting::remove(self.id);
        self.conclude(exchange, judged)
    }

    fn conclude(&mut self, exchange: &Exchange, judged: Result<Permit, Denial>) -> Action {
        match judged {
            // Its time was over before its message came.
            _ if exchange.is_concluded() => {}
            Ok(permit) => {
                exchange.allow(&permit);
                self.open(exchange, permit);
                return Action::Continue;
            }
            Err(denial) => exchange.deny(&denial),
        }
        match exchange.policy().mode {
            Mode::Enforce => {
                self.state = State::Denied;
                Action::Pause
            }
            Mode::Shadow => {
                self.state = State::Shadowed;
                Action::Continue
            }
        }
    }

    fn open(&mut self, exchange: &Exchange, permit: Permit) {
        self.state = State::Open;
        metrics(|metrics| metrics.stream_opened());
        if let Permit::ZoneToken { token, caller: _ } = permit {
            let gateway = Rc::clone(&exchange.gateway);
            shared::opened(self.id, gateway, token, exchange.policy());
        }
    }

    /// Looks at the body of a held request, of which Envoy shows `size` bytes.
    fn body(&mut self, size: usize, end: bool) -> Action {
        match std::mem::replace(&mut self.state, State::Denied) {
            State::Held { exchange, held, mut body } => {
                body.add(size);
                let before = exchange.policy();
                exchange.adopt_push();
                match judge(&exchange.policy(), &before, held, &mut body, end) {
                    Judged::Done(judged) => self.conclude_held(&exchange, judged),
                    Judged::More(held) => self.hold(exchange, held, body),
                }
            }
            other => self.go_on(other),
        }
    }

    fn go_on(&mut self, state: State) -> Action {
        let action = match state {
            State::Open | State::Shadowed => Action::Continue,
            State::New | State::Held { .. } | State::Denied => Action::Pause,
        };
        self.state = state;
        action
    }

    /// No configuration or no headers: the host is broken, so nothing passes.
    fn deny_blindly(&mut self) -> Action {
        let refusal = Refusal::MalformedRequest(RequestError::Host);
        metrics(|metrics| metrics.denied(Mode::Enforce, refusal.reason()));
        host::reply(&refusal, Protocol::Http, ErrorDetail::Reason);
        self.state = State::Denied;
        Action::Pause
    }
}

/// Judges what has come of a held request.
fn judge(policy: &Policy, before: &Policy, held: Held, body: &mut Body, end: bool) -> Judged {
    let malformed = |error| Judged::Done(Err(Refusal::MalformedRequest(error).into()));
    match held {
        Held::FirstMessage { form, token } => match body.first_message() {
            Err(error) => malformed(error),
            Ok(None) if end => malformed(RequestError::Incomplete),
            Ok(None) => Judged::More(Held::FirstMessage { form, token }),
            Ok(Some(message)) => {
                let token = policy.carry_over(token, before);
                Judged::Done(policy.judge_first_message(form, token, &message, host::clock()))
            }
        },
        Held::Bootstrap if body.size() > MAX_BOOTSTRAP => malformed(RequestError::TooLarge),
        Held::Bootstrap if !end => Judged::More(Held::Bootstrap),
        Held::Bootstrap => match body.whole() {
            Some(body) => Judged::Done(policy.judge_bootstrap_body(&body, host::clock())),
            None => malformed(RequestError::Host),
        },
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, end: bool) -> Action {
        let (Some(policy), Ok(headers)) = (self.policy.clone(), Headers::fetch()) else {
            return self.deny_blindly();
        };
        #[cfg(zonegate_fault)]
        super::fault::at_headers(&headers);
        let clock = host::clock();
        let head = headers.head();
        let verdict = policy.judge(&head, clock);
        let push = shared::begins(&self.gateway, &policy, clock);
        let gateway = Rc::clone(&self.gateway);
        let protocol = if head.is_grpc() { Protocol::Grpc } else { Protocol::Http };
        let exchange = Exchange::new(gateway, policy, push, protocol, headers.into_request());
        let action = self.act(verdict, exchange, clock);
        match self.state {
            // Nothing more will come.
            State::Held { .. } if end => self.body(0, true),
            _ => action,
        }
    }

    fn on_http_request_body(&mut self, size: usize, end: bool) -> Action {
        self.body(size, end)
    }

    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        match std::mem::replace(&mut self.state, State::Denied) {
            State::Held { exchange, .. } => {
                let refusal = Refusal::MalformedRequest(RequestError::Incomplete);
                self.conclude_held(&exchange, Err(refusal.into()))
            }
            other => self.go_on(other),
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        match self.state {
            State::Held { .. } => waiting::remove(self.id),
            State::Open => {
                shared::closed(self.id);
                metrics(|metrics| metrics.stream_closed());
            }
            State::New | State::Shadowed | State::Denied => {}
        }
    }
}
