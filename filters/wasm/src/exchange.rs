//! What it takes to conclude a request: from its own context, or from the root's when its time is
//! over.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use zonegate::gate::{Denial, Mode, Permit, Policy};
use zonegate::log_line::{self, RateLimit};
use zonegate::token::ZoneToken;

use super::host::{self, Protocol, Request};
use super::metrics::metrics;
use super::shared;

thread_local! {
    static LOG_LIMIT: RefCell<RateLimit> = RefCell::default();
}

/// One request, as it is answered, counted and logged.
pub(super) struct Exchange {
    /// The gateway that it came to.
    pub(super) gateway: Rc<str>,
    policy: RefCell<Rc<Policy>>,
    /// The last push when it came.
    push: u64,
    protocol: Protocol,
    request: Request,
    concluded: Cell<bool>,
}

impl Exchange {
    pub(super) fn new(
        gateway: Rc<str>,
        policy: Rc<Policy>,
        push: u64,
        protocol: Protocol,
        request: Request,
    ) -> Self {
        let (policy, concluded) = (RefCell::new(policy), Cell::new(false));
        Self { gateway, policy, push, protocol, request, concluded }
    }

    /// The policy that it is judged by.
    pub(super) fn policy(&self) -> Rc<Policy> {
        Rc::clone(&self.policy.borrow())
    }

    /// Judges it by the policy that was pushed since it came, if one was.
    pub(super) fn adopt_push(&self) {
        if let Some(pushed) = shared::pushed_after(&self.gateway, self.push) {
            self.policy.replace(pushed);
        }
    }

    /// Whether it was denied before, because its time was over.
    pub(super) fn is_concluded(&self) -> bool {
        self.concluded.get()
    }

    /// Counts and logs what passes.
    pub(super) fn allow(&self, permit: &Permit) {
        log::debug!("{}", log_line::allowed(permit));
        host::set_filter_state("zonegate.verdict", "allow");
        match permit {
            Permit::ZoneToken { token, caller: _ } => {
                set_token_state(token);
                metrics(|metrics| metrics.allowed(Some(&token.kid)));
            }
            Permit::Unchecked(_) => metrics(|metrics| metrics.allowed(None)),
        }
    }

    /// Counts and logs a refusal, and answers the request in effect with it; in shadow mode the
    /// latter is left out.
    pub(super) fn deny(&self, denial: &Denial) {
        self.concluded.set(true);
        let policy = self.policy();
        let (mode, reason) = (policy.mode, denial.refusal.reason());
        metrics(|metrics| metrics.denied(mode, reason));
        let verdict = match mode {
            Mode::Enforce => "deny",
            Mode::Shadow => "would_deny",
        };
        host::set_filter_state("zonegate.verdict", verdict);
        host::set_filter_state("zonegate.reason", reason.as_str());
        if let Some(token) = &denial.token {
            set_token_state(token);
        }
        warn(|suppressed| log_line::refusal(mode, denial, &self.request.origin(), suppressed));
        if mode == Mode::Enforce {
            host::reply(&denial.refusal, self.protocol, policy.error_detail);
        }
    }
}

/// Writes a warning, unless there were many this second.
pub(super) fn warn(line: impl FnOnce(u64) -> String) {
    let admitted = LOG_LIMIT.with_borrow_mut(|limit| limit.admit(host::last_look()));
    if let Some(suppressed) = admitted {
        log::warn!("{}", line(suppressed));
    }
}

fn set_token_state(token: &ZoneToken) {
    host::set_filter_state("zonegate.zone", &token.claims.zone);
    host::set_filter_state("zonegate.kid", &token.kid);
    host::set_filter_state("zonegate.jti", &token.claims.id);
}
