//! Under a service manager: readiness and signals. `tests/distribution` checks the shipped unit.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::world::{World, wait_stat};

/// The next notification.
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

/// Tokens must not be sent over a network in the clear.
#[test]
fn another_address_than_loopback_needs_a_certificate_or_a_flag() {
    let output = Command::new(env!("CARGO_BIN_EXE_zonegate"))
        .args(["serve", "--config", "policy.yaml", "--listen", "0.0.0.0:0"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("--insecure-http"), "{error}");
}

/// The commands of `docs/service.md`, in another folder and with another port.
#[test]
fn the_service_starts_as_the_page_says() {
    let world = World::new();
    let folder = world.folder();
    fs::create_dir(folder.join("ecds")).unwrap();
    let policy = world.options.policy.to_string();
    fs::write(folder.join("ecds/zonegate.yaml"), &policy).unwrap();
    fs::write(folder.join("zonegate.yaml"), &policy).unwrap();
    let certificate = &world.certificates.gateway;
    fs::copy(&certificate.certificate_path, folder.join("serve.pem")).unwrap();
    fs::copy(&certificate.key_path, folder.join("serve.key")).unwrap();
    fs::copy(&world.certificates.ca_path, folder.join("clients.pem")).unwrap();
    let page = include_str!("../../docs/service.md");
    let commands = page.split("```sh\nzonegate serve ").skip(1);
    let commands: Vec<&str> = commands.map(|it| it.split("```").next().unwrap().trim()).collect();
    assert_eq!(commands.len(), 2);
    for command in commands {
        let here = command
            .replace("/etc/zonegate", folder.to_str().unwrap())
            .replace(" --listen 0.0.0.0:9912", "");
        let zonegate = env!("CARGO_BIN_EXE_zonegate");
        let mut shell = Command::new("sh");
        let here = format!("exec '{zonegate}' serve {here} --listen 127.0.0.1:0");
        shell.args(["-euc", &here]).current_dir(folder).stderr(Stdio::piped());
        let mut child = shell.spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let mut said = Vec::new();
        let has_policy = lines
            .inspect(|line| said.push(line.clone()))
            .any(|line| line.contains("configured version="));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(has_policy, "{command}: {said:?}");
        assert!(said.iter().any(|line| line.contains("started version=")), "{said:?}");
    }
}
