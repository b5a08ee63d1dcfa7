//! Each kind of bad token, sent by a real kuma-dp: the message for its operator. The control plane's own counters and
//! log do not show it.

use serde_json::{Value, json};
use zonegate_issuer::SigningKey;
use zonegate_testkit::kuma::Kind;
use zonegate_testkit::zone_proxy::Claimed;

use crate::exceptions::SIGNATURE_IN_KUMA_DP;
use crate::harness::{Bench, KID, LIMIT, Seen, Setup, now, within};

/// A token that is refused, and the text of the refusal.
struct Bad {
    name: &'static str,
    token: Option<String>,
    says: &'static str,
}

async fn bad_tokens(setup: &Setup) -> Vec<Bad> {
    let with = |name: &str, value: Value| {
        let mut claims = setup.claims();
        claims[name] = value;
        setup.sign(&claims)
    };
    let without = |name: &str| {
        let mut claims = setup.claims();
        claims.as_object_mut().unwrap().remove(name);
        setup.sign(&claims)
    };
    let under = |key: &SigningKey, header: Value| {
        key.sign_raw(header.to_string(), setup.claims().to_string())
    };
    let foreign = SigningKey::generate(2048).unwrap();
    let header = json!({ "alg": "RS256", "kid": KID, "typ": "JWT" });
    let of_sidecar = setup.control_plane.api().dataplane_token("default", "web").await.unwrap();
    let unsigned = under(&setup.key, json!({ "alg": "none", "kid": KID }));
    let unsigned = format!("{}.", unsigned.rsplit_once('.').unwrap().0);
    let bad = |name, token, says| Bad { name, token: Some(token), says };
    vec![
        bad(
            "expired",
            with("exp", json!(now() - 120)),
            "zonegate: expired: the token expired 2 minutes ago; issue a new one",
        ),
        bad(
            "revoked",
            with("jti", json!("bad-id")),
            "zonegate: revoked: token \"bad-id\" is revoked; issue a new one",
        ),
        bad(
            "wrong-zone",
            with("Zone", json!("other")),
            "zonegate: wrong_zone: the token is for zone \"other\", this control plane serves zone \"zone-1\"",
        ),
        bad(
            "wrong-scope",
            with("Scope", json!(["egress"])),
            "zonegate: out_of_scope: the token has scope \"egress\", this proxy needs ingress; generate one with kumactl generate zone-token --scope",
        ),
        // The form of token that Kuma 1.x issued for zone ingresses.
        bad("legacy", without("Scope"), "zonegate: out_of_scope: the token has no scope"),
        bad(
            "no-exp",
            without("exp"),
            "zonegate: missing_expiration: the token has no exp, so it would never expire; issue a new one",
        ),
        bad(
            "unknown-kid",
            under(&setup.key, json!({ "alg": "RS256", "kid": "gone" })),
            "zonegate: unknown_kid: no configured key has this kid; rotated out?",
        ),
        bad("bad-signature", under(&foreign, header), "zonegate: invalid_signature: "),
        // This token crashes control planes before 2.14.2.
        bad(
            "kid-a-number",
            under(&setup.key, json!({ "alg": "RS256", "kid": 1 })),
            "zonegate: malformed_token: unusable token: its kid is not a string",
        ),
        bad(
            "unsigned",
            unsigned,
            "zonegate: unsupported_algorithm: unusable token: its alg is not RS256",
        ),
        bad("of-a-sidecar", of_sidecar, "zonegate: unknown_kid: "),
        Bad {
            name: "missing",
            token: None,
            says: "zonegate: missing_token: the bootstrap request has no dataplaneToken; start kuma-dp with --dataplane-token-file",
        },
    ]
}

/// The counters do count: a proxy with a good token gets through.
async fn assert_that_counters_count(setup: &Setup) {
    let before = setup.seen().await;
    let token = setup.sign(&setup.claims());
    let good = setup.proxy(Kind::Ingress, "good", Some(&token));
    setup.wait_online(&good, Kind::Ingress, "good", true).await;
    let Seen { streams, bootstraps } = setup.seen().await;
    assert_eq!((streams, bootstraps), (before.streams + 1.0, before.bootstraps + 1.0));
    assert!(setup.control_plane.process().log().unwrap().contains("good"));
}

