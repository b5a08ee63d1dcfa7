//! Requests of which a host shows only the headers.
//!
//! In: headers. Out: an answer, or none; the same counts, facts and log lines as for a stream. The lifecycle keeps
//! nothing of such a request: no host says when it ends, and nothing can end it.

use super::judging::Judged;
use super::{Effect, Lifecycle, Protocol, Request, Step};
use crate::gate::{Judge, Now};
use crate::log_line::Origin;

impl Lifecycle {
    /// Judges a request by its headers alone, and by its body if the host has it.
    pub fn on_headers_alone(
        &mut self,
        request: &Request<'_>,
        body: Option<&[u8]>,
        clock: Now,
        effects: &mut Vec<Effect>,
    ) -> Step {
        let id = request.stream;
        let judge =
            |policy: &_| Judge::new(policy, &self.cache).headers_alone(&request.head, body, clock);
        let step = match self.judge_by(None, judge, None) {
            Judged::Allowed(permit) => self.allow(id, permit, effects),
            Judged::Refused(refused) => {
                let protocol = if request.head.is_grpc() { Protocol::Grpc } else { Protocol::Http };
                let origin = || Origin::new(request.head.path, request.request_id);
                self.refuse(id, refused, protocol, origin, effects)
            }
        };
        self.on_end(id);
        step
    }
}
