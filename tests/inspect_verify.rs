//! `inspect` and `verify` from outside: input from every source, and the output on a terminal. Fixed texts are in
//! `tests/cmd`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may panic

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

const ZONEGATE: &str = env!("CARGO_BIN_EXE_zonegate");
const TOKEN: &str = "../tests/cmd/inspect.in/east.token";
const HOSTILE: &str = "../tests/cmd/inspect.in/hostile.token";
const KEY: &str = "1=../tests/cmd/verify.in/public.pem";
const AT: &str = "--at=2030-01-01T12:00:00Z";

#[test]
fn a_token_is_read_from_everywhere() {
    let token = fs::read_to_string(TOKEN).unwrap();
    let wanted = run(&["inspect", TOKEN, AT]);
    assert!(wanted.contains("ID (jti)    east-2030\n"), "{wanted}");
    assert_eq!(run(&["inspect", &token, AT]), wanted);
    assert_eq!(text(&with_input(&["inspect", "-", AT], token.as_bytes()).stdout), wanted);
    let lines = format!("\n  {token}\r\n");
    assert_eq!(text(&with_input(&["inspect", "-", AT], lines.as_bytes()).stdout), wanted);
}

#[test]
fn verify_says_its_verdict_by_its_exit_code() {
    let token = fs::read_to_string(TOKEN).unwrap();
    let verify = |arguments: &[&str]| {
        let arguments = [&["verify", "-", "--public-key", KEY], arguments].concat();
        with_input(&arguments, token.as_bytes()).status.code()
    };
    assert_eq!(verify(&["--zone=east", AT]), Some(0));
    assert_eq!(verify(&["--zone=west", AT]), Some(1));
    assert_eq!(verify(&["--zone=east", "--at=2030-01-03T00:00:00Z"]), Some(1));
    assert_eq!(verify(&["--zone=east", "--at=2030-01-03"]), Some(2));
    // A reader that closes the pipe early does not change the verdict.
    let mut child = command(&["verify", TOKEN, "--public-key", KEY, AT]).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

/// A real token, for the pod that it is bound to, for others, and for a proxy on Universal.
#[test]
fn a_service_account_token_is_judged_by_pod_and_namespace() {
    let data = |name: &str| -> Value {
        serde_json::from_str(&fs::read_to_string(format!("../tests/data/{name}")).unwrap()).unwrap()
    };
    let mut jwks = data("service-account-jwks-east.json");
    jwks["keys"].as_array_mut().unwrap().retain(|key| key["kty"] == "RSA");
    let recorded = data("service-account-tokens.json");
    let vectors = recorded["vectors"].as_array().unwrap();
    let bound = vectors.iter().find(|vector| vector["name"] == "bound").unwrap();
    let policy = json!({
        "proxies": {
            "ingress": "serviceAccountToken",
            "egress": "serviceAccountToken",
            "dataplane": "serviceAccountToken",
        },
        "serviceAccountToken": {
            "issuers": [{ "issuer": "https://kubernetes.default.svc.cluster.local", "jwks": jwks }],
        },
    });
    let folder = TempDir::new().unwrap();
    let config = folder.path().join("policy.json");
    fs::write(&config, policy.to_string()).unwrap();
    let (config, token) = (config.to_str().unwrap(), bound["token"].as_str().unwrap());
    let at = format!("--at={}", bound["asked_at"]);
    let verify = |flags: &[&str]| -> Value {
        let fixed = ["verify", token, "--config", config, &at, "-o", "json"];
        serde_json::from_slice(&zonegate(&[&fixed, flags].concat()).stdout).unwrap()
    };
    let alone = verify(&[]);
    assert_eq!(alone["verdict"], "allowed", "{alone}");
    assert_eq!(alone["callers"].as_array().map(Vec::len), Some(3));
    let (mesh, name) = bound["node_id"].as_str().unwrap().split_once('.').unwrap();
    assert_eq!((&alone["proxy"]["mesh"], &alone["proxy"]["name"]), (&json!(mesh), &json!(name)));
    assert_eq!(alone["proxy"]["assumed"], json!(["name", "mesh"]));
    let checks = alone["checks"].as_array().unwrap();
    assert_eq!(checks.last().unwrap(), &json!({ "name": "account", "result": "passed" }));
    for (flags, verdict, reason) in [
        (&["--name", name, "--proxy-type", "egress"][..], "allowed", Value::Null),
        (&["--name", "another.demo"], "denied", json!("wrong_service_account")),
        (&["--name", "backend-7d9f4c-x2x8k.other"], "denied", json!("wrong_service_account")),
    ] {
        let judged = verify(flags);
        assert_eq!(
            (&judged["verdict"], &judged["reason"]),
            (&json!(verdict), &reason),
            "{flags:?}"
        );
    }
}

#[test]
fn no_character_of_a_hostile_token_reaches_the_terminal_as_it_is() {
    let token = fs::read_to_string(HOSTILE).unwrap();
    for format in ["table", "json", "yaml"] {
        let shown = run(&["inspect", HOSTILE, AT, "-o", format]);
        let odd = shown.chars().find(|rune| !(*rune == '\n' || matches!(rune, ' '..='~')));
        assert_eq!(odd, None, "{shown}");
        assert!(shown.contains(r"\u001b[2J\u001b]0;owned\u0007"), "{shown}");
        assert!(shown.contains(r"\u202etsae\u200b"), "{shown}");
    }
    let output = zonegate(&["verify", &token, "--public-key", KEY, AT]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_ascii() && !output.stdout.contains(&0x1b));
}

#[test]
fn the_token_itself_is_never_repeated() {
    let token = fs::read_to_string(TOKEN).unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    for arguments in [
        &["inspect", &token][..],
        &["inspect", &token, "-o", "json"],
        &["inspect", &token, "--at", "noon"],
        &["inspect", &format!("{token}="), "-o", "yaml"],
        &["inspect", signed],
        &["verify", &token],
        &["verify", &token, "--public-key", KEY, AT],
        &["verify", &token, "--public-key", &token],
        &["verify", "-", "--config", &token],
    ] {
        let output = zonegate(arguments);
        let shown = text(&output.stdout) + &text(&output.stderr);
        assert!(!shown.contains(signature) && !shown.contains(signed), "{arguments:?}: {shown}");
    }
}

#[test]
fn colour_is_for_terminals_only() {
    let colours = |name: &str, value: &str| {
        let verify = ["verify", TOKEN, "--public-key", KEY, "--zone=east", AT];
        let output = command(&verify).env(name, value).output().unwrap();
        assert!(output.status.success());
        output.stdout.contains(&0x1b)
    };
    assert!(!colours("TERM", "xterm-256color"), "a pipe is no terminal");
    assert!(colours("CLICOLOR_FORCE", "1"));

    let at_a_terminal = |variable: &str| {
        let line = format!("{variable} '{ZONEGATE}' inspect '{TOKEN}' {AT}");
        let mut script = Command::new("script");
        script.args(["-q", "-e", "-c", &line, "/dev/null"]).stdin(Stdio::null());
        script.env("TERM", "xterm-256color").env_remove("NO_COLOR").output()
    };
    let Ok(coloured) = at_a_terminal("CLICOLOR=1") else {
        println!("skipped: there is no program script here");
        return;
    };
    assert!(coloured.status.success() && coloured.stdout.contains(&0x1b));
    assert!(!at_a_terminal("NO_COLOR=1").unwrap().stdout.contains(&0x1b));
}

#[test]
fn no_input_hangs_or_fills_the_memory() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (pipe, large, huge) = (path("pipe"), path("large"), path("huge"));
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    fs::write(&large, vec![b'a'; 129 * 1024]).unwrap();
    fs::File::create(&huge).unwrap().set_len(65 * 1024 * 1024).unwrap();
    let begin = Instant::now();
    for (arguments, wanted) in [
        (&["inspect", &pipe][..], "it is a pipe that nothing writes to\n"),
        (&["inspect", "/dev/zero"], "it is larger than 128 KiB\n"),
        (&["inspect", &large], "it is larger than 128 KiB\n"),
        (&["verify", TOKEN, "--config", "/dev/zero"], "it is larger than 64 MiB\n"),
        (&["verify", TOKEN, "--config", &huge], "it is larger than 64 MiB\n"),
        (&["verify", TOKEN, "--config", &large], "nor a file of Envoy\n"),
        (&["verify", TOKEN, "--public-key", &format!("1={large}")], "it is larger than 64 KiB\n"),
        (&["verify", "/dev/null", "--public-key", KEY], "there is no token in it\n"),
        (&["generate", "public-key", "--signing-key-path", &large], "it is larger than 64 KiB\n"),
    ] {
        let output = zonegate(arguments);
        let shown = text(&output.stderr);
        assert!(shown.starts_with("error: ") && shown.ends_with(wanted), "{arguments:?}: {shown}");
        assert_eq!((output.status.code(), shown.lines().count()), (Some(2), 1), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
    assert!(begin.elapsed() < Duration::from_secs(60));
}

#[test]
fn a_pipe_with_a_writer_is_a_file() {
    let folder = TempDir::new().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut writer = Command::new("cp").arg(TOKEN).arg(&pipe).spawn().unwrap();
    assert_eq!(run(&["inspect", pipe.to_str().unwrap(), AT]), run(&["inspect", TOKEN, AT]));
    writer.wait().unwrap();
}

#[test]
fn a_file_without_permission_is_bad_input() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, "").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read(&path).is_ok() {
        println!("skipped: this user may read everything");
        return;
    }
    let path = path.to_str().unwrap();
    for arguments in [&["inspect", path][..], &["verify", TOKEN, "--config", path]] {
        let output = zonegate(arguments);
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).ends_with("Permission denied (os error 13)\n"));
    }
}

