//! The documents agree with the code: links resolve, named tests and files exist, tables have every reason, setting and
//! metric, and commands work as written.
//!
//! Blocks of commands are in `commands.rs`. The examples with output on the page of the tool have their own test
//! (`tests/cli.rs`), and so have the walk-throughs (`tests/envoy/examples.rs`).
#![allow(clippy::string_slice)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a test may panic
#![allow(clippy::arithmetic_side_effects)]

mod blocks;
mod commands;
mod install;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;
use zonegate::config::Config;
use zonegate::gate::Reason;
use zonegate::lifecycle::Cut;
use zonegate::metrics::{Counter, Gauge, Labels};

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The files below a folder whose names have this end.
fn files(folder: &str, end: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root().join(folder)).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let inside = format!("{folder}/{name}");
        match path.is_dir() {
            true => found.extend(files(&inside, end)),
            false if name.ends_with(end) => found.push(PathBuf::from(inside)),
            false => {}
        }
    }
    found
}

fn documents() -> Vec<PathBuf> {
    let own = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"].map(PathBuf::from);
    own.into_iter().chain(files("docs", ".md")).chain(files("examples", ".md")).collect()
}

/// The texts between single backticks, outside blocks of commands.
fn quoted(text: &str) -> Vec<&str> {
    let prose = text.split("```").step_by(2);
    prose.flat_map(|part| part.split('`').skip(1).step_by(2)).collect()
}

/// The anchor of a heading in a link.
fn anchor(heading: &str) -> String {
    let kept =
        heading.trim().chars().filter(|rune| rune.is_alphanumeric() || " -_".contains(*rune));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

/// The commands in the first block after a line.
fn commands_after(document: &str, line: &str) -> String {
    let text = read(document);
    let (_, after) = text.split_once(line).unwrap_or_else(|| panic!("{document} has no {line:?}"));
    let block = after.split("```\n").nth(1).unwrap();
    // A block in a list is indented.
    block.lines().map(|line| format!("{}\n", line.trim_start())).collect()
}

/// A shell with the tool on PATH.
fn shell(folder: &Path, commands: &str) -> Output {
    let tool = Path::new(env!("CARGO_BIN_EXE_zonegate")).parent().unwrap();
    let path = std::env::var_os("PATH").unwrap();
    let path = [tool.to_owned()].into_iter().chain(std::env::split_paths(&path));
    let mut shell = Command::new("sh");
    shell.args(["-euc", commands]).env("PATH", std::env::join_paths(path).unwrap());
    shell.current_dir(folder).output().unwrap()
}

#[test]
fn links_lead_somewhere() {
    for document in documents() {
        let text = read(document.to_str().unwrap());
        let links = text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap());
        for link in links.filter(|link| !link.contains("://")) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let folder = document.parent().unwrap();
            let target = if file.is_empty() { document.clone() } else { folder.join(file) };
            assert!(root().join(&target).exists(), "{}: {link}", document.display());
            if !heading.is_empty() {
                let text = fs::read_to_string(root().join(&target)).unwrap();
                let headings = text.lines().filter_map(|line| line.strip_prefix('#'));
                let mut headings = headings.map(|line| anchor(line.trim_start_matches('#')));
                assert!(headings.any(|one| one == heading), "{}: {link}", document.display());
            }
        }
    }
}

/// A name of four words or more is the name of a test, unless it is Envoy's or Prometheus's.
#[test]
fn tests_that_are_named_exist() {
    let code = ["src", "tests", "tool/src", "filters"].into_iter();
    let code = code.flat_map(|folder| files(folder, ".rs"));
    let code: String = code.map(|file| read(file.to_str().unwrap())).collect();
    let envoys = read("envoy/gateway.yaml") + &read("envoy/ecds/zonegate.yaml");
    let mut named = 0;
    for document in documents() {
        let text = read(document.to_str().unwrap());
        for name in quoted(&text) {
            let is_word = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            let is_other = ["zonegate_", "envoy_"].iter().any(|start| name.starts_with(start));
            if !is_word || is_other || name.matches('_').count() < 3 || envoys.contains(name) {
                continue;
            }
            assert!(code.contains(&format!("fn {name}(")), "{}: {name}", document.display());
            named += 1;
        }
    }
    assert!(named > 20, "{named}");
}

#[test]
fn the_page_on_the_architecture_names_what_there_is() {
    let page = read("docs/architecture.md");
    let named: BTreeSet<&str> = quoted(&page).into_iter().collect();
    for name in &named {
        let is_file = [".rs", ".md", ".yaml", ".json"].iter().any(|end| name.ends_with(end));
        let is_path = name.ends_with('/') || (is_file && name.contains('/'));
        assert!(!is_path || root().join(name).exists(), "{name}");
    }
    for entry in fs::read_dir(root().join("src")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let wanted = if path.is_dir() { format!("src/{name}/") } else { format!("src/{name}") };
        assert!(named.contains(wanted.as_str()), "{wanted} is not on the page");
    }
    let members: String = read("Cargo.toml").lines().take(3).collect();
    for member in ["filters/wasm", "fuzz", "issuer", "page", "service", "testkit", "tool"] {
        assert!(members.contains(member) && named.contains(format!("{member}/").as_str()));
    }
}

