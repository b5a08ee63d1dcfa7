//! Every recorded stream of a proxy with a dataplane token, judged by the gate: the verdict and the reason.
//!
//! `tests/data/kuma-dataplane-token.json` has the answers of Kuma 2.14.3. The expected verdict of the gate follows from
//! Kuma's error text and from the lists here, not from the gate. An entry that is not needed fails. If the gate is
//! looser than Kuma, the reason is one that no gate can know, and it is listed too.
#![allow(clippy::unwrap_used, clippy::panic)] // a test may panic
#![allow(clippy::indexing_slicing)]

mod kuma;
mod listed;
mod stream;

use std::collections::BTreeSet;

use kuma::{Answer, Excuse};
use listed::{ALLOWED, OTHER_REASON, STRICTER};
use serde::Deserialize;
use serde_json::Value;
use stream::{Judged, Keys, Stream, Switches};
use zonegate::gate::Reason;

#[derive(Deserialize)]
struct Recorded {
    keys: Keys,
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    id: String,
    desc: String,
    claims: Option<String>,
    #[serde(flatten)]
    stream: Stream,
    #[serde(flatten)]
    answer: Answer,
}

fn recorded() -> Recorded {
    let recorded: Recorded =
        serde_json::from_str(include_str!("../data/kuma-dataplane-token.json")).unwrap();
    assert_eq!(recorded.vectors.len(), 307);
    recorded
}

#[test]
fn every_stream_has_kumas_verdict_and_the_right_reason() {
    let Recorded { keys, vectors } = recorded();
    let mut wrong = Vec::new();
    for vector in &vectors {
        let (seen, wanted) = (vector.stream.judge(&keys, Switches::default()), vector.wanted());
        if seen != wanted {
            let (id, desc, error) = (&vector.id, &vector.desc, &vector.answer.error);
            wrong.push(format!("{id} {desc}: {seen:?}, wanted {wanted:?}; Kuma: {error}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// `requireExpiration` changes only the verdict of tokens without exp.
#[test]
fn a_required_expiration_refuses_tokens_without_one_and_no_others() {
    let Recorded { keys, vectors } = recorded();
    let switches = Switches { require_expiration: true, ..Switches::default() };
    let mut refused = 0;
    for vector in &vectors {
        let wanted = match vector.wanted() {
            Judged::Allowed
            | Judged::Denied(Reason::Revoked | Reason::WrongProxy | Reason::WrongMesh)
                if vector.lacks_exp() =>
            {
                refused += 1;
                Judged::Denied(Reason::MissingExpiration)
            }
            other => other,
        };
        let seen = vector.stream.judge(&keys, switches);
        assert_eq!(seen, wanted, "{} {}", vector.id, vector.desc);
    }
    assert!(refused >= 5, "{refused}");
}

/// With `requireWorkload: whenLabelled` the gate refuses what Kuma refuses if a MeshIdentity derives the identity of
/// every labelled dataplane from its workload. For recorded streams with such a MeshIdentity, the gate is then not
/// looser.
#[test]
fn a_required_workload_refuses_what_a_mesh_identity_would() {
    let Recorded { keys, vectors } = recorded();
    let switches = Switches { require_workload: true, ..Switches::default() };
    let (mut refused, mut identities) = (Vec::new(), 0);
    for vector in &vectors {
        let (with, without) = (vector.stream.judge(&keys, switches), vector.wanted());
        identities += usize::from(vector.stream.workload_identity);
        if vector.stream.workload_identity {
            assert_eq!(with == Judged::Allowed, vector.answer.accept, "{}", vector.id);
        }
        if with != without {
            assert_eq!(with, Judged::Denied(Reason::WrongProxy), "{}", vector.id);
            refused.push(vector.id.as_str());
        }
    }
    assert_eq!(identities, 4);
    assert_eq!(refused, ["F04", "F05", "F08"]);
}

#[test]
fn no_listed_exception_is_unneeded_or_unknown() {
    let Recorded { vectors, .. } = recorded();
    let find =
        |id: &str| vectors.iter().find(|vector| vector.id == id).unwrap_or_else(|| panic!("{id}"));
    for (id, reason, _) in OTHER_REASON {
        let answer = &find(id).answer;
        assert!(!answer.accept, "{id} is stricter than Kuma: it belongs to the other list");
        assert_ne!(answer.reason(), Some(*reason), "{id} needs no entry");
    }
    for (id, _, _) in STRICTER {
        assert!(find(id).answer.accept, "{id} is not stricter than Kuma");
    }
    for (id, excuse) in ALLOWED {
        let Vector { answer, .. } = find(id);
        assert_eq!(answer.excuse(), Some(*excuse), "{id}");
    }
    let ids = OTHER_REASON.iter().chain(STRICTER).map(|(id, _, _)| id);
    let ids: Vec<_> = ids.chain(ALLOWED.iter().map(|(id, _)| id)).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "one is listed twice");
    let excuses: BTreeSet<_> = ALLOWED.iter().map(|(_, excuse)| *excuse).collect();
    assert_eq!(excuses.len(), Excuse::ALL.len(), "an excuse without a vector");
}

impl Vector {
    /// The verdict that the gate should give.
    fn wanted(&self) -> Judged {
        if ALLOWED.iter().any(|(id, _)| *id == self.id) {
            return Judged::Allowed;
        }
        let listed = OTHER_REASON.iter().chain(STRICTER).find(|(id, _, _)| *id == self.id);
        match listed {
            Some((_, listed::NOT_CONFIGURED, _)) => Judged::NotConfigured,
            Some((_, reason, _)) => Judged::Denied(*reason),
            None => self.answer.reason().map_or(Judged::Allowed, Judged::Denied),
        }
    }

    fn lacks_exp(&self) -> bool {
        let Some(Ok(claims)) = self.claims.as_deref().map(serde_json::from_str::<Value>) else {
            return false;
        };
        claims.get("exp").is_none_or(Value::is_null)
    }
}

#[test]
fn what_is_left_to_the_control_plane_stands_in_the_page_on_checks() {
    let page = include_str!("../../docs/checks.md");
    for excuse in kuma::Excuse::ALL {
        assert!(page.contains(&format!("\n| {} |", excuse.text())), "{excuse:?}");
    }
}
