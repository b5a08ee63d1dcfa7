//! The deb and the rpm, unpacked into a folder; `make test-release` installs nothing in the system.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::{VERSION, assert_is_the_tool, run, text, the_one};

/// The deb, unpacked as dpkg would do it in an empty system.
pub(crate) fn installed(dir: &TempDir) -> PathBuf {
    let deb = the_one(&format!("zonegate_{VERSION}-"), ".deb");
    let system = dir.path().join("system");
    run("dpkg-deb", &["-x", deb.to_str().unwrap(), system.to_str().unwrap()]);
    system
}

/// Whether `dpkg-deb` is there. Without it the tests of packages are skipped.
pub(crate) fn have_dpkg() -> bool {
    let have = Command::new("dpkg-deb").arg("--version").output().is_ok();
    if !have {
        println!("skipped: no dpkg-deb");
    }
    have
}

/// The target of a path in the package. A link in the package is meant for a whole system.
fn resolved(system: &Path, path: &str) -> PathBuf {
    let place = system.join(path.trim_start_matches('/'));
    match fs::read_link(&place) {
        Ok(target) => system.join(target.to_str().unwrap().trim_start_matches('/')),
        Err(_) => place,
    }
}

#[test]
#[ignore = "of a release: make test-release"]
fn the_installed_tool_runs_and_the_policies_name_what_is_there() {
    if !have_dpkg() {
        return;
    }
    let dir = TempDir::new().unwrap();
    let system = installed(&dir);
    let tool = system.join("usr/bin/zonegate");
    assert_is_the_tool(&tool);
    for policy in ["zonegate.yaml", "zonegate-native.yaml"] {
        let policy = system.join("usr/share/zonegate/ecds").join(policy);
        run(&tool, &["config", "check", policy.to_str().unwrap()]);
        let text = fs::read_to_string(&policy).unwrap();
        let module = text.split("filename: ").nth(1).unwrap().lines().next().unwrap();
        assert!(module.starts_with("/etc/zonegate/"), "{module}");
        assert!(resolved(&system, module).metadata().unwrap().len() > 100_000, "{module}");
    }
    // Only the user puts a policy in force.
    assert!(!system.join("etc/zonegate/ecds").exists());
    assert!(!system.join("etc/zonegate/tls").exists());
    for page in ["zonegate.1.gz", "zonegate-sync.1.gz"] {
        run("gzip", &["-t", system.join("usr/share/man/man1").join(page).to_str().unwrap()]);
    }
}

/// systemd checks the units at their installed paths, with the programs that they name.
#[test]
#[ignore = "of a release: make test-release"]
fn systemd_finds_nothing_wrong_with_the_installed_units() {
    if !have_dpkg() {
        return;
    }
    let dir = TempDir::new().unwrap();
    let system = installed(&dir);
    // A stand-in for the program of Envoy's own package.
    let envoy = system.join("usr/bin/envoy");
    fs::copy(system.join("usr/bin/zonegate"), envoy).unwrap();
    let units = fs::read_dir(system.join("usr/lib/systemd/system")).unwrap();
    let mut seen = 0;
    for unit in units {
        let path = unit.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let here = text.replace("/usr/bin/", &format!("{}/usr/bin/", system.display()));
        let here = here
            .replace("ExecStart=envoy", &format!("ExecStart={}/usr/bin/envoy", system.display()));
        fs::write(&path, here).unwrap();
        let output =
            Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&path).output();
        let Ok(output) = output else {
            println!("skipped: no systemd-analyze");
            return;
        };
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(output.status.success() && said.is_empty(), "{said}");
        seen += 1;
    }
    assert!(seen >= 2, "{seen}");
}

#[test]
#[ignore = "of a release: make test-release"]
fn the_packages_say_what_they_are() {
    if !have_dpkg() {
        return;
    }
    let deb = the_one(&format!("zonegate_{VERSION}-"), ".deb");
    let field = |name| text(run("dpkg-deb", &["-f", deb.to_str().unwrap(), name]));
    assert_eq!(field("Package").trim(), "zonegate");
    assert!(field("Version").starts_with(VERSION));
    assert_eq!(field("Recommends").trim(), "envoy");
    assert_eq!(field("Depends").trim(), "", "the tool is static");
    let conffiles = text(run("dpkg-deb", &["-I", deb.to_str().unwrap(), "conffiles"]));
    let conffiles: BTreeSet<&str> = conffiles.split_whitespace().collect();
    let wanted = [
        "/etc/zonegate/gateway.yaml",
        "/etc/zonegate/sds/control-plane-ca.yaml",
        "/etc/zonegate/sds/gateway-certificate.yaml",
        "/etc/zonegate/sync.env",
    ];
    assert_eq!(conffiles, BTreeSet::from(wanted));
    for script in ["postinst", "prerm"] {
        let script = text(run("dpkg-deb", &["-I", deb.to_str().unwrap(), script]));
        assert!(script.starts_with("#!/bin/sh\n") && script.contains("/run/systemd/system"));
    }
}

/// The rpm has the same files. The test is skipped if rpm is not installed.
#[test]
#[ignore = "of a release: make test-release"]
fn the_rpm_has_the_files_of_the_deb() {
    let rpm = the_one(&format!("zonegate-{VERSION}-"), ".rpm");
    let output = match Command::new("rpm").args(["-qlp"]).arg(&rpm).output() {
        Ok(output) if have_dpkg() => output,
        _ => return println!("skipped: no rpm"),
    };
    assert!(output.status.success(), "{output:?}");
    let listed = text(output.stdout);
    let in_rpm: BTreeSet<&str> = listed.lines().collect();
    let dir = TempDir::new().unwrap();
    let system = installed(&dir);
    let found = text(run("find", &[system.to_str().unwrap(), "-not", "-type", "d"]));
    let in_deb: BTreeSet<&str> =
        found.lines().map(|path| path.strip_prefix(system.to_str().unwrap()).unwrap()).collect();
    let differs: BTreeSet<&&str> = in_rpm.symmetric_difference(&in_deb).collect();
    let is_known =
        |path: &&&str| ["/zsh/", "/licenses/", "/copyright"].iter().any(|part| path.contains(part));
    assert!(differs.iter().all(is_known), "{differs:?}");
    assert!(in_rpm.len() > 40, "{in_rpm:?}");
}