#[test]
fn every_reason_stands_in_the_page_on_checks_with_its_statuses() {
    let page = read("docs/checks.md");
    for reason in Reason::ALL {
        let status = reason.status();
        let is_row = |line: &&str| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            cells.get(1).is_some_and(|cell| quoted(cell).contains(&reason.as_str()))
                && cells.get(2) == Some(&status.grpc.to_string().as_str())
                && cells.get(3) == Some(&status.http.to_string().as_str())
        };
        assert_eq!(page.lines().filter(is_row).count(), 1, "{reason} {status:?}");
    }
}

#[test]
fn every_setting_stands_in_the_page_on_configuration() {
    let schema: Value =
        serde_json::from_str(&read("tool/src/plugin_config/plugin.schema.json")).unwrap();
    let page = read("docs/configure.md");
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let rows: BTreeSet<&str> =
        rows.flat_map(|row| quoted(row.split('|').nth(1).unwrap())).collect();
    let mut seen = 0;
    for (name, setting) in schema["properties"].as_object().unwrap() {
        let below = setting["properties"].as_object().into_iter().flatten();
        let below: Vec<String> = below.map(|(member, _)| format!("{name}.{member}")).collect();
        let names = if below.is_empty() { vec![name.clone()] } else { below };
        for name in names {
            let short = format!(".{}", name.rsplit('.').next().unwrap());
            assert!(rows.contains(name.as_str()) || rows.contains(short.as_str()), "{name}");
            seen += 1;
        }
    }
    assert!(seen > 15, "{seen}");
}

#[test]
fn every_metric_is_explained() {
    let page = read("docs/observe.md");
    let labels = Labels { zones: BTreeSet::from(["ZONE".into()]), ..Labels::default() };
    for gauge in Gauge::all(&labels) {
        let name = gauge.name().replace("ZONE", "<zone>");
        assert!(page.contains(&format!("`{name}`")), "{name}");
    }
    for why in Cut::ALL {
        assert!(page.contains(&format!("`{why}`")), "{why}");
    }
    let named = |counter: &Counter| !matches!(counter, Counter::Denied(..) | Counter::Cut(_));
    for counter in Counter::all(&labels).iter().filter(|counter| named(counter)) {
        let name = counter.name().replace("ZONE", "<zone>");
        assert!(page.contains(&format!("`{name}`")), "{name}");
    }
}

/// Starts the service on another port, because its own may be taken.
#[test]
fn the_page_of_the_service_is_fetched_without_a_browser() {
    let dir = TempDir::new().unwrap();
    let (policy, log) = (dir.path().join("policy.yaml"), dir.path().join("log"));
    fs::copy(root().join("docs/tool.in/policy.yaml"), &policy).unwrap();
    let mut service = Command::new(env!("CARGO_BIN_EXE_zonegate"));
    service.arg("serve").arg("--config").arg(&policy).args(["--listen", "127.0.0.1:0"]);
    let mut service = service.stderr(fs::File::create(&log).unwrap()).spawn().unwrap();
    let port = loop {
        let log = fs::read_to_string(&log).unwrap();
        assert_eq!(service.try_wait().unwrap(), None, "{log}");
        let listen = log.split("listen=127.0.0.1:").nth(1);
        if let Some(listen) = listen.filter(|_| log.contains("configured version=")) {
            break listen.split_whitespace().next().unwrap().to_owned();
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    let command = commands_after("docs/service.md", "Without a browser:").replace("9912", &port);
    let output = shell(dir.path(), &command);
    service.kill().unwrap();
    service.wait().unwrap();
    let page = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && page.contains("<h2>Policy in force</h2>"), "{output:?}");
}

/// Each alert links to its own section, and each section belongs to an alert.
#[test]
fn every_alert_says_where_it_is_written_what_to_do() {
    let rules: Value = serde_saphyr::from_str(&read("examples/prometheus/alerts.yaml")).unwrap();
    let groups = rules["groups"].as_array().unwrap().iter();
    let rules = groups.flat_map(|group| group["rules"].as_array().unwrap());
    let alerts: Vec<&Value> = rules.filter(|rule| rule.get("alert").is_some()).collect();
    let page = read("docs/alerts.md");
    let sections: BTreeSet<&str> =
        page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let names = alerts.iter().map(|alert| alert["alert"].as_str().unwrap());
    assert_eq!(names.collect::<BTreeSet<_>>(), sections);
    for alert in alerts {
        let leads_to = format!("docs/alerts.md#{}", anchor(alert["alert"].as_str().unwrap()));
        assert_eq!(alert["annotations"]["runbook"], *leads_to, "{alert:#}");
    }
}

/// Each reason and each alert has a row of its own.
#[test]
fn every_reason_and_every_alert_stands_in_the_page_on_troubles() {
    let page = read("docs/troubleshoot.md");
    let section = |heading: &str| {
        let (_, after) = page.split_once(heading).unwrap();
        let (table, _) = after.split_once("\n## ").unwrap();
        let rows = table.lines().filter(|line| line.starts_with("| `"));
        rows.flat_map(|row| quoted(row.split('|').nth(1).unwrap())).collect::<BTreeSet<_>>()
    };
    let reasons: BTreeSet<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
    assert_eq!(section("\n## By reason\n"), reasons);
    let alerts = read("examples/prometheus/alerts.yaml");
    let alerts: BTreeSet<&str> =
        alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() > 9, "{alerts:?}");
    assert_eq!(section("\n## By alert\n"), alerts);
}
