//! Which policies judge a stream, and with which result.
//!
//! In: a stream, and the policy under which it began. Out: allowed, refused, or held. [`crate::gate`] judges by one
//! policy.

use std::sync::Arc;

use super::held::{Body, HeldStream};
use super::policies::JudgedBy;
use super::{Lifecycle, PolicyNumber, Request, RequestBody};
use crate::credential::Token;
use crate::gate::{
    Claimed, ClaimedNode, Denial, ErrorDetail, Held, Holding, Judge, Mode, Now, Permit, Policy,
    Refusal, RequestError, Verdict,
};

/// The judgement on a stream.
pub(super) enum Judged {
    Allowed(Permit),
    Refused(Refused),
}

/// A refusal, and how its policy treats refusals.
pub(super) struct Refused {
    pub(super) denial: Denial,
    pub(super) mode: Mode,
    pub(super) detail: ErrorDetail,
    /// Who claims to hold the token, if that is known. This is needed to judge the stream again.
    pub(super) claimed: Option<Claimed>,
    /// The token, if it was verified.
    pub(super) token: Option<Arc<Token>>,
}

/// The judgement on the headers of a stream.
pub(super) enum HeadersJudged {
    Now(Judged),
    /// The first message or the body decides.
    Hold {
        held: Held,
        also_by: Option<PolicyNumber>,
        body: Body,
        holding: Holding,
    },
}

impl Refused {
    fn by(policy: &Policy, denial: Denial) -> Self {
        let token = denial.token.clone();
        Self { denial, mode: policy.mode, detail: policy.error_detail, claimed: None, token }
    }

    /// If no policy can say how to refuse.
    fn unavailable() -> Self {
        let denial = Refusal::PolicyUnavailable.into();
        let (mode, detail) = (Mode::Enforce, ErrorDetail::Reason);
        Self { denial, mode, detail, claimed: None, token: None }
    }

    /// The stricter of two refusals: an enforced refusal goes before one that is only counted; otherwise the first.
    fn or_stricter(first: Option<Self>, second: Self) -> Self {
        match first {
            Some(first) if first.mode == Mode::Enforce || second.mode == Mode::Shadow => first,
            _ => second,
        }
    }
}

impl Lifecycle {
    /// The policies that judge a stream: the newest, and an earlier one if the stream must satisfy it too.
    fn judges(
        &self,
        also_by: Option<PolicyNumber>,
    ) -> Option<impl Iterator<Item = &Arc<Policy>> + use<'_>> {
        let newest = self.policies.newest().filter(|_| self.policies.can_judge())?;
        let also = match also_by {
            Some(number) => self.policies.earlier(number).ok()?,
            None => None,
        };
        Some([newest].into_iter().chain(also))
    }

    /// Judges the headers of a stream.
    pub(super) fn judge_headers(
        &self,
        by: JudgedBy,
        request: &Request<'_>,
        clock: Now,
    ) -> HeadersJudged {
        let also_by = match by {
            JudgedBy::Newest => None,
            JudgedBy::Both(number) => Some(number),
            JudgedBy::None => {
                return HeadersJudged::Now(Judged::Refused(Refused::unavailable()));
            }
        };
        let Some(judges) = self.judges(also_by) else {
            return HeadersJudged::Now(Judged::Refused(Refused::unavailable()));
        };
        let (mut refused, mut hold, mut permit) = (None, None, None);
        let (mut body, mut holding) = (Body::COPIED, Holding::Body);
        for policy in judges {
            if policy.mode == Mode::Enforce {
                body = Body::KEPT;
                // If one policy holds everything, everything is held.
                if policy.holding() == Holding::Everything {
                    holding = Holding::Everything;
                }
            }
            match Judge::new(policy, &self.cache).headers(&request.head, clock) {
                Verdict::Allow(granted) => permit = permit.or(Some(granted)),
                Verdict::Hold(held) => hold = hold.or(Some(held)),
                Verdict::Deny(denial) => {
                    let mut one = Refused::by(policy, denial);
                    one.claimed = request.head.claimed(policy);
                    refused = Some(Refused::or_stricter(refused, one));
                }
            }
        }
        match (refused, hold, permit) {
            (Some(refused), _, _) if refused.mode == Mode::Enforce => {
                HeadersJudged::Now(Judged::Refused(refused))
            }
            (_, Some(held), _) => HeadersJudged::Hold { held, also_by, body, holding },
            (Some(refused), None, _) => HeadersJudged::Now(Judged::Refused(refused)),
            (None, None, Some(permit)) => HeadersJudged::Now(Judged::Allowed(permit)),
            (None, None, None) => HeadersJudged::Now(Judged::Refused(Refused::unavailable())),
        }
    }

    /// Judges the part of a held stream that has come. `None` while that is not enough.
    pub(super) fn judge_held(
        &self,
        stream: &mut HeldStream,
        shown: &dyn RequestBody,
        is_end: bool,
        clock: &dyn Fn() -> Now,
    ) -> Option<Judged> {
        let HeldStream { held, also_by, body, .. } = stream;
        let malformed = |error| {
            Some(self.judge_by(*also_by, |_| Err(Refusal::MalformedRequest(error).into()), None))
        };
        match held {
            Held::FirstMessage { variant, credential } => match body.first_message(shown) {
                Err(error) => malformed(error),
                Ok(None) if is_end => malformed(RequestError::Incomplete),
                Ok(None) => None,
                Ok(Some(message)) => {
                    let claimed =
                        || Claimed::Proxy(ClaimedNode::of(*variant, &message).ok().flatten());
                    let clock = clock();
                    let judge = |policy: &Policy| {
                        let judge = Judge::new(policy, &self.cache);
                        judge.first_message(*variant, credential.clone(), &message, clock)
                    };
                    Some(self.judge_by(*also_by, judge, Some(&claimed)))
                }
            },
            Held::Bootstrap => match body.bootstrap(shown, is_end) {
                Err(error) => malformed(error),
                Ok(None) => None,
                Ok(Some(body)) => {
                    let clock = clock();
                    let judge = |policy: &Policy| {
                        Judge::new(policy, &self.cache).bootstrap_body(&body, clock)
                    };
                    Some(self.judge_by(*also_by, judge, None))
                }
            },
        }
    }

    /// Judges by each of these policies: all of them must allow the stream.
    pub(super) fn judge_by(
        &self,
        also_by: Option<PolicyNumber>,
        judge: impl Fn(&Policy) -> Result<Permit, Denial>,
        claimed: Option<&dyn Fn() -> Claimed>,
    ) -> Judged {
        let Some(judges) = self.judges(also_by) else {
            return Judged::Refused(Refused::unavailable());
        };
        let (mut refused, mut permit) = (None, None);
        for policy in judges {
            match judge(policy) {
                Ok(granted) => permit = permit.or(Some(granted)),
                Err(denial) => {
                    let mut one = Refused::by(policy, denial);
                    one.claimed =
                        claimed.filter(|_| one.mode == Mode::Shadow).map(|claimed| claimed());
                    refused = Some(Refused::or_stricter(refused, one));
                }
            }
        }
        match (refused, permit) {
            (Some(refused), _) => Judged::Refused(refused),
            (None, Some(permit)) => Judged::Allowed(permit),
            (None, None) => Judged::Refused(Refused::unavailable()),
        }
    }
}
