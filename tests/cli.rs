//! The command line from outside. Fixed texts are tested by trycmd (`tests/cmd`). The tests here are about texts that
//! differ from run to run, and about the files that are left behind.
#![allow(clippy::unwrap_used)] // a test may panic

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use tempfile::TempDir;
use zonegate::credential::{Kind, Token, authenticate};
use zonegate::token::{KeySet, NumericDate, PublicKey};
use zonegate_issuer::SigningKey;

const ZONEGATE: &str = env!("CARGO_BIN_EXE_zonegate");
const KEY: &str = "../tests/cmd/files.in/key.pem";

#[test]
fn fixed_texts() {
    trycmd::TestCases::new().case("../tests/cmd/*.trycmd").case("../docs/tool.md");
}

#[test]
fn a_key_its_public_half_and_a_token_fit_together() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (key, public, token) = (path("key"), path("public"), path("token"));
    run(&["generate", "signing-key", "--output-file", &key]);
    run(&["generate", "public-key", "--signing-key-path", &key, "--output-file", &public]);
    run(&[&zone_token(&key)[..], &["--output-file", &token]].concat());

    let verified = verify(&read(&token), &read(&public));
    assert_eq!(verified.claims.zone(), "east");
    assert_eq!(mode(&key), 0o600);
    assert_eq!(mode(&token), 0o600);
    assert_eq!(mode(&public) & 0o133, 0); // the umask decides about the rest
}

/// A reader that closes the pipe early is no error: the exit code is the usual one, and stderr is empty.
#[test]
fn a_closed_pipe_ends_quietly() {
    for (arguments, code) in [
        (&["generate", "signing-key"][..], 0),
        (&["config", "schema"], 0),
        (&["man"], 0),
        (&["completion", "bash"], 0),
        (&["version"], 0),
        (&["config", "check", "../tests/cmd/config.in/policy.yaml"], 0),
        (&["inspect", "../tests/cmd/inspect.in/cut-off.token"], 2),
        (
            &[
                "verify",
                "../tests/cmd/verify.in/bearer.token",
                "--config",
                "../tests/cmd/verify.in/policy.yaml",
            ],
            1,
        ),
    ] {
        let mut child = Command::new(ZONEGATE)
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!said.contains("pipe") && !said.contains("panicked"), "{arguments:?}: {said}");
    }
}

#[test]
fn both_formats_are_kumactls() {
    let pem = run(&["generate", "signing-key", "--format", "pem"]);
    let base64 = run(&["generate", "signing-key"]);
    assert!(pem.starts_with("-----BEGIN RSA PRIVATE KEY-----\n"));
    assert!(pem.ends_with("\n-----END RSA PRIVATE KEY-----\n"));
    assert!(pem.lines().all(|line| line.len() <= 64));
    assert_eq!(SigningKey::from_pem(&pem).unwrap().public_key().bits(), 2048);

    let decoded = String::from_utf8(STANDARD.decode(&base64).unwrap()).unwrap(); // no line break
    assert_eq!(*SigningKey::from_pem(&decoded).unwrap().to_pem(), decoded);
    assert_ne!(pem, decoded);
}

