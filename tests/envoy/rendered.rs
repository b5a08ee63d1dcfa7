//! The output of `zonegate config render`, loaded by a real Envoy.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use zonegate::gate::ADS_SOTW;
use zonegate_testkit::control_plane::{Ended, Recorder};
use zonegate_testkit::gateway::Form;
use zonegate_testkit::raw_client::{End, RawRequest};
use zonegate_testkit::zone_proxy::Claimed;

use crate::ecds::{SOURCE, is_revoked};
use crate::form::{FilterOnly, WasmOnly, form, module};
use crate::harness::{Bench, LIMIT, ZONE, claims_with, grpc_headers};

/// Renders the secrets of a control plane with the key of `bench` into a folder that its Envoy watches.
fn render(bench: &mut Bench, flags: &[&str]) -> PathBuf {
    let folder = bench.scratch().join("rendered");
    fs::create_dir(&folder).unwrap();
    let (secrets, file) = (bench.scratch().join("secrets.json"), folder.join("zonegate.yaml"));
    let secret = |name: &str, data: &str| json!({ "type": "GlobalSecret", "name": name, "data": STANDARD.encode(data) });
    let list = json!({ "total": 2, "next": null, "items": [
        secret("zone-token-signing-key-1", &bench.key.to_pem()),
        secret("zone-token-revocations", "gone,id-2\n"),
    ]});
    fs::write(&secrets, list.to_string()).unwrap();
    let module = module();
    zonegate(
        &["config", "render", "--zone", ZONE, "--module", module.to_str().unwrap()],
        |command| {
            command.arg("--secrets").arg(&secrets).arg("--output-file").arg(&file).args(flags)
        },
    );
    bench.options.edits = vec![
        (format!("{SOURCE}/path_config_source/path"), json!(file)),
        (format!("{SOURCE}/path_config_source/watched_directory/path"), json!(folder)),
    ];
    // The harness's own policy lets nobody in.
    bench.options.policy["zone"] = json!("elsewhere");
    file
}

fn zonegate(arguments: &[&str], more: impl FnOnce(&mut Command) -> &mut Command) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zonegate"));
    let output = more(command.args(arguments)).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// The secrets of a control plane become the policy of a gateway, which lets in its tokens, but not the revoked one.
#[tokio::test]
async fn a_rendered_file_is_served_and_a_token_revoked_in_it() {
    if FilterOnly::Pushes.is_left_out() {
        return;
    }
    let mut bench = Bench::new();
    let file = render(&mut bench, &[]);
    let setup = bench.start().await;
    let token = setup.token();
    let mut stream = setup.connect().await.sotw(Some(&token), Claimed::INGRESS).await.unwrap();
    stream.next().await.unwrap().unwrap();
    let revoked = setup.sign(claims_with("jti", json!("id-2")));
    let refused = setup.connect().await.sotw(Some(&revoked), Claimed::INGRESS).await;
    assert!(refused.err().unwrap().message().starts_with("zonegate: revoked: "));
    assert_eq!(setup.stat("config.revocations").await, 2);
    // Revokes the token in use, by the token itself, in the file that Envoy watches.
    zonegate(&["revoke"], |command| command.arg(&file).arg(&token));
    is_revoked(&setup).await;
    assert!(tokio::time::timeout(LIMIT, stream.next()).await.unwrap().is_err());
}

/// Changes the file as a host writes it that has no field for `allow_on_headers_stop_iteration`.
fn without_the_flag(file: &Path) {
    let text = fs::read_to_string(file).unwrap();
    let without = text.replace("      allow_on_headers_stop_iteration: true\n", "");
    assert_ne!(text, without);
    fs::write(file, without).unwrap();
}

