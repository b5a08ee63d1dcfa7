//! The policies that a worker was handed for a gateway: the newest, and those before it.
//!
//! In: policies, and under which of them the host begins a stream. Out: by which of them the stream is
//! judged. Which requests a policy allows is not known here.
//!
//! The newest policy is in force from the moment that it was handed over. A host may still begin streams
//! under an earlier one, for one of three reasons, and does not say which:
//!
//! - It has handed over the newest policy and switches to it a moment later.
//! - The stream is on a connection that belongs to an earlier listener.
//! - It went back: an earlier configuration was pushed again, byte for byte, and the host took the root
//!   context of then up again.
//!
//! In the first two the newest policy is the one that counts, in the third it is the earlier one. So such
//! a stream must satisfy both, until it is a fact that the host went back: it drops the configuration of
//! the newest policy while that of an earlier one still stands, or a VM of the host that was told says so
//! (see [`push_log`](crate::push_log)). What a stream or a connection does is no such fact: a stranger can
//! hold a connection back for as long as he likes.

use std::sync::Arc;

use super::PolicyNumber;
use crate::gate::Policy;

/// The most that earlier policies take together, in bytes, without the latest of them. One that is not
/// kept lets no stream begin under it.
const EARLIER_BYTES: usize = 4 * 1024 * 1024;

/// The policies that a worker was handed for a gateway.
#[derive(Debug, Default)]
pub(super) struct Policies {
    newest: Option<Numbered>,
    /// The latest first. Each stays as long as the host may begin streams under it.
    earlier: Vec<Earlier>,
    last: u64,
    /// Whether there is a newer one that was not handed over yet.
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
    /// `None` where it was dropped to save memory.
    policy: Option<Arc<Policy>>,
}

/// By which policies a stream is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JudgedBy {
    /// The newest.
    Newest,
    /// The newest, and this earlier one.
    Both(PolicyNumber),
    /// There is none, or one that is not kept.
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

    /// Puts `policy` in force, which stands for no configuration of the host.
    pub(super) fn push_from_elsewhere(&mut self, policy: Arc<Policy>) {
        self.last = self.last.saturating_add(1);
        let number = PolicyNumber(self.last);
        self.put_in_force(Numbered { number, policy, is_dropped: true });
    }

    /// Leaves no policy in force, and keeps none.
    pub(super) fn clear(&mut self) {
        (self.newest, self.earlier) = (None, Vec::new());
    }

    /// Lets nobody judge until another policy comes into force.
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

    /// The host begins no more streams under this policy. Where it is the newest, and an earlier one is
    /// kept, the host has gone back to the latest of those, which is in force from now on; whether that
    /// is so. Where none is kept, the newest stays in force.
    pub(super) fn forget(&mut self, number: PolicyNumber) -> bool {
        self.earlier.retain(|earlier| earlier.number != number);
        let Some(newest) = self.newest.as_mut().filter(|newest| newest.number == number) else {
            return false;
        };
        newest.is_dropped = true;
        let kept = self.earlier.iter().find(|earlier| earlier.policy.is_some());
        kept.map(|earlier| earlier.number).is_some_and(|number| self.go_back(number))
    }

    /// The policy in force.
    pub(super) fn newest(&self) -> Option<&Arc<Policy>> {
        self.newest.as_ref().map(|newest| &newest.policy)
    }

    /// Whether there is one that can judge.
    pub(super) fn can_judge(&self) -> bool {
        self.newest.is_some() && !self.is_awaited
    }

    /// Its number.
    pub(super) fn newest_number(&self) -> Option<PolicyNumber> {
        self.newest.as_ref().map(|newest| newest.number)
    }

    /// An earlier policy. `Ok(None)` where it is the newest by now.
    pub(super) fn earlier(&self, number: PolicyNumber) -> Result<Option<&Arc<Policy>>, NotKept> {
        if self.newest_number() == Some(number) {
            return Ok(None);
        }
        let known = self.earlier.iter().find(|earlier| earlier.number == number);
        known.and_then(|earlier| earlier.policy.as_ref()).map(Some).ok_or(NotKept)
    }

    /// By which policies a stream is judged that begins under `number`.
    pub(super) fn judged_by(&self, number: Option<PolicyNumber>) -> JudgedBy {
        match number.map(|number| (number, self.earlier(number))) {
            _ if self.is_awaited => JudgedBy::None,
            None | Some((_, Err(NotKept))) => JudgedBy::None,
            Some((_, Ok(None))) => JudgedBy::Newest,
            Some((number, Ok(Some(_)))) => JudgedBy::Both(number),
        }
    }

    /// Puts an earlier policy in force again; whether it was kept. No newer one than the newest is awaited
    /// any more, where it is that one.
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