/// kuma-dp ends if its token is refused at the bootstrap.
#[tokio::test]
#[ignore = "needs KUMA_HOME: make test-kuma"]
async fn a_bad_token_ends_kuma_dp_at_its_bootstrap() {
    let setup = Bench::new().set("revocations", json!("bad-id")).start().await;
    for Bad { name, token, says } in bad_tokens(&setup).await {
        let error = "Failed to fetch Envoy bootstrap config. Invalid request: ";
        let last = last_words(&setup, name, token.as_deref()).await;
        assert!(last.starts_with(&format!("Error: {error}{says}")), "{name}: {last}");
        assert!(!setup.control_plane.process().log().unwrap().contains(name), "{name}");
    }
    assert_eq!(setup.seen().await, Seen { streams: 0.0, bootstraps: 0.0 });
    assert_that_counters_count(&setup).await;
}

/// The last line of the log of a kuma-dp that has failed.
async fn last_words(setup: &Setup, name: &str, token: Option<&str>) -> String {
    let mut proxy = setup.proxy(Kind::Ingress, name, token);
    let status = within(proxy.process.wait()).await.unwrap();
    let log = proxy.process.log().unwrap();
    assert!(!status.success(), "{name}: {log}");
    log.trim_end().lines().next_back().unwrap().to_owned()
}

/// kuma-dp checks the form of its token itself, with its own error text.
#[tokio::test]
#[ignore = "needs KUMA_HOME: make test-kuma"]
async fn kuma_dp_itself_refuses_a_malformed_token() {
    let setup = Bench::new().start().await;
    let good = setup.sign(&setup.claims());
    let broken = format!("{}.@@@@", good.rsplit_once('.').unwrap().0);
    let mut by_kuma_dp = vec!["garbage".to_owned(), format!("Bearer {good}")];
    let looks_at_signature = !SIGNATURE_IN_KUMA_DP.holds(setup.home.release());
    by_kuma_dp.extend(looks_at_signature.then(|| broken.clone()));
    for token in by_kuma_dp {
        let last = last_words(&setup, "garbage", Some(&token)).await;
        assert!(last.contains("dataplane token is invalid"), "{last}");
    }
    assert_eq!(setup.gateway.stat("http.zonegate.downstream_rq_total").await.unwrap(), Some(0));
    if !looks_at_signature {
        let last = last_words(&setup, "broken", Some(&broken)).await;
        assert!(last.contains("zonegate: malformed_token: "), "{last}");
    }
    // Another client would send the token.
    let connection = setup.connect().await;
    for (token, says) in [(None, "missing_token"), (Some("garbage"), "malformed_token")] {
        let refused = connection.sotw(token, Claimed::INGRESS).await.unwrap_err();
        assert!(refused.message().starts_with(&format!("zonegate: {says}: ")), "{refused:?}");
    }
    assert_eq!(setup.seen().await, Seen { streams: 0.0, bootstraps: 0.0 });
}

/// With `bootstrap: pass` kuma-dp starts its Envoy, and the stream is refused.
#[tokio::test]
#[ignore = "needs KUMA_HOME: make test-kuma"]
async fn a_bad_token_opens_no_stream() {
    let bench = Bench::new().set("revocations", json!("bad-id")).set("bootstrap", json!("pass"));
    let setup = bench.start().await;
    let mut bootstraps = 0.0;
    for Bad { name, token, says } in bad_tokens(&setup).await {
        let Some(token) = token else { continue };
        let proxy = setup.proxy(Kind::Ingress, name, Some(&token));
        proxy.wait_log(says, LIMIT).await.unwrap_or_else(|error| panic!("{name}: {error:#}"));
        assert!(!setup.control_plane.process().log().unwrap().contains(name), "{name}");
        proxy.stop().await;
        bootstraps += 1.0;
    }
    assert_eq!(setup.seen().await, Seen { streams: 0.0, bootstraps });
    assert_that_counters_count(&setup).await;
}