#[test]
fn a_token_says_exactly_what_kumactls_says() {
    let before = now();
    let token = run(&zone_token(KEY));
    let after = now();
    let claims = verify(&token, &read("../tests/cmd/files.in/public.pem"));
    let (Some(NumericDate(exp)), Some(NumericDate(nbf))) =
        (claims.identity.expires_at, claims.not_before)
    else {
        unreachable!("both dates are there")
    };
    assert_eq!(exp.checked_sub(nbf), Some(24 * 3600 + 5));
    let issued = nbf.checked_add(5).unwrap();
    assert!((before..=after).contains(&issued), "{issued}");

    let id = uuid::Uuid::parse_str(&claims.identity.id).unwrap();
    assert_eq!((id.get_version_num(), id.to_string()), (4, claims.identity.id.to_string()));
    assert_eq!(segment(&token, 0), r#"{"alg":"RS256","kid":"1","typ":"JWT"}"#);
    let wanted = format!(
        r#"{{"Zone":"east","Scope":["ingress","egress"],"exp":{exp},"nbf":{nbf},"iat":{nbf},"jti":"{id}"}}"#
    );
    assert_eq!(segment(&token, 1), wanted);
}

#[test]
fn scopes_are_those_asked_for_in_that_order() {
    for (flags, wanted) in [
        (&["--scope", "egress"][..], r#""Scope":["egress"],"#),
        (&["--scope", "egress,ingress"], r#""Scope":["egress","ingress"],"#),
        (&["--scope", "egress", "--scope=ingress"], r#""Scope":["egress","ingress"],"#),
        (&["--scope", "cp"], r#""Scope":["cp"],"#),
    ] {
        let token = run(&[&zone_token(KEY)[..], flags].concat());
        assert!(segment(&token, 1).contains(wanted), "{flags:?}");
    }
}

#[test]
fn a_key_may_come_from_standard_input() {
    let output = spawn_with_input(&read(KEY).into_bytes());
    assert_eq!(text(&output.stdout), read("../tests/cmd/files.in/public.pem"));
}

#[test]
fn contents_that_are_no_key_are_refused_without_reading_them_all() {
    for (input, wanted) in [
        (vec![0xff; 100], "is not a signing key: it is neither text nor a key in DER"),
        (vec![b'A'; 65 * 1024], "is not a signing key: it is larger than 64 KiB"),
        (vec![b'\n'; 64 * 1024], "is not a signing key: it is empty"),
    ] {
        let output = spawn_with_input(&input);
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(text(&output.stderr), format!("error: standard input {wanted}\n"));
    }
    let endless = zonegate(&["generate", "public-key", "--signing-key-path", "/dev/zero"]);
    assert_eq!(endless.status.code(), Some(2));
}

#[test]
fn a_key_without_permission_is_an_error() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("key");
    fs::write(&path, "").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read(&path).is_ok() {
        println!("skipped: this user may read everything");
        return;
    }
    let output =
        zonegate(&["generate", "public-key", "--signing-key-path", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).ends_with(": Permission denied (os error 13)\n"));
}

#[test]
fn an_existing_file_keeps_its_contents() {
    let folder = TempDir::new().unwrap();
    let (file, link) = (folder.path().join("file"), folder.path().join("link"));
    fs::write(&file, "precious").unwrap();
    std::os::unix::fs::symlink(folder.path().join("nowhere"), &link).unwrap();
    for path in [&file, &link] {
        let output =
            zonegate(&["generate", "signing-key", "--output-file", path.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains("is left as it is"));
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
    assert!(!folder.path().join("nowhere").exists());
}

#[test]
fn a_write_that_fails_leaves_no_file() {
    let folder = TempDir::new().unwrap();
    let output = Command::new("sh")
        .args([
            "-c",
            "trap '' XFSZ; ulimit -f 0; exec \"$0\" generate signing-key --output-file key",
        ])
        .arg(ZONEGATE)
        .current_dir(&folder)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        text(&output.stderr),
        "error: could not write key; it is removed again: File too large (os error 27)\n"
    );
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
}

#[test]
fn a_secret_in_the_wrong_place_is_not_repeated() {
    let pem = read(KEY);
    let secrets = [pem.clone(), STANDARD.encode(&pem), run(&zone_token(KEY))];
    for secret in &secrets {
        for before in [
            &["generate", "public-key", "--signing-key-path"][..],
            &["generate", "public-key"],
            &["generate", "signing-key", "--format"],
            &["generate", "signing-key", "--output-file"],
            &["generate", "zone-token", "--zone", "z", "--valid-for"],
            &[],
        ] {
            let output = zonegate(&[before, &[secret.as_str()]].concat());
            let shown = text(&output.stdout) + &text(&output.stderr);
            let leaked = secret
                .as_bytes()
                .windows(32)
                .skip(40)
                .any(|part| shown.as_bytes().windows(part.len()).any(|window| window == part));
            assert!(!leaked && !output.status.success(), "{before:?}: {shown}");
        }
    }
}

#[test]
fn openssl_agrees_about_keys_and_signatures() {
    let folder = TempDir::new().unwrap();
    let openssl = |arguments: &str| {
        Command::new("openssl").args(arguments.split(' ')).current_dir(&folder).output()
    };
    if openssl("version").is_err() {
        println!("skipped: there is no openssl here");
        return;
    }
    let write =
        |name: &str, contents: &[u8]| fs::write(folder.path().join(name), contents).unwrap();
    let pem = run(&["generate", "signing-key", "--format", "pem"]);
    let key = SigningKey::from_pem(&pem).unwrap();
    write("key", pem.as_bytes());
    write("public", key.public_key_pem().as_bytes());
    assert!(openssl("rsa -in key -check -noout").unwrap().status.success());
    let extracted = openssl("rsa -in key -RSAPublicKey_out").unwrap().stdout;
    assert_eq!(text(&extracted), key.public_key_pem());

    let token = run(&zone_token(folder.path().join("key").to_str().unwrap()));
    let (signed, signature) = token.rsplit_once('.').unwrap();
    write("signed", signed.as_bytes());
    write("signature", &URL_SAFE_NO_PAD.decode(signature).unwrap());
    write("spki", &openssl("rsa -in public -RSAPublicKey_in -pubout").unwrap().stdout);
    let verdict = openssl("dgst -sha256 -verify spki -signature signature signed").unwrap();
    assert_eq!(text(&verdict.stdout), "Verified OK\n");
}

fn zone_token(key: &str) -> Vec<&str> {
    let flags = ["generate", "zone-token", "--zone=east", "--valid-for=24h", "--kid=1"];
    [&flags[..], &["--signing-key-path", key]].concat()
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(ZONEGATE);
    command.args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn zonegate(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

/// Standard output of a command that must succeed and print nothing to stderr.
fn run(arguments: &[&str]) -> String {
    let output = zonegate(arguments);
    assert_eq!(text(&output.stderr), "");
    assert!(output.status.success());
    text(&output.stdout)
}

fn spawn_with_input(input: &[u8]) -> Output {
    let mut child = command(&["generate", "public-key", "--signing-key-path=-"]).spawn().unwrap();
    // The command stops reading once the input is too long.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn verify(token: &str, public_pem: &str) -> std::sync::Arc<Token> {
    let mut keys = KeySet::default();
    keys.insert("1".into(), PublicKey::from_pem(public_pem).unwrap()).unwrap();
    authenticate(token.as_bytes(), Kind::ZoneToken, &keys).unwrap()
}

fn segment(token: &str, index: usize) -> String {
    text(&URL_SAFE_NO_PAD.decode(token.split('.').nth(index).unwrap()).unwrap())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.into()).unwrap()
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap()
}

fn mode(path: &str) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_secs().try_into().unwrap()
}
