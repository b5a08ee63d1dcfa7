//! `zonegate config` from outside: which files are left behind, and how much of hostile input is shown. The fixed texts
//! are in `tests/cmd/config.trycmd`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)] // a test may panic

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;
use zonegate_issuer::SigningKey;

const KEY: &str = include_str!("cmd/config.in/key-1.pem");

fn zonegate(folder: &Path, arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_zonegate"))
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The command stops reading once the input is too long.
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input).ok());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn secret(name: &str, data: &[u8]) -> Value {
    json!({ "type": "GlobalSecret", "name": name, "data": STANDARD.encode(data) })
}

fn secrets(items: &[Value]) -> Vec<u8> {
    json!({ "total": items.len(), "items": items, "next": null }).to_string().into_bytes()
}

const RENDER: [&str; 8] =
    ["config", "render", "--zone", "z", "--secrets", "-", "--output-file", "zonegate.yaml"];

/// Secrets, kuma-cp's own file and a cluster's JWK Set become one policy for every kind of token.
#[test]
fn every_kind_of_token_is_rendered() {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, content: &str| fs::write(folder.path().join(name), content).unwrap();
    let public = SigningKey::from_pem(KEY).unwrap().public_key_pem().to_string();
    let lines: String = public.lines().map(|line| format!("              {line}\n")).collect();
    write(
        "kuma-cp.yaml",
        &format!(
            "mode: zone\ndpServer:\n  authn:\n    dpProxy:\n      dpToken:\n        validator:\n          \
             useSecrets: true\n          publicKeys:\n          - kid: offline\n            mesh: east\n            \
             key: |\n{lines}          - kid: all\n            key: |\n{lines}"
        ),
    );
    let jwks = fs::read_to_string("../tests/data/service-account-jwks-east.json").unwrap();
    let mut jwks: Value = serde_json::from_str(&jwks).unwrap();
    jwks["keys"].as_array_mut().unwrap().retain(|key| key["kty"] == "RSA");
    write("jwks.json", &jwks.to_string());
    write("base.yaml", "proxies: {egress: serviceAccountToken, dataplane: dpToken}\nzone: z\n");
    let mut of_mesh = secret("dataplane-token-signing-key-east-1", KEY.as_bytes());
    (of_mesh["type"], of_mesh["mesh"]) = (json!("Secret"), json!("east"));
    let mut revocations = secret("dataplane-token-revocations-east", b"mine");
    (revocations["type"], revocations["mesh"]) = (json!("Secret"), json!("east"));
    let input = secrets(&[
        secret("zone-token-signing-key-1", KEY.as_bytes()),
        of_mesh.clone(),
        revocations,
        secret("dataplane-token-revocations-east", b"global"),
    ]);
    let arguments = [
        &["config", "render", "--base", "base.yaml", "--secrets", "-", "--format", "plugin"][..],
        &["--kuma-cp-config", "kuma-cp.yaml", "--jwks", "jwks.json", "--issuer", "https://k8s"],
    ]
    .concat();
    let output = zonegate(folder.path(), &arguments, &input);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(!text(&output.stdout).contains("PRIVATE"));
    let policy: Value = serde_json::from_slice(&output.stdout).unwrap();
    let keys = policy["dpToken"]["publicKeys"].as_array().unwrap();
    let named: Vec<_> = keys.iter().map(|key| (&key["kid"], &key["mesh"], &key["key"])).collect();
    let public = json!(public);
    assert_eq!(
        named,
        [
            (&json!("offline"), &json!("east"), &public),
            (&json!("all"), &Value::Null, &public),
            (&json!("1"), &json!("east"), &public),
        ]
    );
    assert_eq!(policy["dpToken"]["revocations"], json!({ "east": ["mine", "global"] }));
    let cluster = json!({ "issuer": "https://k8s", "jwks": jwks });
    assert_eq!(policy["serviceAccountToken"]["issuers"], json!([cluster]));

    // One kid twice, in one mesh.
    let mut again = of_mesh;
    again["name"] = json!("dataplane-token-signing-key-east-offline");
    let output = zonegate(folder.path(), &arguments, &secrets(&[again]));
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("kid \"offline\" occurs twice"), "{output:?}");
}

/// Envoy and people read this file: keys of meshes have their own lines too.
#[test]
fn a_gate_of_dataplane_tokens_alone_is_rendered_without_keys_of_zone_tokens() {
    let folder = TempDir::new().unwrap();
    let base = "proxies: {ingress: deny, egress: deny, dataplane: dpToken}\n";
    fs::write(folder.path().join("base.yaml"), base).unwrap();
    let mut of_mesh = secret("dataplane-token-signing-key-east-1", KEY.as_bytes());
    (of_mesh["type"], of_mesh["mesh"]) = (json!("Secret"), json!("east"));
    let arguments = [&RENDER[..], &["--base", "base.yaml"]].concat();
    let output = zonegate(folder.path(), &arguments, &secrets(&[of_mesh]));
    assert!(output.status.success(), "{}", text(&output.stderr));
    let file = fs::read_to_string(folder.path().join("zonegate.yaml")).unwrap();
    assert!(file.lines().any(|line| line.trim() == "-----BEGIN RSA PUBLIC KEY-----"), "{file}");
    assert_eq!(file.matches("publicKeys:").count(), 1, "{file}");
    let output = zonegate(folder.path(), &["config", "check", "zonegate.yaml"], b"");
    assert!(output.status.success(), "{}", text(&output.stderr));
    // The file can be edited in place.
    let output = zonegate(folder.path(), &["revoke", "zonegate.yaml", "--mesh", "east", "id"], b"");
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn a_file_is_replaced_as_a_whole_and_keeps_its_mode() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("zonegate.yaml");
    fs::write(&file, "before").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let input = secrets(&[secret("zone-token-signing-key-1", KEY.as_bytes())]);
    let output = zonegate(folder.path(), &RENDER, &input);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
    assert!(fs::read_to_string(&file).unwrap().contains("BEGIN RSA PUBLIC KEY"));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
}

