//! A case in the form of a vector of `tests/data/found.json`, ready to be added there.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::cases::{Case, public_key};
use super::oracle::Answer;

/// The vector.
pub(super) fn of(case: &Case, answer: &Answer, description: &str) -> Value {
    let keys: BTreeMap<_, _> =
        case.ring.keys.iter().map(|(kid, name)| (*kid, public_key(name))).collect();
    let authorization = (!case.authorization.is_empty()).then_some(&case.authorization);
    let error = match answer {
        Answer::Accept | Answer::Unasked => "",
        Answer::Refuse(error) => error,
    };
    json!({
        "id": "D",
        "desc": description,
        "keys": keys,
        "authorization": authorization,
        "claims": null,
        "proxy_scope": case.proxy,
        "cp_zone": case.zone,
        "revocations": case.revocations,
        "now": format!("{}.{:09}", case.now.as_secs(), case.now.subsec_nanos()),
        "accept": *answer == Answer::Accept,
        "error": error,
    })
}