#[test]
fn bash_completes_verbs_flags_and_values() {
    let complete = |words: &str| {
        let script = format!(
            "source <('{ZONEGATE}' completion bash); COMP_WORDS=({words}); \
             COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _zonegate zonegate \"${{COMP_WORDS[-1]}}\" \"${{COMP_WORDS[-2]}}\"; \
             echo \"${{COMPREPLY[*]}}\""
        );
        text(&Command::new("bash").args(["-c", &script]).output().unwrap().stdout)
    };
    assert_eq!(complete("zonegate insp"), "inspect\n");
    assert_eq!(complete("zonegate verify --proxy"), "--proxy-type\n");
    assert_eq!(complete("zonegate generate public-key --format s"), "spki\n");
}

#[test]
fn every_shell_gets_a_script_that_it_can_read() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = run(&["completion", shell]);
        assert!(script.contains("zone-token"), "{shell}");
        let checked = match shell {
            "bash" | "zsh" | "fish" => parse_only(shell, &script),
            _ => None,
        };
        println!("{shell}: {}", if checked.is_some() { "parsed" } else { "skipped: not here" });
        assert_ne!(checked, Some(false), "{shell}");
    }
}

/// Whether `shell` can parse `script`; `None` if this shell is not installed.
fn parse_only(shell: &str, script: &str) -> Option<bool> {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("script");
    fs::write(&path, script).unwrap();
    Some(Command::new(shell).arg("-n").arg(&path).output().ok()?.status.success())
}

