//! The policies that a worker was given for a gateway: the newest, and earlier ones.
//!
//! In: policies, and the policy under which the host begins a stream. Out: the policies that judge the stream. Which
//! requests a policy allows is decided elsewhere.
//!
//! The newest policy is in force from the moment that the host hands it over. A host may still begin streams under an
//! earlier policy, for one of three reasons, and does not say which:
//!
//! - It has handed over the newest policy and switches to it a moment later.
//! - The stream is on a connection that belongs to an earlier listener.
//! - It went back: an earlier configuration was pushed again, byte for byte, and the host reuses its old root context.
//!
//! In the first two cases the newest policy counts, in the third case the earlier one. So such a stream must satisfy
//! both, until it is certain that the host went back. It is certain if the host drops the configuration of the newest
//! policy and keeps that of an earlier one, or if another VM of the host says so (see
//! [`push_log`](crate::push_log)). The behaviour of a stream or a connection proves nothing: a stranger can delay a
//! connection for as long as they like.

use std::sync::Arc;

use super::PolicyNumber;
use crate::gate::Policy;

/// The limit for all earlier policies together, except the latest of them, in bytes. No stream may begin under a
/// policy that is not kept.
const EARLIER_BYTES: usize = 4 * 1024 * 1024;

/// The policies that a worker was given for a gateway.
#[derive(Debug, Default)]
pub(super) struct Policies {
    newest: Option<Numbered>,
    /// The latest first. A policy stays as long as the host may begin streams under it.
    earlier: Vec<Earlier>,
    last: u64,
    /// The number of the last push, and the policy that it replaced, if that belongs to no configuration of the host.
    replaced: Option<(PolicyNumber, Arc<Policy>)>,
    /// Whether there is a newer policy that was not handed over yet.
    is_awaited: bool,
}

#[derive(Debug, Clone)]
struct Numbered {
    number: PolicyNumber,
    policy: Arc<Policy>,
    /// Whether the host begins no more streams under it.
    is_dropped: bool,
}

#[derive(Debug)]
struct Earlier {
    number: PolicyNumber,
    /// `None` if it was dropped to save memory.
    policy: Option<Arc<Policy>>,
}

/// The policies that judge a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JudgedBy {
    /// The newest.
    Newest,
    /// The newest policy, and this earlier one.
    Both(PolicyNumber),
    /// There is no policy, or the policy is not kept.
    None,
}

impl Policies {
    /// Puts `policy` in force.
    pub(super) fn push(&mut self, policy: Arc<Policy>) -> PolicyNumber {
        self.last = self.last.saturating_add(1);
        let number = PolicyNumber(self.last);
        let replaced = self.newest.take_if(|newest| newest.is_dropped);
        self.replaced = replaced.map(|newest| (number, newest.policy));
        self.put_in_force(Numbered { number, policy, is_dropped: false });
        number
    }

    /// Puts `policy` in force under a number whose policy was not kept.
    pub(super) fn push_anew(&mut self, number: PolicyNumber, policy: Arc<Policy>) {
        self.earlier.retain(|earlier| earlier.number != number);
        self.put_in_force(Numbered { number, policy, is_dropped: false });
    }

    /// Puts `policy` in force, which belongs to no configuration of the host.
    pub(super) fn push_from_elsewhere(&mut self, policy: Arc<Policy>) {
        self.last = self.last.saturating_add(1);
        let number = PolicyNumber(self.last);
        self.put_in_force(Numbered { number, policy, is_dropped: true });
    }

    /// Leaves no policy in force, and keeps none.
    pub(super) fn clear(&mut self) {
        (self.newest, self.earlier, self.replaced) = (None, Vec::new(), None);
    }

    /// Lets no policy judge until another policy comes into force.
    pub(super) fn await_newer(&mut self) {
        self.is_awaited = true;
    }

