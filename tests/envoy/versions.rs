//! One library, built once, runs in every supported version of Envoy.
//!
//! `make test` sets the paths of older Envoys (`ZONEGATE_OLDER_ENVOYS`, separated by colons; the first is too old).

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use zonegate_testkit::gateway::{Form, Pushed};
use zonegate_testkit::zone_proxy::Claimed;

use crate::form::{FilterOnly, form};
use crate::harness::{Bench, LIMIT};
use crate::open_stream::{goes_on, is_cut, open};

/// Streams that are refused on the headers, refused after the first message, held too long and revoked; a bad push; and
/// the counters.
#[tokio::test]
async fn older_envoys_run_the_same_library() {
    if FilterOnly::Module.is_left_out() {
        return;
    }
    if form() == Form::Wasm {
        return;
    }
    for envoy in older_envoys().into_iter().skip(1) {
        println!("{}", envoy.display());
        run_in(envoy).await;
    }
}

/// With the library given by name, as Envoy before 1.38 requires; with a file, Envoy would not even load the library.
#[test]
fn an_envoy_that_is_too_old_says_so() {
    if FilterOnly::Module.is_left_out() {
        return;
    }
    if form() == Form::Wasm {
        return;
    }
    let dir = tempfile::TempDir::new().unwrap();
    std::fs::copy(crate::form::module(), dir.path().join("libzonegate.so")).unwrap();
    let file = dir.path().join("envoy.json");
    let filter = json!({
        "name": "zonegate",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.dynamic_modules.v3.DynamicModuleFilter",
            "dynamic_module_config": { "name": "zonegate", "do_not_close": true },
            "filter_name": "zonegate",
        },
    });
    std::fs::write(&file, with_filter(filter).to_string()).unwrap();
    let output = Command::new(older_envoys().swap_remove(0))
        .args(["--mode", "validate", "-c"])
        .arg(&file)
        .env("ENVOY_DYNAMIC_MODULES_SEARCH_PATH", dir.path())
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{log}");
    assert!(log.contains("zonegate: this Envoy is too old for the dynamic module"), "{log}");
}

/// A listener with this filter, and no upstream.
fn with_filter(filter: Value) -> Value {
    let router = json!({
        "name": "envoy.filters.http.router",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
        },
    });
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "gateway",
        "route_config": { "virtual_hosts": [] },
        "http_filters": [filter, router],
    });
    let filters = json!([{ "name": "envoy.filters.network.http_connection_manager", "typed_config": manager }]);
    let address = json!({ "socket_address": { "address": "127.0.0.1", "port_value": 0 } });
    let listener = json!({ "address": address, "filter_chains": [{ "filters": filters }] });
    json!({ "static_resources": { "listeners": [listener] } })
}

fn older_envoys() -> Vec<PathBuf> {
    let envoys = std::env::var("ZONEGATE_OLDER_ENVOYS").expect("not set: run make test");
    std::env::split_paths(&envoys).collect()
}

async fn run_in(envoy: PathBuf) {
    let mut bench = Bench::new().set("firstMessageSeconds", json!(1));
    bench.options.envoy = envoy;
    let setup = bench.start().await;
    let connection = setup.connect().await;
    let mut kept = open(&connection, &setup.token_of("id-kept")).await;
    let mut revoked = open(&connection, &setup.token_of("id-revoked")).await;
    let refused = connection.sotw(Some("garbage"), Claimed::INGRESS).await.unwrap_err();
    assert!(refused.message().starts_with("zonegate: malformed_token: "), "{refused:?}");
    let raw = setup.raw().await;
    let silent = setup.begin(&raw, &setup.token()).await;
    let message = silent.answer(LIMIT).await.unwrap().grpc_message().unwrap();
    assert!(message.starts_with("zonegate: no_first_message: "), "{message}");
    assert_eq!(setup.gateway.push(&json!({ "zone": 1 })).await.unwrap(), Pushed::Rejected);
    setup.push("revocations", json!("id-revoked")).await;
    assert!(is_cut(&mut revoked).await);
    setup.control_plane.push();
    assert!(goes_on(&mut kept).await);
    setup.gateway.wait_stat("zonegate.streams.open", 1, LIMIT).await.unwrap();
    let counted = [
        ("allowed", 2),
        ("denied.malformed_token", 1),
        ("denied.no_first_message", 1),
        ("streams.cut.revoked", 1),
        ("config.accepted", 2),
        ("config.rejected", 1),
    ];
    // Envoy 1.38 shows the counters of a configuration only after a stream.
    drop(open(&connection, &setup.token_of("id-kept")).await);
    for (name, wanted) in counted {
        let wanted = if name == "allowed" { wanted + 1 } else { wanted };
        let name = format!("zonegate.{name}");
        setup.gateway.wait_stat(&name, wanted, LIMIT).await.unwrap();
    }
    let log = setup.gateway.log().unwrap();
    assert!(log.contains("zonegate: denied reason=malformed_token ") && !log.contains("panicked"));
}
