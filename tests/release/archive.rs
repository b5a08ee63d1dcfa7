//! The archive has all files, and its tool runs.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::{VERSION, assert_is_the_tool, dist, root, run, text, the_one};

/// Unpacks the archive. Returns the folder in it.
pub(crate) fn unpacked(dir: &TempDir) -> PathBuf {
    let archive = the_one(&format!("zonegate-{VERSION}-linux-"), ".tar.gz");
    run("tar", &["-xzf", archive.to_str().unwrap(), "-C", dir.path().to_str().unwrap()]);
    let name = archive.file_name().unwrap().to_str().unwrap();
    dir.path().join(name.strip_suffix(".tar.gz").unwrap())
}

#[test]
#[ignore = "of a release: make test-release"]
fn the_archive_has_everything_and_the_tool_in_it_runs() {
    let dir = TempDir::new().unwrap();
    let folder = unpacked(&dir);
    for file in [
        "CHANGELOG.md",
        "LICENSE",
        "README.md",
        "docs/install.md",
        "envoy/gateway.yaml",
        "envoy/ecds/zonegate.yaml",
        "envoy/ecds/zonegate-native.yaml",
        "envoy/sds/gateway-certificate.yaml",
        "envoy/sds/control-plane-ca.yaml",
        "deploy/systemd/zonegate-gateway.service",
        "deploy/images/tool.Dockerfile",
        "man/zonegate-sync.1",
        "completions/_zonegate",
    ] {
        assert!(folder.join(file).metadata().unwrap().len() > 0, "{file}");
    }
    let same = |name: &str, other: PathBuf| {
        assert!(fs::read(folder.join(name)).unwrap() == fs::read(other).unwrap(), "{name}");
    };
    same("zonegate.wasm", dist("zonegate.wasm"));
    same("libzonegate.so", the_one("libzonegate-linux-", ".so"));
    same("zonegate", the_one("zonegate-linux-", ""));
    assert_is_the_tool(&folder.join("zonegate"));
    assert!(!folder.join("packed").exists());
}

#[test]
#[ignore = "of a release: make test-release"]
fn the_tool_needs_nothing_of_the_machine() {
    let tool = the_one("zonegate-linux-", "");
    let needed = text(run("readelf", &["--dynamic", "--wide", tool.to_str().unwrap()]));
    assert!(!needed.contains("(NEEDED)"), "{needed}");
    let program = text(run("readelf", &["--program-headers", tool.to_str().unwrap()]));
    assert!(!program.contains("INTERP"), "{program}");
}

/// The archive has the files that its image recipes copy.
#[test]
#[ignore = "of a release: make test-release"]
fn the_recipes_find_what_they_copy() {
    let dir = TempDir::new().unwrap();
    let folder = unpacked(&dir);
    let mut seen = 0;
    for entry in fs::read_dir(folder.join("deploy/images")).unwrap() {
        let recipe = fs::read_to_string(entry.unwrap().path()).unwrap();
        for line in recipe.lines().filter_map(|line| line.strip_prefix("COPY ")) {
            let words: Vec<&str> = line.split_whitespace().collect();
            for source in &words[1..words.len() - 1] {
                assert!(folder.join(source).exists(), "{line}");
                seen += 1;
            }
        }
    }
    assert!(seen > 3, "{seen}");
}

#[test]
#[ignore = "of a release: make test-release"]
fn the_completions_and_the_manual_are_read_by_their_programs() {
    let dir = TempDir::new().unwrap();
    let folder = unpacked(&dir);
    run("bash", &["-n", folder.join("completions/zonegate.bash").to_str().unwrap()]);
    let page = folder.join("man/zonegate.1");
    match Command::new("groff").args(["-ww", "-man", "-Tutf8"]).arg(&page).output() {
        Ok(output) => assert!(output.status.success() && output.stderr.is_empty(), "{output:?}"),
        Err(error) => println!("skipped: groff: {error}"),
    }
}

/// The commands of the page, in a folder in place of the system.
#[test]
#[ignore = "of a release: make test-release"]
fn the_commands_of_the_page_install_the_archive() {
    let dir = TempDir::new().unwrap();
    let page = fs::read_to_string(root().join("docs/install.md")).unwrap();
    let (_, section) = page.split_once("\n## Archive\n").unwrap();
    let system = dir.path().join("system");
    fs::create_dir_all(system.join("bin")).unwrap();
    let place = |path: &str| system.join(path).to_str().unwrap().to_owned();
    let commands = section.split("```\n").nth(1).unwrap().replace("sudo ", "");
    let commands = commands.replace("/etc/zonegate", &place("etc"));
    let commands = commands.replace("/usr/local/bin", &place("bin"));
    let archive = the_one(&format!("zonegate-{VERSION}-linux-"), ".tar.gz");
    fs::copy(&archive, dir.path().join(archive.file_name().unwrap())).unwrap();
    let output =
        Command::new("sh").args(["-euc", &commands]).current_dir(dir.path()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_is_the_tool(&system.join("bin/zonegate"));
    for file in ["zonegate.wasm", "libzonegate.so", "gateway.yaml", "ecds/zonegate.yaml"] {
        assert!(system.join("etc").join(file).exists(), "{file}");
    }
    // Every file that gateway.yaml names exists, except certificates.
    let gateway = fs::read_to_string(system.join("etc/gateway.yaml")).unwrap();
    for named in gateway.split("/etc/zonegate/").skip(1) {
        let path = named.split([' ', ',', '\n', '}']).next().unwrap();
        assert!(path.starts_with("tls/") || system.join("etc").join(path).exists(), "{path}");
    }
}
