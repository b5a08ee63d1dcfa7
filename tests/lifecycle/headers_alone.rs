//! Requests that are judged by their headers only: they are counted as streams are, answered, and not kept.

use std::sync::Arc;

use serde_json::json;
use zonegate::gate::{ADS_SOTW, Mode, Now, Reason, UnixTime};
use zonegate::lifecycle::{Effect, Gauges, Lifecycle, Request, Step, StreamId};
use zonegate::metrics::{Counter, Metric};

use crate::host::{Host, START, head, policy, token};

fn judged(policy_fields: &serde_json::Value, token_name: &str) -> (Step, Vec<Effect>, Lifecycle) {
    let mut host = Host::new();
    let _ = host.push(Arc::new(policy(policy_fields)));
    judged_by(host.life, token_name)
}

fn judged_by(mut life: Lifecycle, token_name: &str) -> (Step, Vec<Effect>, Lifecycle) {
    let text = token(token_name);
    let request = Request {
        stream: StreamId(1),
        under: None,
        head: head(ADS_SOTW, &text),
        request_id: b"",
        header_bytes: 0,
        is_end: true,
    };
    let now = Now(Some(UnixTime::from_secs(START)));
    let mut effects = Vec::new();
    let step = life.on_headers_alone(&request, None, now, &mut effects);
    (step, effects, life)
}

fn counts(effects: &[Effect], counter: &Counter) -> bool {
    let counted = |effect: &Effect| matches!(effect, Effect::Change(Metric::Counter(seen), _) if seen == counter);
    effects.iter().any(counted)
}

#[test]
fn a_good_token_passes_and_nothing_is_kept() {
    let (step, effects, life) = judged(&json!({}), "good");
    assert_eq!(step, Step::Continue);
    assert!(counts(&effects, &Counter::Allowed), "{effects:?}");
    assert_eq!((life.streams(), life.gauges()), (0, Gauges::default()));
}

#[test]
fn a_refused_request_is_answered_once() {
    let (step, effects, life) = judged(&json!({ "revocations": "id-1" }), "good");
    assert_eq!(step, Step::Pause);
    assert!(counts(&effects, &Counter::Denied(Mode::Enforce, Reason::Revoked)), "{effects:?}");
    let answers = effects.iter().filter(|effect| matches!(effect, Effect::Answer(..))).count();
    assert_eq!((answers, life.streams()), (1, 0));
}

#[test]
fn in_shadow_mode_it_is_counted_and_passes() {
    let fields = json!({ "revocations": "id-1", "mode": "shadow" });
    let (step, effects, life) = judged(&fields, "good");
    assert_eq!(step, Step::Continue);
    assert!(counts(&effects, &Counter::Denied(Mode::Shadow, Reason::Revoked)), "{effects:?}");
    assert_eq!(life.streams(), 0);
}

#[test]
fn without_a_policy_it_is_refused() {
    let (step, effects, _) = judged_by(Lifecycle::default(), "good");
    assert_eq!(step, Step::Pause);
    let denied = Counter::Denied(Mode::Enforce, Reason::PolicyUnavailable);
    assert!(counts(&effects, &denied), "{effects:?}");
}
