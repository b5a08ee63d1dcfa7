//! The sources of the deb and the rpm exist, and the packages have every file of a release.

use std::fs;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::{name, read, root};

fn contents() -> Vec<Value> {
    let config: Value = serde_saphyr::from_str(&read("deploy/packages/nfpm.yaml")).unwrap();
    config["contents"].as_array().unwrap().clone()
}

#[test]
fn what_is_packed_is_there() {
    for entry in contents() {
        let source = entry["src"].as_str().unwrap();
        // ${ROOT} has the built files of a release. Copied files are at the path that they come from.
        let copied = source.strip_prefix("${ROOT}/").unwrap_or(source);
        let built =
            ["zonegate", "zonegate.wasm", "libzonegate.so", "packed/", "completions/", "/usr/"];
        if built.iter().any(|built| {
            copied == *built
                || copied.starts_with("packed/")
                || copied.starts_with("completions/")
                || copied.starts_with("/usr/")
        }) {
            continue;
        }
        let folder = copied.split('*').next().unwrap();
        assert!(root().join(folder).exists(), "{source}");
    }
}

/// Except the user's own files: policies and certificates.
#[test]
fn what_the_gateway_file_names_is_installed() {
    let placed = contents();
    let is_placed = |path: &str| {
        placed.iter().any(|entry| {
            let to = entry["dst"].as_str().unwrap();
            to == path || (to.ends_with('/') && path.starts_with(to))
        })
    };
    let text = read("envoy/gateway.yaml");
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let mut seen = 0;
    for line in lines.filter(|line| line.contains("/etc/zonegate/")) {
        let path = line.split_whitespace().find(|word| word.starts_with("/etc/zonegate/")).unwrap();
        seen += 1;
        if !path.starts_with("/etc/zonegate/ecds") && !path.starts_with("/etc/zonegate/tls/") {
            assert!(is_placed(path), "{path}");
        }
    }
    assert!(seen > 3, "{seen}");
}

/// Only a file that someone has set may be in force: the key in the shipped policies is that of the tests.
#[test]
fn no_policy_is_in_force_after_an_installation() {
    for entry in contents() {
        let to = entry["dst"].as_str().unwrap();
        assert!(!to.starts_with("/etc/zonegate/ecds"), "{to}");
        if to.starts_with("/etc/") && entry["type"] != "symlink" {
            assert_eq!(entry["type"], "config|noreplace", "{to}");
        }
    }
}

/// systemd's own program makes the users, in a folder in place of the system.
#[test]
fn the_users_are_made() {
    let system = TempDir::new().unwrap();
    let folder = system.path().join("usr/lib/sysusers.d");
    fs::create_dir_all(&folder).unwrap();
    fs::create_dir(system.path().join("etc")).unwrap();
    fs::write(folder.join("zonegate.conf"), read("deploy/packages/sysusers.conf")).unwrap();
    let root = format!("--root={}", system.path().display());
    let output = match Command::new("systemd-sysusers").args([&root, "zonegate.conf"]).output() {
        Ok(output) => output,
        Err(error) => return println!("skipped: systemd-sysusers: {error}"),
    };
    assert!(output.status.success(), "{output:?}");
    let users = fs::read_to_string(system.path().join("etc/passwd")).unwrap();
    for user in ["zonegate", "zonegate-gateway", "zonegate-serve"] {
        let line = users.lines().find(|line| line.starts_with(&format!("{user}:"))).unwrap();
        assert!(line.ends_with("nologin"), "{line}");
    }
}

/// The package has each program, each user and each folder of the units.
#[test]
fn the_units_have_what_they_need() {
    let (users, folders) =
        (read("deploy/packages/sysusers.conf"), read("deploy/packages/tmpfiles.conf"));
    let placed: Vec<String> =
        contents().iter().map(|entry| entry["dst"].as_str().unwrap().to_owned()).collect();
    let mut seen = 0;
    for entry in fs::read_dir(root().join("deploy/systemd")).unwrap() {
        let path = entry.unwrap().path();
        let unit = fs::read_to_string(&path).unwrap();
        for line in unit.lines() {
            if let Some(user) = line.strip_prefix("User=") {
                assert!(users.contains(&format!("\nu {user} ")), "{}: {user}", name(&path));
                seen += 1;
            }
            if let Some(folder) = line.strip_prefix("ReadWritePaths=") {
                assert!(folders.contains(&format!("\nd {folder} ")), "{}: {folder}", name(&path));
                seen += 1;
            }
            if let Some(file) = line.strip_prefix("EnvironmentFile=") {
                assert!(placed.iter().any(|to| to == file), "{}: {file}", name(&path));
                seen += 1;
            }
        }
    }
    assert!(seen >= 4, "{seen}");
}
