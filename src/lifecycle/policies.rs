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
pub const EARLIER_BYTES: usize = 4 * 1024 * 1024;

/// The policies that a worker was given for a gateway.
#[derive(Debug, Default)]
pub(super) struct Policies {
    newest: Option<Numbered>,
    /// The latest first. A policy stays as long as the host may begin streams under it.
    earlier: Vec<Earlier>,
    last: u64,
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
    /// Whether the host begins no stream under it. The latest such policy is kept: it is in force again if the host takes
    /// back all that it pushed later.
    is_dropped: bool,
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
        (self.newest, self.earlier) = (None, Vec::new());
    }

    /// Lets no policy judge until another policy comes into force.
    pub(super) fn await_newer(&mut self) {
        self.is_awaited = true;
    }

    fn put_in_force(&mut self, numbered: Numbered) {
        self.is_awaited = false;
        if let Some(Numbered { number, policy, is_dropped }) = self.newest.replace(numbered) {
            if is_dropped {
                self.earlier.retain(|earlier| !earlier.is_dropped);
            }
            self.earlier.insert(0, Earlier { number, policy: Some(policy), is_dropped });
        }
        let mut bytes = 0_usize;
        for earlier in self.earlier.iter_mut().filter(|earlier| !earlier.is_dropped).skip(1) {
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
        self.go_back_from(number, &|earlier| !earlier.is_dropped)
    }

    /// As [`Self::forget`]. The host has taken the policy back, so that a policy that belongs to no configuration of the host
    /// may be in force again.
    pub(super) fn take_back(&mut self, number: PolicyNumber) -> bool {
        self.go_back_from(number, &|_| true)
    }

    fn go_back_from(&mut self, number: PolicyNumber, to: &dyn Fn(&Earlier) -> bool) -> bool {
        self.earlier.retain(|earlier| earlier.number != number);
        let Some(newest) = self.newest.as_mut().filter(|newest| newest.number == number) else {
            return false;
        };
        newest.is_dropped = true;
        let kept = |earlier: &Earlier| earlier.policy.is_some() && to(earlier);
        let place = self.earlier.iter().position(kept);
        place.is_some_and(|place| self.restore(place))
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
        let known = known.filter(|earlier| !earlier.is_dropped);
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
        let is_it = |earlier: &Earlier| earlier.number == number && !earlier.is_dropped;
        let place = self.earlier.iter().position(is_it);
        place.is_some_and(|place| self.restore(place))
    }

    /// Puts the earlier policy at `place` in force. Returns whether it was kept.
    fn restore(&mut self, place: usize) -> bool {
        let found = self.earlier.get(place);
        let found = found.and_then(|one| Some((one.number, one.policy.clone()?, one.is_dropped)));
        let Some((number, policy, is_dropped)) = found else { return false };
        self.earlier.remove(place);
        // The host has dropped it, and does not come back to it.
        self.newest.take_if(|newest| newest.is_dropped);
        self.put_in_force(Numbered { number, policy, is_dropped });
        true
    }
}

/// An earlier policy that was dropped, or never was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotKept;
