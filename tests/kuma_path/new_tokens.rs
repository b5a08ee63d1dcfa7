//! A new token for a proxy whose old token is revoked, without a restart, if kuma-cp has `enableReloadableTokens`: the
//! proxy's Envoy then uses Google's gRPC client and reads the token from its file.

use serde_json::json;
use zonegate_testkit::kuma::Kind;

use crate::harness::{Bench, LIMIT};

#[tokio::test]
#[ignore = "needs KUMA_HOME: make test-kuma"]
async fn a_proxy_comes_back_with_a_new_token() {
    let mut bench = Bench::new();
    let setting = ("KUMA_DP_SERVER_AUTHN_ENABLE_RELOADABLE_TOKENS", "true");
    bench.options.environment.push((setting.0.to_owned(), setting.1.to_owned()));
    let setup = bench.start().await;
    let mut claims = setup.claims();
    let first = setup.sign(&claims);
    claims["jti"] = json!("id-2");
    let second = setup.sign(&claims);
    let proxy = setup.proxy(Kind::Ingress, "ingress", Some(&first));
    setup.wait_online(&proxy, Kind::Ingress, "ingress", true).await;
    assert_eq!(setup.stat("streams.open").await, 1);
    setup.push(&[("revocations", json!("id-1"))]).await;
    let says = "zonegate: revoked: token \"id-1\" is revoked; issue a new one";
    proxy.wait_log(says, LIMIT).await.unwrap();
    setup.wait_online(&proxy, Kind::Ingress, "ingress", false).await;
    proxy.replace_token(&second).unwrap();
    setup.wait_online(&proxy, Kind::Ingress, "ingress", true).await;
    assert_eq!(setup.stat("streams.open").await, 1);
}