/// If two configurations are the same byte for byte, Envoy reuses the earlier one and does not call the filter.
#[test]
fn equal_policies_are_rendered_as_different_files() {
    let folder = TempDir::new().unwrap();
    let input = secrets(&[secret("zone-token-signing-key-1", KEY.as_bytes())]);
    let file = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    let check = |one: &str, other: &str| {
        assert_ne!(file(one), file(other));
        let output = zonegate(folder.path(), &["config", "diff", one, other], b"");
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), String::new()));
    };
    for format in ["ecds", "plugin"] {
        for name in ["one", "other"] {
            let arguments = ["config", "render", "--zone", "z", "--secrets", "-", "-o", format];
            let output = zonegate(
                folder.path(),
                &[&arguments[..], &["--output-file", name]].concat(),
                &input,
            );
            assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        }
        check("one", "other");
        // A revocation that is undone and done again gives another file than the first time.
        let revoke = |arguments: &[&str]| {
            let output = zonegate(folder.path(), &[&["revoke", "one"], arguments].concat(), b"");
            assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        };
        revoke(&["id1"]);
        let after = file("one");
        fs::write(folder.path().join("one"), file("other")).unwrap();
        revoke(&["id1"]);
        assert_ne!(file("one"), after);
    }
}

/// No input is shown, and the file is unchanged.
#[test]
fn hostile_secrets_change_nothing_and_show_nothing() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("zonegate.yaml");
    fs::write(&file, "before").unwrap();
    let encoded = STANDARD.encode(KEY);
    let key = secret("zone-token-signing-key-1", KEY.as_bytes());
    let good = String::from_utf8(secrets(std::slice::from_ref(&key))).unwrap();
    let no_text = secrets(&[key.clone(), secret("zone-token-revocations", &[0xff])]);
    for input in [
        Vec::new(),
        vec![0xff; 1000],
        vec![0; 1000],
        KEY.as_bytes().to_vec(),
        encoded.clone().into_bytes(),
        format!("data: {encoded}").into_bytes(),
        format!("{encoded}: {encoded}\n{encoded}: 1\n").into_bytes(),
        good.replace("\"name\"", "\"name\" \"").into_bytes(),
        good.replace('}', "").into_bytes(),
        good.replace("\"items\":[", &format!("\"items\":[\"{encoded}\",")).into_bytes(),
        good.replace("\"total\":1", "\"total\":9").into_bytes(),
        format!("items: [*{encoded}]").into_bytes(),
        format!("- !{encoded} x\n- [").into_bytes(),
        "[".repeat(100_000).into_bytes(),
        no_text,
        secrets(&[secret("zone-token-signing-key-1", b"garbage")]),
    ] {
        let output = zonegate(folder.path(), &RENDER, &input);
        let shown = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{shown}");
        assert!(shown.contains("error: ") && shown.len() < 500, "{shown}");
        for part in [&KEY[100..132], &encoded[100..132]] {
            assert!(!shown.contains(part), "{shown}");
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), "before");
    }
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
}

#[test]
fn endless_input_is_refused_before_it_fills_the_memory() {
    let folder = TempDir::new().unwrap();
    for flags in [
        &["config", "render", "--secrets"][..],
        &["config", "render", "--kuma-cp-config"],
        &["config", "render", "--revocations"],
        &["config", "render", "--base"],
        &["config", "check"],
        &["config", "diff", "/dev/null"],
    ] {
        let output = zonegate(folder.path(), &[flags, &["/dev/zero"]].concat(), b"");
        let shown = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{flags:?}: {shown}");
        if !flags.contains(&"diff") {
            assert!(shown.contains("is larger than"), "{flags:?}: {shown}");
        }
    }
}

/// No rendered format contains a signing key.
#[test]
fn a_signing_key_never_comes_out() {
    let folder = TempDir::new().unwrap();
    let input = secrets(&[secret("zone-token-signing-key-1", KEY.as_bytes())]);
    let public = SigningKey::from_pem(KEY).unwrap().public_key_pem().to_owned();
    for (format, more) in [
        ("ecds", &[][..]),
        ("plugin", &[]),
        ("istio", &["--module-url", "oci://x"]),
        ("envoy-gateway", &["--module-url", "oci://x", "--gateway", "g"]),
    ] {
        let flags = ["config", "render", "--zone=z", "--secrets=-", "--format", format];
        let output = zonegate(folder.path(), &[&flags[..], more].concat(), &input);
        let shown = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{shown}");
        assert!(!shown.contains("PRIVATE"), "{shown}");
        let shows =
            |pem: &str| pem.lines().filter(|line| line.len() > 40).any(|line| shown.contains(line));
        assert!(!shows(KEY), "{format}");
        assert!(shows(&public), "{format}");
    }
}

#[test]
fn the_schema_is_json_and_takes_what_is_rendered() {
    let folder = TempDir::new().unwrap();
    let output = zonegate(folder.path(), &["config", "schema"], b"");
    let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
    let known = schema["properties"].as_object().unwrap();
    let input = secrets(&[
        secret("zone-token-signing-key-1", KEY.as_bytes()),
        secret("zone-token-revocations", b"id1"),
    ]);
    let flags = ["config", "render", "--zone=z", "--mode=shadow", "--secrets=-", "--format=plugin"];
    let output = zonegate(folder.path(), &flags, &input);
    let rendered: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(rendered.as_object().unwrap().keys().all(|field| known.contains_key(field)));
}
