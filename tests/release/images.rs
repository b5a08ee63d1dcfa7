//! The images, pushed to a registry on this machine by the push script, and pulled by a program that did not write
//! them.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use zonegate_testkit::process::{Log, Process};

use crate::archive::unpacked;
use crate::{VERSION, assert_is_the_tool, commit, dist, json, named, root, run, text, the_one};

const LIMIT: Duration = Duration::from_secs(20);

/// Digest, tag and archive of each image.
fn images(folder: &Path) -> Vec<[String; 3]> {
    let text = fs::read_to_string(folder.join("oci-digests.txt")).unwrap();
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    text.lines().map(|line| words(line).try_into().unwrap()).collect()
}

/// A registry, and the address of a repository in it.
async fn registry(dir: &TempDir) -> (Process, String) {
    let mut command = tokio::process::Command::new(named("CRANE"));
    command.args(["registry", "serve", "--address", "127.0.0.1:0"]);
    let log = dir.path().join("registry.log");
    let registry = Process::start(command, Log::File, log).unwrap();
    registry.wait_log("serving on port ", LIMIT).await.unwrap();
    let log = registry.log().unwrap();
    let port = log.split("serving on port ").nth(1).unwrap().split_whitespace().next().unwrap();
    (registry, format!("127.0.0.1:{port}/zonegate"))
}

fn crane(arguments: &[&str]) -> Vec<u8> {
    run(named("CRANE"), &[&["--insecure"], arguments].concat())
}

#[tokio::test]
#[ignore = "of a release: make test-release"]
async fn what_is_pushed_is_pulled_by_its_digest() {
    let dir = TempDir::new().unwrap();
    let (mut registry, repository) = registry(&dir).await;
    let pushed = Command::new(root().join("scripts/release-push"))
        .arg(&repository)
        .env("DIST", named("ZONEGATE_DIST"))
        .env("PLAIN_HTTP", "1")
        .output()
        .unwrap();
    assert!(pushed.status.success(), "{pushed:?}");
    let pinned = text(pushed.stdout);
    let images = images(&named("ZONEGATE_DIST"));
    assert_eq!(images.len(), 4);
    for [digest, tag, _] in &images {
        assert!(pinned.contains(&format!("{repository}@{digest}")), "{pinned}");
        let said = text(crane(&["digest", &format!("{repository}:{tag}")]));
        assert_eq!(said.trim(), digest, "{tag}");
    }
    let by_digest = |index: usize| format!("{repository}@{}", images[index][0]);
    assert_is_the_module_image(&dir, &by_digest(0));
    assert_is_the_module_artefact(&repository, &by_digest(1));
    let tool = file_of(&dir, &by_digest(2), "usr/bin/zonegate");
    let program = dir.path().join("tool");
    fs::write(&program, tool).unwrap();
    run("chmod", &["+x", program.to_str().unwrap()]);
    assert_is_the_tool(&program);
    let library = file_of(&dir, &by_digest(3), "libzonegate.so");
    assert!(library == fs::read(the_one("libzonegate-linux-", ".so")).unwrap());
    registry.stop().await;
}

/// A file of an image, as a user of the image sees it.
fn file_of(dir: &TempDir, image: &str, file: &str) -> Vec<u8> {
    let archive = dir.path().join("image.tar");
    crane(&["export", image, archive.to_str().unwrap()]);
    run("tar", &["-xOf", archive.to_str().unwrap(), file])
}

/// The form for Istio and Envoy Gateway: one layer of OCI's type, with `plugin.wasm` in its root.
fn assert_is_the_module_image(dir: &TempDir, image: &str) {
    assert!(file_of(dir, image, "plugin.wasm") == fs::read(dist("zonegate.wasm")).unwrap());
    let manifest: Value = serde_json::from_slice(&crane(&["manifest", image])).unwrap();
    assert_eq!(manifest["mediaType"], "application/vnd.oci.image.manifest.v1+json");
    assert_eq!(manifest["config"]["mediaType"], "application/vnd.oci.image.config.v1+json");
    let layers = manifest["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 1);
    assert_eq!(layers[0]["mediaType"], "application/vnd.oci.image.layer.v1.tar+gzip");
    let annotations = &manifest["annotations"];
    assert_eq!(annotations["module.wasm.image/variant"], "compat");
    assert_eq!(annotations["org.opencontainers.image.version"], VERSION);
    assert_eq!(annotations["org.opencontainers.image.revision"], commit());
}

/// The CNCF's form: the module itself is the layer.
fn assert_is_the_module_artefact(repository: &str, artefact: &str) {
    let manifest: Value = serde_json::from_slice(&crane(&["manifest", artefact])).unwrap();
    assert_eq!(manifest["config"]["mediaType"], "application/vnd.wasm.config.v0+json");
    let layer = &manifest["layers"][0];
    assert_eq!(layer["mediaType"], "application/wasm");
    let digest = layer["digest"].as_str().unwrap();
    let module = crane(&["blob", &format!("{repository}@{digest}")]);
    assert!(module == fs::read(dist("zonegate.wasm")).unwrap());
    let config = manifest["config"]["digest"].as_str().unwrap();
    let config = crane(&["blob", &format!("{repository}@{config}")]);
    let config: Value = serde_json::from_slice(&config).unwrap();
    assert_eq!(config["architecture"], "wasm");
    assert_eq!(config["layerDigests"][0], digest);
}

/// Images written again from the same files have the same digests, so a digest can be pinned.
#[test]
#[ignore = "of a release: make test-release"]
fn images_that_are_written_again_have_the_same_digests() {
    let dir = TempDir::new().unwrap();
    let files = unpacked(&dir);
    let again = dir.path().join("again");
    fs::create_dir(&again).unwrap();
    let provenance = json(&dist("provenance.json"));
    let epoch =
        &provenance["predicate"]["buildDefinition"]["internalParameters"]["SOURCE_DATE_EPOCH"];
    let before = images(&named("ZONEGATE_DIST"));
    let machine = before[2][1].rsplit('-').next().unwrap().to_owned();
    let written = Command::new(root().join("scripts/release-images"))
        .arg(&again)
        .env("ROOT", &files)
        .env("VERSION", VERSION)
        .env("ARCH", machine)
        .env("COMMIT", commit())
        .env("SOURCE_DATE_EPOCH", epoch.as_str().unwrap())
        .status()
        .unwrap();
    assert!(written.success());
    assert_eq!(images(&again), before);
    for [_, _, archive] in &before {
        assert!(fs::read(again.join(archive)).unwrap() == fs::read(dist(archive)).unwrap());
    }
}
