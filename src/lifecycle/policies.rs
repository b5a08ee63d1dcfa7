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
//! a stream must satisfy both, until it is a fact that the host went back. A VM of the host that was told
//! may know it (see [`push_log`](crate::push_log)). Or the host shows it: it began a stream under the
//! newest policy, and later begins one under an earlier policy on a connection that is younger. No switch
//! and no earlier listener can do that.

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
    /// The connection of the first stream that began under the newest policy.
    first_connection: Option<u64>,
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

/// What the beginning of a stream tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Began {
    pub(super) by: JudgedBy,
    /// Whether it tells that the host went back to an earlier policy, which is the newest from now on.
    pub(super) went_back: bool,
}

impl Policies {
    /// Puts `policy` in force.
    pub(super) fn push(&mut self, policy: Arc<Policy>) -> PolicyNumber {
        self.last = self.last.saturating_add(1);
        let number = PolicyNumber(self.last);
        self.put_in_force(Numbered { number, policy, is_dropped: false });
        number
    }

    fn put_in_force(&mut self, numbered: Numbered) {
        self.first_connection = None;
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

    /// Forgets an earlier policy: the host begins no more streams under it. The newest stays in force,
    /// and is forgotten when there is a newer one.
    pub(super) fn forget(&mut self, number: PolicyNumber) {
        if let Some(newest) = self.newest.as_mut().filter(|newest| newest.number == number) {
            newest.is_dropped = true;
        }
        self.earlier.retain(|earlier| earlier.number != number);
    }

    /// The policy in force.
    pub(super) fn newest(&self) -> Option<&Arc<Policy>> {
        self.newest.as_ref().map(|newest| &newest.policy)
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

    /// A stream begins under `number`, on a connection that is asked for where it matters.
    pub(super) fn begin(
        &mut self,
        number: Option<PolicyNumber>,
        connection: &dyn Fn() -> Option<u64>,
    ) -> Began {
        let by = |by| Began { by, went_back: false };
        let Some(newest) = self.newest_number() else { return by(JudgedBy::None) };
        let Some(number) = number else { return by(JudgedBy::None) };
        if number == newest {
            if self.first_connection.is_none() && !self.earlier.is_empty() {
                self.first_connection = connection();
            }
            return by(JudgedBy::Newest);
        }
        if self.earlier(number).is_err() {
            return by(JudgedBy::None);
        }
        let is_younger = match self.first_connection {
            Some(first) => connection().is_some_and(|connection| connection > first),
            None => false,
        };
        match is_younger && self.go_back(number) {
            true => Began { by: JudgedBy::Newest, went_back: true },
            false => by(JudgedBy::Both(number)),
        }
    }

    /// Puts an earlier policy in force again; whether it was kept.
    pub(super) fn go_back(&mut self, number: PolicyNumber) -> bool {
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
