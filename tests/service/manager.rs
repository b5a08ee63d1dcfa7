//! Beside a service manager: readiness, signals, the shipped unit.

use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use crate::world::{World, wait_stat};

const UNIT: &str = include_str!("../../deploy/systemd/zonegate-serve.service");

/// What is told next.
fn told(socket: &UnixDatagram) -> String {
    let mut bytes = [0; 512];
    let length = socket.recv(&mut bytes).expect("nothing is told in time");
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}

#[tokio::test]
async fn a_service_manager_is_told_once_there_is_a_policy() {
    let mut world = World::new();
    let path = world.folder().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let place = path.to_str().unwrap().to_owned();
    world.options.environment.push(("NOTIFY_SOCKET".to_owned(), place));
    let service = world.serve_whatever(&world.file()).await;
    wait_stat(&service, "zonegate.config.rejected", 1).await;
    assert_eq!(told(&socket), "STATUS=no policy yet: everything is refused");
    socket.set_nonblocking(true).unwrap();
    assert!(socket.recv(&mut [0; 8]).is_err(), "it is ready without a policy");
    socket.set_nonblocking(false).unwrap();
    world.write(&world.options.policy);
    assert_eq!(told(&socket), "READY=1\nSTATUS=a policy is in force");
    service.stop().await;
    assert_eq!(told(&socket), "STOPPING=1");
}

/// Tokens are not for others on the way.
#[test]
fn another_address_than_loopback_needs_a_certificate_or_a_word() {
    let output = Command::new(env!("CARGO_BIN_EXE_zonegate"))
        .args(["serve", "--config", "policy.yaml", "--listen", "0.0.0.0:0"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("--insecure-http"), "{error}");
}

/// What systemd's own tool says of `unit`; `None` where it is not installed.
fn systemd_analyze(unit: &str, arguments: &[&str]) -> Option<(bool, String)> {
    let dir = tempfile::TempDir::new().unwrap();
    let path = dir.path().join("zonegate-serve.service");
    // systemd.syntax(7): a word with a space stands in quotes.
    let program = format!("\"{}\"", env!("CARGO_BIN_EXE_zonegate"));
    std::fs::write(&path, unit.replace("/usr/local/bin/zonegate", &program)).unwrap();
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
    assert_eq!(UNIT.matches("ExecStart=/usr/local/bin/zonegate serve --config ").count(), 1);
    let Some((good, said)) = systemd_analyze(UNIT, &["verify"]) else { return };
    assert!(good && said.is_empty(), "{said}");
    let wrong = UNIT.replace("Type=notify", "Type=notifies");
    let (good, said) = systemd_analyze(&wrong, &["verify"]).unwrap();
    assert!(!good || !said.is_empty(), "a wrong type is not noticed");
}

/// As that of sync, or less.
#[test]
fn the_unit_can_reach_little() {
    let arguments = ["security", "--offline=true", "--no-pager"];
    let Some((_, said)) = systemd_analyze(UNIT, &arguments) else { return };
    let Some((_, score)) = said.split_once("Overall exposure level for zonegate-serve.service: ")
    else {
        println!("skipped: this systemd cannot rate a file: {said}");
        return;
    };
    let score: f64 = score.split_whitespace().next().unwrap().parse().unwrap();
    println!("exposure {score}");
    assert!(score < 1.8, "{score}:\n{said}");
}
