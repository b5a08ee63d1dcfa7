//! A real nginx with the shipped configuration. It is the one that `NGINX` names, or else one on PATH; without it the
//! test is skipped.

use std::ffi::OsString;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::time::Instant;

use serde_json::json;
use tokio::net::TcpStream;
use tokio::time::{Duration, sleep};
use tonic::{Code, Status};
use zonegate_testkit::control_plane::{self, ControlPlane};
use zonegate_testkit::process::{Log, Process};
use zonegate_testkit::raw_client::{End, RawConnection, RawRequest};
use zonegate_testkit::zone_proxy::{Claimed, Connection};

use crate::world::{LIMIT, Sotw, World, policy, wait_stat};

const SHIPPED: &str = include_str!("../../deploy/nginx/zonegate.conf");

struct Nginx {
    process: Process,
    address: SocketAddr,
}

impl Nginx {
    /// `None` if there is no nginx.
    async fn start(world: &World, service: SocketAddr, control_plane: SocketAddr) -> Option<Self> {
        let program = std::env::var_os("NGINX").unwrap_or_else(|| OsString::from("nginx"));
        if Command::new(&program).arg("-v").output().is_err() {
            println!("left out: no nginx on PATH");
            return None;
        }
        let folder = world.folder().join("nginx");
        fs::create_dir(&folder).unwrap();
        // nginx cannot listen on a port that the system chooses.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let text = |path: &std::path::Path| path.to_str().unwrap().to_owned();
        let server = SHIPPED
            .replace("127.0.0.1:9912", &service.to_string())
            .replace("listen 5678", &format!("listen {address}"))
            .replace("kuma-control-plane:5678", &control_plane.to_string())
            .replace("_ssl_name kuma-control-plane", "_ssl_name localhost")
            .replace("/etc/zonegate/tls/gateway.pem", &text(&world.options.certificate))
            .replace("/etc/zonegate/tls/gateway.key", &text(&world.options.key))
            .replace("/etc/zonegate/tls/control-plane-ca.pem", &text(&world.certificates.ca_path));
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let temporary =
            temporary.map(|name| format!("{name}_temp_path {}/{name};", folder.display()));
        let whole = format!(
            "daemon off; master_process off; pid {0}/pid; error_log stderr;\n\
             events {{ worker_connections 256; }}\n\
             http {{ access_log off; {1}\n{server} }}\n",
            folder.display(),
            temporary.join(" ")
        );
        let file = folder.join("nginx.conf");
        fs::write(&file, whole).unwrap();
        let mut command = tokio::process::Command::new(program);
        command.arg("-c").arg(file).arg("-p").arg(&folder);
        let mut process = Process::start(command, Log::File, folder.join("log")).unwrap();
        let start = Instant::now();
        while TcpStream::connect(address).await.is_err() {
            let ended = process.ended().unwrap();
            let log = process.log_tail();
            assert!(ended.is_none() && start.elapsed() < LIMIT, "nginx does not listen:\n{log}");
            sleep(Duration::from_millis(20)).await;
        }
        Some(Self { process, address })
    }

    async fn open(&self, world: &World, token: &str) -> Result<Sotw, Status> {
        let connection = Connection::open(self.address, &world.certificates.ca).await.unwrap();
        let mut stream = connection.sotw(Some(token), Claimed::INGRESS).await?;
        stream.next().await?;
        Ok(stream)
    }
}

#[tokio::test]
async fn nginx_asks_and_refuses_in_the_words_of_grpc() {
    let world = World::new().set(json!({ "bootstrap": "pass" }));
    let service = world.serve().await;
    let behind = control_plane::Options::new(&world.certificates);
    let control_plane = ControlPlane::start(behind).await.unwrap();
    let started = Nginx::start(&world, service.address(), control_plane.address()).await;
    let Some(mut nginx) = started else { return };
    let good = world.token(json!({}));
    let mut stream = nginx.open(&world, &good).await.unwrap();
    control_plane.push();
    assert!(stream.next().await.unwrap().is_some());
    for (fields, code, reason) in [
        (json!({ "Zone": "elsewhere" }), Code::PermissionDenied, "wrong_zone"),
        (json!({ "exp": 1 }), Code::Unauthenticated, "expired"),
    ] {
        let refused = nginx.open(&world, &world.token(fields)).await.err().unwrap();
        assert_eq!(refused.code(), code, "{refused:?}");
        assert!(refused.message().starts_with(&format!("zonegate: {reason}: ")), "{refused:?}");
    }
    let raw = RawConnection::open(nginx.address, &world.certificates.ca).await.unwrap();
    let bootstrap = json!({ "name": "zi", "proxyType": "ingress", "dataplaneToken": "any" });
    let request = RawRequest {
        method: "POST",
        path: "/bootstrap",
        headers: vec![("content-type", b"application/json".to_vec())],
        chunks: vec![bootstrap.to_string().into_bytes()],
        end: End::Stream,
    };
    assert_eq!(raw.send(request.clone()).await.unwrap().status, 200);
    // The service must not see the client's own values of the headers that nginx sets.
    let mut lying = request;
    lying.path = zonegate::gate::ADS_SOTW;
    lying.headers = vec![
        ("content-type", b"application/grpc".to_vec()),
        ("x-original-uri", b"/bootstrap".to_vec()),
    ];
    let answer = raw.send(lying).await.unwrap();
    assert_eq!(answer.grpc_status(), Some(16), "{answer:?}");
    world.write(&policy(&world.key, json!({ "bootstrap": "pass", "revocations": "id-1" })));
    wait_stat(&service, "zonegate.config.accepted", 2).await;
    let refused = nginx.open(&world, &good).await.err().unwrap();
    assert!(refused.message().starts_with("zonegate: revoked: "), "{refused:?}");
    service.kill().await.unwrap();
    let refused = nginx.open(&world, &world.token(json!({ "jti": "id-2" }))).await.err().unwrap();
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    nginx.process.stop().await;
}