    fn put_in_force(&mut self, numbered: Numbered) {
        self.is_awaited = false;
        if let Some(Numbered { number, policy, is_dropped: false }) = self.newest.replace(numbered)
        {
            self.earlier.insert(0, Earlier { number, policy: Some(policy) });
        }
        let mut bytes = 0_usize;
        for earlier in self.earlier.iter_mut().skip(1) {
            let weight = earlier.policy.as_ref().map_or(0, |policy| policy.bytes());
            bytes = bytes.saturating_add(weight);
            if bytes > EARLIER_BYTES {
                earlier.policy = None;
            }
        }
    }

    /// The host begins no more streams under this policy. If it is the newest, and an earlier policy is kept, the host
    /// has gone back to the latest of these, which is in force from now on. If none is kept, the newest stays in force.
    /// Returns whether the host has gone back.
    pub(super) fn forget(&mut self, number: PolicyNumber) -> bool {
        self.earlier.retain(|earlier| earlier.number != number);
        let Some(newest) = self.newest.as_mut().filter(|newest| newest.number == number) else {
            return false;
        };
        newest.is_dropped = true;
        let kept = self.earlier.iter().find(|earlier| earlier.policy.is_some());
        kept.map(|earlier| earlier.number).is_some_and(|number| self.go_back(number))
    }

    /// As [`Self::forget`]. If the push of this policy replaced one that belongs to no configuration of the host, that one is
    /// in force again.
    pub(super) fn take_back(&mut self, number: PolicyNumber) -> bool {
        match self.replaced.take() {
            Some((by, policy)) if by == number && self.newest_number() == Some(number) => {
                self.keep_in_force(number);
                self.push_from_elsewhere(policy);
                true
            }
            _ => self.forget(number),
        }
    }

    /// As [`Self::forget`], but a policy in force stays in force.
    pub(super) fn keep_in_force(&mut self, number: PolicyNumber) {
        self.earlier.retain(|earlier| earlier.number != number);
        if let Some(newest) = self.newest.as_mut().filter(|newest| newest.number == number) {
            newest.is_dropped = true;
        }
    }

    /// The policy in force.
    pub(super) fn newest(&self) -> Option<&Arc<Policy>> {
        self.newest.as_ref().map(|newest| &newest.policy)
    }

    /// Whether there is a policy that can judge.
    pub(super) fn can_judge(&self) -> bool {
        self.newest.is_some() && !self.is_awaited
    }

    /// Its number.
    pub(super) fn newest_number(&self) -> Option<PolicyNumber> {
        self.newest.as_ref().map(|newest| newest.number)
    }

    /// An earlier policy. `Ok(None)` if it is the newest by now.
    pub(super) fn earlier(&self, number: PolicyNumber) -> Result<Option<&Arc<Policy>>, NotKept> {
        if self.newest_number() == Some(number) {
            return Ok(None);
        }
        let known = self.earlier.iter().find(|earlier| earlier.number == number);
        known.and_then(|earlier| earlier.policy.as_ref()).map(Some).ok_or(NotKept)
    }

    /// The policies that judge a stream that begins under `number`.
    pub(super) fn judged_by(&self, number: Option<PolicyNumber>) -> JudgedBy {
        match number.map(|number| (number, self.earlier(number))) {
            _ if self.is_awaited => JudgedBy::None,
            None | Some((_, Err(NotKept))) => JudgedBy::None,
            Some((_, Ok(None))) => JudgedBy::Newest,
            Some((number, Ok(Some(_)))) => JudgedBy::Both(number),
        }
    }

    /// Puts an earlier policy in force again. Returns whether the policy was kept. If it is the newest, no newer policy
    /// is awaited any more.
    pub(super) fn go_back(&mut self, number: PolicyNumber) -> bool {
        self.is_awaited &= self.newest_number() != Some(number);
        let Some(place) = self.earlier.iter().position(|earlier| earlier.number == number) else {
            return false;
        };
        let Some(policy) = self.earlier.get(place).and_then(|earlier| earlier.policy.clone())
        else {
            return false;
        };
        self.earlier.remove(place);
        self.put_in_force(Numbered { number, policy, is_dropped: false });
        true
    }
}

/// An earlier policy that was dropped, or never was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotKept;
