//! Rules that revoke tokens by their claims, pushed to a real Envoy.

use serde_json::json;
use tokio::time::timeout;
use zonegate_testkit::zone_proxy::Claimed;

use crate::harness::{Bench, LIMIT, ZONE, claims_with, now};
use crate::open_stream::{goes_on, is_cut, open};

/// A stream with an older token is cut, a stream with a later token goes on, and new streams with the older token are
/// refused.
#[tokio::test]
async fn a_rule_cuts_what_was_issued_before_and_nothing_else() {
    let setup = Bench::text().start().await;
    let connection = setup.connect().await;
    let (old, new) = (
        setup.sign(claims_with("iat", json!(now() - 3_600))),
        setup.sign(claims_with("iat", json!(now() - 5))),
    );
    let (mut lost, mut kept) = (open(&connection, &old).await, open(&connection, &new).await);
    let a_minute_ago = jiff::Timestamp::from_second(i64::try_from(now() - 60).unwrap()).unwrap();
    let rule = json!({ "zone": ZONE, "issuedBefore": a_minute_ago.to_string() });
    setup.push("revocationRules", json!([rule])).await;
    assert!(is_cut(&mut lost).await);
    setup.refused_as(&connection, &old, "revoked").await;
    setup.control_plane.push();
    assert!(goes_on(&mut kept).await);
    open(&connection, &new).await;
    // Removing the rule lets the token in again.
    setup.push("revocationRules", json!([])).await;
    let let_in = async { while connection.sotw(Some(&old), Claimed::INGRESS).await.is_err() {} };
    timeout(LIMIT, let_in).await.expect("the rule is still in force");
}
