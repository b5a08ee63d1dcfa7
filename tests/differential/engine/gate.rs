//! The gate's verdict on a case, by the filter's own code.

use prost::Message;
use serde_json::json;
use zonegate::config::{Config, ConfigError};
use zonegate::gate::{ADS_SOTW, Head, Held, Now, Policy, Profile, Reason, UnixTime, Verdict};
use zonegate::revocation::RevocationList;
use zonegate_testkit::zone_proxy::{Claimed, discovery_request};

use super::cases::{Case, RINGS, Ring, public_key};

/// The gate's verdict on a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Judged {
    /// The gate allows the connection.
    Allowed,
    /// The gate refuses the connection.
    Denied(Reason),
    /// The gate refuses the whole configuration, so nothing passes.
    NotConfigured,
}

/// A gate for each ring.
pub(crate) struct Gate(Vec<Result<Policy, ConfigError>>);

impl Gate {
    pub(crate) fn new() -> Self {
        Self(RINGS.iter().map(policy).collect())
    }

    pub(crate) fn judge(&mut self, case: &Case) -> Judged {
        let at = RINGS.iter().position(|ring| std::ptr::eq(ring, case.ring)).unwrap();
        match &mut self.0[at] {
            Ok(policy) => judge(policy, case),
            Err(_) => Judged::NotConfigured,
        }
    }
}

fn policy(ring: &Ring) -> Result<Policy, ConfigError> {
    let key = |(kid, name): &(&str, &str)| json!({ "kid": kid, "key": public_key(name) });
    let keys: Vec<_> = ring.keys.iter().map(key).collect();
    let config = json!({ "publicKeys": keys }).to_string();
    Ok(Config::from_json(config.as_bytes())?.policy)
}

fn judge(policy: &mut Policy, case: &Case) -> Judged {
    let Profile::DpServer(server) = &mut policy.profile else { unreachable!() };
    server.zone.clone_from(&case.zone);
    policy.issuers.zone_token.revocations = RevocationList::from_text(case.revocations.as_bytes())
        .unwrap_or_else(|error| panic!("{error}"));
    policy.require_expiration = case.require_expiration;
    let head = Head {
        method: b"POST",
        path: ADS_SOTW.as_bytes(),
        content_type: vec![b"application/grpc"],
        authorization: case.authorization.iter().map(String::as_bytes).collect(),
        client_id: Vec::new(),
    };
    let clock = Now(Some(UnixTime::after_epoch(case.now)));
    match policy.judge(&head, clock) {
        Verdict::Deny(denial) => Judged::Denied(denial.refusal.reason()),
        Verdict::Hold(Held::FirstMessage { variant, credential }) => {
            let claimed = if case.proxy == "ingress" { Claimed::INGRESS } else { Claimed::EGRESS };
            let message = discovery_request(claimed).encode_to_vec();
            match policy.judge_first_message(variant, credential, &message, clock) {
                Ok(_) => Judged::Allowed,
                Err(denial) => Judged::Denied(denial.refusal.reason()),
            }
        }
        other => unreachable!("{other:?}"),
    }
}
