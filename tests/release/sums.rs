//! Checksums, their signature, and the statement of provenance.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::{commit, dist, json, named, root, run};

/// The checksum of each file.
fn sums() -> BTreeMap<String, String> {
    let text = fs::read_to_string(dist("SHA256SUMS")).unwrap();
    let lines = text.lines().map(|line| line.split_once("  ").unwrap());
    lines.map(|(sum, name)| (name.to_owned(), sum.to_owned())).collect()
}

#[test]
#[ignore = "of a release: make test-release"]
fn the_checksums_are_those_of_everything_in_the_folder() {
    let mut sums = sums();
    for entry in fs::read_dir(named("ZONEGATE_DIST")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.starts_with("SHA256SUMS") {
            continue;
        }
        let said = crate::text(run("sha256sum", &[dist(&name)]));
        let sum = said.split_whitespace().next().unwrap().to_owned();
        assert_eq!(sums.remove(&name), Some(sum), "{name}");
    }
    assert!(sums.is_empty(), "{sums:?}");
}

#[test]
#[ignore = "of a release: make test-release"]
fn the_provenance_names_every_file_and_the_commit() {
    let statement = json(&dist("provenance.json"));
    assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(statement["predicateType"], "https://slsa.dev/provenance/v1");
    let subjects = statement["subject"].as_array().unwrap().iter();
    let subjects: BTreeMap<String, String> = subjects
        .map(|subject| {
            let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
            (text(&subject["name"]), text(&subject["digest"]["sha256"]))
        })
        .collect();
    let mut sums = sums();
    sums.remove("provenance.json").unwrap();
    assert_eq!(subjects, sums);
    let commit = commit();
    let is_known = Command::new("git")
        .args(["cat-file", "-e", &format!("{commit}^{{commit}}")])
        .current_dir(root())
        .status()
        .unwrap();
    assert!(is_known.success(), "{commit}");
    let made_by = &statement["predicate"]["buildDefinition"]["internalParameters"];
    assert!(made_by["rustc"].as_str().unwrap().starts_with("rustc 1."), "{made_by}");
    assert!(statement["predicate"]["runDetails"]["builder"]["id"].is_string());
}

fn is_verified(file: &Path, public: &Path) -> bool {
    let output = Command::new(named("RSIGN"))
        .arg("verify")
        .arg("-p")
        .arg(public)
        .arg("-x")
        .arg(file.with_extension("minisig"))
        .arg(file)
        .output()
        .unwrap();
    output.status.success()
}

/// Signed with the script that signs releases, and with a key of this test.
#[test]
#[ignore = "of a release: make test-release"]
fn a_signature_is_good_for_the_very_checksums() {
    let dir = TempDir::new().unwrap();
    let (public, secret) = (dir.path().join("zonegate.pub"), dir.path().join("zonegate.key"));
    let key = ["generate", "-W", "-p", public.to_str().unwrap(), "-s", secret.to_str().unwrap()];
    run(named("RSIGN"), &key);
    let file = dir.path().join("SHA256SUMS");
    let sums = fs::read_to_string(dist("SHA256SUMS")).unwrap();
    fs::write(&file, &sums).unwrap();
    let signed = Command::new(root().join("scripts/release-sign"))
        .arg(&file)
        .env("SIGN_KEY", &secret)
        .env("SIGN_PASSWORD", "none")
        .status()
        .unwrap();
    assert!(signed.success());
    assert!(is_verified(&file, &public));
    fs::write(&file, sums.replacen('0', "1", 1)).unwrap();
    assert!(!is_verified(&file, &public));
}
