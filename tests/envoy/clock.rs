//! A host without a credible clock: nothing passes, and the client is told to retry.

use std::path::Path;
use std::process::Command;

use serde_json::json;
use tonic::Code;
use zonegate_testkit::raw_client::{End, RawRequest};
use zonegate_testkit::zone_proxy::Claimed;

use crate::harness::Bench;
use crate::refusals::assert_refused;

/// Makes Envoy preload a library from `tests/data`.
pub(crate) fn preload(bench: &mut Bench, source: &str) {
    let library = bench.scratch().join(source).with_extension("so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data").join(source);
    let mut compile = Command::new("cc");
    compile.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source);
    // cargo links with the same `cc`.
    assert!(compile.status().unwrap().success());
    let preload = library.to_str().unwrap().to_owned();
    bench.options.environment.push(("LD_PRELOAD".to_owned(), preload));
}

#[tokio::test]
async fn without_a_clock_nothing_passes() {
    let mut bench = Bench::new();
    preload(&mut bench, "no_clock.c");
    let setup = bench.start().await;
    let token = setup.token();
    let connection = setup.connect().await;
    let refused = connection.sotw(Some(&token), Claimed::INGRESS).await.unwrap_err();
    assert_refused(&refused, "clock_unavailable", Code::Unavailable, "no credible time");
    let body = json!({ "proxyType": "ingress", "dataplaneToken": token }).to_string();
    let request = RawRequest {
        method: "POST",
        path: "/bootstrap",
        headers: vec![("content-type", b"application/json".to_vec())],
        chunks: vec![body.into_bytes()],
        end: End::Stream,
    };
    // kuma-dp retries on 5xx, but not on 4xx.
    assert_eq!(setup.raw().await.send(request).await.unwrap().status, 503);
    assert_eq!(setup.stat("denied.clock_unavailable").await, 2);
    assert_eq!(setup.control_plane.recorder().count(), 0);
}