/// The configuration that Envoy Gateway and Istio produce with `holdHeaders: false`.
#[tokio::test]
async fn without_stop_iteration_headers_go_on_and_no_byte_of_a_body_that_is_refused() {
    if FilterOnly::Pushes.is_left_out() {
        return;
    }
    if WasmOnly::StopIterationFlag.is_left_out() {
        return;
    }
    let mut bench = Bench::new();
    let base = bench.scratch().join("base.yaml");
    fs::write(&base, "firstMessageSeconds: 1\nholdHeaders: false\n").unwrap();
    let file = render(&mut bench, &["--base", path(&base)]);
    without_the_flag(&file);
    let setup = bench.start().await;
    // A token that is refused on its headers: nothing arrives.
    let expired = setup.sign(claims_with("exp", json!(1)));
    let refused = setup.connect().await.sotw(Some(&expired), Claimed::INGRESS).await;
    assert!(refused.err().unwrap().message().starts_with("zonegate: expired: "));
    setup.assert_nothing_arrived().await;
    // A token that is refused after the first message: the headers arrive, and the control plane sees the stream end.
    let ingress_only = setup.sign(claims_with("Scope", json!(["ingress"])));
    let refused = setup.connect().await.sotw(Some(&ingress_only), Claimed::EGRESS).await;
    let message = refused.err().unwrap().message().to_owned();
    assert!(message.starts_with("zonegate: out_of_scope: "), "{message}");
    let raw = setup.raw().await;
    let silent = RawRequest {
        method: "POST",
        path: ADS_SOTW,
        headers: grpc_headers(&setup.token()),
        chunks: vec![],
        end: End::Never,
    };
    let answer = raw.send(silent).await.unwrap();
    // This control plane answers at once, so the gate can only reset the stream.
    assert!(answer.reset.is_some(), "{answer:?}");
    assert_eq!(setup.denied("no_first_message").await, 1);
    let recorder = setup.control_plane.recorder();
    // The first stream may have been refused before Envoy had a connection for its headers.
    let all = |seen: &Recorder| seen.count() >= 1 && seen.count_ended(Ended::Reset) == seen.count();
    recorder.wait_for(all, LIMIT).await.unwrap();
    for request in recorder.requests() {
        assert_eq!(request.body_bytes, 0, "{request:?}");
        assert_eq!(request.header("authorization").count(), 1, "{request:?}");
    }
    recorder.clear();
    // A good stream passes and is cut when its token is revoked. A bootstrap request is judged.
    let token = setup.token();
    let mut stream = setup.connect().await.sotw(Some(&token), Claimed::INGRESS).await.unwrap();
    stream.next().await.unwrap().unwrap();
    zonegate(&["revoke"], |command| command.arg(&file).arg(&token));
    is_revoked(&setup).await;
    assert!(tokio::time::timeout(LIMIT, stream.next()).await.unwrap().is_err());
}

/// The wasm module lets headers pass if the policy says so. A dynamic module can always hold them, and does.
#[tokio::test]
async fn a_dynamic_module_holds_headers_whatever_the_policy_says() {
    if FilterOnly::Pushes.is_left_out() {
        return;
    }
    let bench = Bench::new().set("holdHeaders", json!(false));
    let setup = bench.set("firstMessageSeconds", json!(1)).start().await;
    let silent = RawRequest {
        method: "POST",
        path: ADS_SOTW,
        headers: grpc_headers(&setup.token()),
        chunks: vec![],
        end: End::Never,
    };
    setup.raw().await.send(silent).await.unwrap();
    assert_eq!(setup.denied("no_first_message").await, 1);
    let seen = match form() {
        Form::Wasm => 1,
        Form::Native | Form::Service => 0,
    };
    assert_eq!(setup.control_plane.recorder().count(), seen);
}

/// The configuration that the manifests for Istio and Envoy Gateway, and `config check`, warn about.
#[tokio::test]
async fn without_stop_iteration_the_headers_are_judged_and_no_stream_passes() {
    if FilterOnly::Pushes.is_left_out() {
        return;
    }
    if WasmOnly::StopIterationFlag.is_left_out() {
        return;
    }
    let mut bench = Bench::new();
    let base = bench.scratch().join("base.yaml");
    fs::write(&base, "firstMessageSeconds: 1\n").unwrap();
    let file = render(&mut bench, &["--base", path(&base)]);
    without_the_flag(&file);
    let setup = bench.start().await;
    for (token, reason) in [
        (setup.sign(claims_with("exp", json!(1))), "zonegate: expired: "),
        (setup.token(), "zonegate: no_first_message: "),
    ] {
        let refused = setup.connect().await.sotw(Some(&token), Claimed::INGRESS).await;
        let message = refused.err().unwrap().message().to_owned();
        assert!(message.starts_with(reason), "{message}");
    }
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}
