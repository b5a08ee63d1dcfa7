//! One request at the gate, with its body in one piece or in several.
//!
//! In: a policy, headers, a body, and the places at which the body is cut. Out: how the request ends. The host keeps a
//! held body and shows all of it with each piece, as Envoy does.

use std::borrow::Cow;
use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use zonegate::gate::{Head, Now, Policy, Reason, UnixTime};
use zonegate::lifecycle::{
    Clocks, Decision, Effect, Lifecycle, Request, RequestBody, Step, StreamId,
};

/// The time of every conversation.
pub(crate) const NOW: Now = Now(Some(UnixTime::from_secs(1_800_000_000)));
const ID: StreamId = StreamId(7);

/// How a request ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// It passes; the id of the token, if a token let it pass.
    Passes(Option<String>),
    /// It is answered: the reason and the text.
    Refused(Option<Reason>, String),
}

struct Shown<'a> {
    bytes: &'a [u8],
    reads: &'a Cell<usize>,
}

impl RequestBody for Shown<'_> {
    fn size(&self) -> usize {
        self.bytes.len()
    }

    fn read(&self, length: usize) -> Option<Cow<'_, [u8]>> {
        self.reads.set(self.reads.get() + 1);
        self.bytes.get(..length.min(self.bytes.len())).map(Cow::Borrowed)
    }
}

/// How the request ends if its body is cut at these places, which are in order.
pub(crate) fn end(policy: &Arc<Policy>, head: &Head<'_>, body: &[u8], cuts: &[usize]) -> End {
    let (mut life, mut effects) = (Lifecycle::default(), Vec::new());
    let clocks = Clocks { wall: NOW, monotonic: Duration::ZERO };
    let under = Some(life.on_policy(Arc::clone(policy), clocks, &mut effects));
    let request = Request {
        stream: ID,
        under,
        head: head.clone(),
        request_id: b"",
        header_bytes: 100,
        is_end: false,
    };
    let mut step = life.on_headers(&request, NOW, &mut effects);
    let (reads, mut from) = (Cell::new(0), 0);
    let ends = cuts.iter().copied().filter(|cut| *cut < body.len()).chain([body.len()]);
    for to in ends {
        // Bytes that passed are not shown again.
        let bytes = if step == Step::Pause { &body[..to] } else { &body[from..to] };
        let shown = Shown { bytes, reads: &reads };
        step = life.on_body(ID, &shown, to == body.len(), &|| NOW, &mut effects);
        from = to;
    }
    assert_eq!(life.held_bytes(), 0, "it is over, and something is held");
    of(&effects, &life)
}

fn of(effects: &[Effect], life: &Lifecycle) -> End {
    let (mut end, mut facts) = (None, None);
    for effect in effects {
        let found = match effect {
            Effect::Answer(ID, answer) => End::Refused(None, answer.message.clone()),
            Effect::Facts(ID, told) => {
                facts = Some(told.clone());
                match told.verdict {
                    Decision::Allow => {
                        End::Passes(told.identity.as_ref().map(|identity| identity.id.to_string()))
                    }
                    Decision::Deny | Decision::Pending => continue,
                    Decision::WouldDeny => panic!("no policy here is in shadow mode"),
                }
            }
            Effect::Cut(_) => panic!("nothing here is cut"),
            _ => continue,
        };
        assert!(end.replace(found).is_none(), "it ends twice: {effects:?}");
    }
    let end = end.expect("it has no end");
    assert_eq!(life.gauges().open, u64::from(matches!(end, End::Passes(_))));
    match end {
        End::Refused(_, message) => {
            assert!(!message.chars().any(char::is_control), "{message:?}");
            End::Refused(facts.and_then(|facts| facts.reason), message)
        }
        passes @ End::Passes(_) => passes,
    }
}

/// The places to cut bodies: every place of a short body, and some of a long one.
pub(crate) fn cuts(length: usize) -> Vec<Vec<usize>> {
    let middle = length / 2;
    let mut cuts =
        vec![vec![1], vec![4], vec![5], vec![6], vec![middle], vec![length.saturating_sub(1)]];
    // With empty pieces, too.
    cuts.push(vec![0, 1, 1, middle, middle]);
    cuts.push((0..length).step_by((length / 40).max(1)).collect());
    cuts.iter_mut().for_each(|cuts| cuts.sort_unstable());
    cuts
}
