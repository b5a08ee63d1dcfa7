//! The units for systemd: systemd's own tool accepts them, and zonegate accepts their command lines.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::{files, name, read};

const ZONEGATE: &str = env!("CARGO_BIN_EXE_zonegate");

/// The tool's output for a unit, and whether it succeeded; `None` if the tool is not installed.
fn systemd_analyze(name: &str, unit: &str, arguments: &[&str]) -> Option<(bool, String)> {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join(name);
    // systemd.syntax(7): a word with a space needs quotes. A program that is installed here stands in for those that
    // are not.
    let program = format!("\"{ZONEGATE}\"");
    let unit = unit.replace("/usr/bin/zonegate", &program);
    let unit = unit.replace("ExecStart=envoy ", &format!("ExecStart={program} "));
    fs::write(&path, unit).unwrap();
    match Command::new("systemd-analyze").args(arguments).arg(&path).output() {
        Ok(output) => {
            let text = [output.stdout, output.stderr].concat();
            Some((output.status.success(), String::from_utf8(text).unwrap()))
        }
        Err(error) => {
            println!("skipped: systemd-analyze: {error}");
            None
        }
    }
}

fn units() -> Vec<(String, String)> {
    let units = files("deploy/systemd").into_iter();
    units.map(|path| (name(&path).to_owned(), fs::read_to_string(&path).unwrap())).collect()
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    for (name, unit) in units() {
        let Some((good, said)) = systemd_analyze(&name, &unit, &["verify", "--man=no"]) else {
            return;
        };
        assert!(good && said.is_empty(), "{said}");
        for (right, wrong) in [
            ("NoNewPrivileges=yes", "NoNewPrivilegs=yes"),
            ("SystemCallFilter=@system-service", "SystemCallFilter=@system-services"),
            ("ExecStart=", "ExecStart=./relative "),
        ] {
            assert!(unit.contains(right), "{name}: {right}");
            let unit = unit.replace(right, wrong);
            let (good, said) = systemd_analyze(&name, &unit, &["verify", "--man=no"]).unwrap();
            assert!(!good || !said.is_empty(), "{wrong} is not noticed");
        }
    }
}

/// The table of docs/install.md: `| zonegate-sync | … | 1.2 |`.
#[test]
fn the_exposures_of_the_units_are_those_in_the_documents() {
    let page = read("docs/install.md");
    for (name, unit) in units() {
        let arguments = ["security", "--offline=true", "--no-pager"];
        let Some((_, said)) = systemd_analyze(&name, &unit, &arguments) else { return };
        let Some((_, score)) = said.split_once(&format!("Overall exposure level for {name}: "))
        else {
            println!("skipped: this systemd cannot rate a file: {said}");
            return;
        };
        let score: f64 = score.split_whitespace().next().unwrap().parse().unwrap();
        let short = name.strip_suffix(".service").unwrap();
        let row = page.lines().find(|line| line.starts_with(&format!("| `{short}` |")));
        let row = row.unwrap_or_else(|| panic!("{short} is in no row"));
        let told: f64 =
            row.trim_end_matches('|').rsplit('|').next().unwrap().trim().parse().unwrap();
        // Another version of systemd may check more.
        assert!((score - told).abs() < 0.5, "{name}: {score}, not {told}:\n{said}");
    }
}

/// The words of a unit's command, without the program.
fn words(unit: &str, command: &str) -> Vec<String> {
    let (_, rest) = unit.split_once(command).unwrap_or_else(|| panic!("no {command}"));
    let mut line = String::new();
    for part in rest.lines() {
        line.push_str(part.trim_end_matches('\\'));
        if !part.ends_with('\\') {
            break;
        }
    }
    line.split_whitespace().map(str::to_owned).collect()
}

/// The program gets as far as the first file that does not exist here.
#[test]
fn the_command_line_of_sync_is_ours() {
    let unit = read("deploy/systemd/zonegate-sync.service");
    let settings = read("deploy/packages/sync.env");
    let words = words(&unit, "ExecStart=/usr/bin/zonegate ").into_iter().map(|mut word| {
        for line in settings.lines().filter(|line| !line.starts_with('#')) {
            let (variable, value) = line.split_once('=').unwrap();
            word = word.replace(&format!("${{{variable}}}"), value);
        }
        word.replace("${CREDENTIALS_DIRECTORY}", "/nowhere")
    });
    let words: Vec<String> = words.collect();
    assert!(words.iter().all(|word| !word.contains('$')), "{words:?}");
    let output = Command::new(ZONEGATE).args(words).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    let wanted = "error: could not read /etc/zonegate/tls/kuma-api-ca.pem: ";
    assert!(said.starts_with(wanted), "{said}");
}

/// Without a policy, and with the example policy. `make test-release` also starts Envoy by the unit.
#[test]
fn the_gateway_starts_only_with_a_policy() {
    let unit = read("deploy/systemd/zonegate-gateway.service");
    let words = words(&unit, "ExecStartPre=/usr/bin/zonegate ");
    let folder = TempDir::new().unwrap();
    let policy = folder.path().join("zonegate.yaml");
    let check = |policy: &Path| {
        let words = words
            .iter()
            .map(|word| word.replace("/etc/zonegate/ecds/zonegate.yaml", policy.to_str().unwrap()));
        Command::new(ZONEGATE).args(words).output().unwrap()
    };
    let output = check(&policy);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    fs::write(&policy, read("envoy/ecds/zonegate.yaml")).unwrap();
    let output = check(&policy);
    assert!(output.status.success(), "{output:?}");
}
