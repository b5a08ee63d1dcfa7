//! The unit for systemd: systemd's own tool reads it, and its command line is one of ours.

use std::fs;
use std::process::Command;

use tempfile::TempDir;

use crate::tool::ZONEGATE;

const UNIT: &str = include_str!("../../examples/sync-universal/zonegate-sync.service");
const README: &str = include_str!("../../examples/sync-universal/README.md");

/// What the tool says of `unit` and how it ends; `None` where it is not installed.
fn systemd_analyze(unit: &str, arguments: &[&str]) -> Option<(bool, String)> {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("zonegate-sync.service");
    // systemd.syntax(7): a word with a space stands in quotes.
    let program = format!("\"{ZONEGATE}\"");
    fs::write(&path, unit.replace("/usr/local/bin/zonegate", &program)).unwrap();
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

#[test]
fn systemd_finds_nothing_wrong_with_the_unit() {
    let Some((good, said)) = systemd_analyze(UNIT, &["verify"]) else { return };
    assert!(good && said.is_empty(), "{said}");
    for (right, wrong) in [
        ("NoNewPrivileges=yes", "NoNewPrivilegs=yes"),
        ("SystemCallFilter=@system-service", "SystemCallFilter=@system-services"),
        ("ExecStart=", "ExecStart=relative "),
    ] {
        assert!(UNIT.contains(right), "{right}");
        let (good, said) = systemd_analyze(&UNIT.replace(right, wrong), &["verify"]).unwrap();
        assert!(!good || !said.is_empty(), "{wrong} is not noticed");
    }
}

#[test]
fn its_exposure_is_what_the_readme_says() {
    let arguments = ["security", "--offline=true", "--no-pager"];
    let Some((_, said)) = systemd_analyze(UNIT, &arguments) else { return };
    let Some((_, score)) = said.split_once("Overall exposure level for zonegate-sync.service: ")
    else {
        println!("skipped: this systemd cannot rate a file: {said}");
        return;
    };
    let score: f64 = score.split_whitespace().next().unwrap().parse().unwrap();
    let (_, told) = README.split_once("rates its exposure ").unwrap();
    let told: f64 = told.split_whitespace().next().unwrap().parse().unwrap();
    // Another version of systemd may look at more.
    assert!((score - told).abs() < 0.5, "{score}, not {told}:\n{said}");
}

/// It gets as far as the first file that is not here.
#[test]
fn its_command_line_is_ours() {
    let (_, command) = UNIT.split_once("ExecStart=/usr/local/bin/zonegate ").unwrap();
    let (command, _) = command.split_once("\nExecReload").unwrap();
    let words = command.replace("\\\n", " ").replace("${CREDENTIALS_DIRECTORY}", "/nowhere");
    let output = Command::new(ZONEGATE).args(words.split_whitespace()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    let wanted = "error: could not read /etc/zonegate/tls/kuma-api-ca.pem: ";
    assert!(said.starts_with(wanted), "{said}");
}