#[test]
fn every_verb_has_a_manual_page() {
    let folder = TempDir::new().unwrap();
    assert_eq!(run(&["man", folder.path().to_str().unwrap()]), "");
    let mut names: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    for wanted in ["zonegate.1", "zonegate-generate-zone-token.1", "zonegate-verify.1"] {
        assert!(names.iter().any(|name| name == wanted), "{names:?}");
    }
    let pages = names.iter().map(|name| fs::read_to_string(folder.path().join(name)).unwrap());
    let mut lengths = 0;
    for page in pages {
        assert!(page.contains(".TH ") && page.contains(".SH NAME"), "{page}");
        lengths += page.len();
    }
    let all = run(&["man"]);
    assert_eq!(all.len(), lengths);
    assert_eq!(groff(&all).unwrap_or_default(), "");
}

/// The warnings of groff about a page; `None` if groff is not installed.
fn groff(page: &str) -> Option<String> {
    let mut groff = Command::new("groff");
    groff.args(["-ww", "-man", "-Tutf8"]).stdin(Stdio::piped());
    let mut child = groff.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().ok()?;
    child.stdin.take()?.write_all(page.as_bytes()).ok()?;
    Some(text(&child.wait_with_output().ok()?.stderr))
}

#[test]
fn the_version_names_the_commit_of_a_checkout() {
    let shown = run(&["--version"]);
    let here = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let git =
        Command::new("git").args(["rev-parse", "--short=9", "HEAD"]).current_dir(here).output();
    match git {
        Ok(output) if output.status.success() && here.join(".git").exists() => {
            let commit = text(&output.stdout);
            let wanted = format!("zonegate {} ({})\n", env!("CARGO_PKG_VERSION"), commit.trim());
            assert_eq!(shown, wanted);
        }
        _ => assert!(shown.starts_with("zonegate "), "{shown}"),
    }
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(ZONEGATE);
    command.args(arguments).env("TZ", "UTC").env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn zonegate(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

fn with_input(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = command(arguments).spawn().unwrap();
    // The command stops reading once the input is too long.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

/// Standard output of a command that must succeed and print nothing to stderr.
fn run(arguments: &[&str]) -> String {
    let output = zonegate(arguments);
    assert_eq!(text(&output.stderr), "");
    assert!(output.status.success());
    text(&output.stdout)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.into()).unwrap()
}
