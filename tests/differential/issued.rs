//! Dataplane tokens of `zonegate generate`, judged by `tests/kuma`.
//!
//! In: flags of the command line, and a proxy. Checked: the token is accepted for the proxies that the flags name, and
//! for no others. `make test-kuma` does the same for zone tokens with the real programs.

use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::golang_jwt::{self, GoStreams};

#[derive(Deserialize)]
struct Answer {
    accept: bool,
    error: String,
}

#[test]
fn issued_dataplane_tokens_are_good_for_the_proxies_that_the_flags_say() {
    let Some(program) = golang_jwt::build().unwrap() else {
        println!("skipped: issued dataplane tokens (no Go to build tests/kuma with)");
        return;
    };
    let folder = TempDir::new().unwrap();
    let dir = folder.path();
    zonegate(dir, "generate signing-key --format pem --output-file key.pem");
    let key = zonegate(dir, "generate public-key --signing-key-path key.pem");
    let mut control_plane = GoStreams::start(&program, &json!({ "key": key })).unwrap();
    for (flags, refused) in [
        ("", None),
        ("--name=dp-1 --mesh=default", None),
        ("-m default --tag kuma.io/service=web,api --tag version=1", None),
        ("--tag version=1,kuma.io/service=web", None),
        ("--workload=backend --proxy-type=ingress", None),
        ("--type=egress --id=mine", None),
        ("--name=dp-2", Some("proxy name from requestor: dp-1 is different than in token: dp-2")),
        (
            "--mesh=other",
            Some("proxy mesh from requestor: default is different than in token: other"),
        ),
        ("--tag kuma.io/service=api,db", Some("Allowed values in token are [\"api\" \"db\"]")),
        ("--tag team=x", Some("dataplane has no tag \"team\" required by the token")),
        ("--workload=front", Some("Allowed workload in token is \"front\"")),
        ("--not-before=4000000000", Some("token is not yet valid")),
        ("--id=revoked", Some("token is revoked")),
    ] {
        let signed = "--valid-for=1h --kid=offline --signing-key-path=key.pem";
        let token = zonegate(dir, &format!("generate dataplane-token {flags} {signed}"));
        let answers: Vec<Answer> = control_plane.judge(&[stream(&token)]).unwrap();
        let Answer { accept, error } = &answers[0];
        assert_eq!(*accept, refused.is_none(), "{flags}: {error}");
        assert!(error.contains(refused.unwrap_or("")), "{flags}: {error}");
    }
}

/// A claim without a flag is present and empty, as kumactl writes it.
#[test]
fn an_issued_dataplane_token_has_all_claims_in_kumas_order() {
    let folder = TempDir::new().unwrap();
    let dir = folder.path();
    zonegate(dir, "generate signing-key --format pem --output-file key.pem");
    let flags =
        "--valid-for=60s --not-before=4000000000 --id=mine --kid=1 --signing-key-path=key.pem";
    let token = zonegate(dir, &format!("generate dataplane-token {flags}"));
    let part = |at| URL_SAFE_NO_PAD.decode(token.split('.').nth(at).unwrap()).unwrap();
    let text = |at| String::from_utf8(part(at)).unwrap();
    assert_eq!(text(0), r#"{"alg":"RS256","kid":"1","typ":"JWT"}"#);
    let claims =
        r#"{"Name":"","Mesh":"default","Tags":{},"Type":"","Workload":"","exp":4000000060,"#;
    assert!(text(1).starts_with(claims), "{}", text(1));
    assert!(text(1).ends_with(r#","jti":"mine"}"#), "{}", text(1));
}

/// A stream of the proxy dp-1 in mesh default, with service web, version 1 and workload backend.
fn stream(token: &str) -> Value {
    let resource = json!({
        "type": "Dataplane",
        "mesh": "default",
        "name": "dp-1",
        "labels": { "kuma.io/workload": "backend" },
        "networking": {
            "address": "127.0.0.1",
            "inbound": [{ "port": 80, "tags": { "kuma.io/service": "web", "version": "1" } }],
        },
    });
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    json!({
        "authorization": [token],
        "node_id": "default.dp-1",
        "resource": resource.to_string(),
        "keys": [["default", "offline", "key"]],
        "revocations": { "default": "revoked" },
        "now": [now.as_secs(), now.subsec_nanos()],
    })
}

/// The output of the tool.
fn zonegate(dir: &Path, arguments: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zonegate"));
    let output = command.args(arguments.split_whitespace()).current_dir(dir).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments}: {error}");
    String::from_utf8(output.stdout).unwrap()
}
