//! The parts of `gateway.yaml` for operation: renewed certificates, probes, and the commented-out lines.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::sleep;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;
use zonegate_testkit::certificates::{Certificates, HTTP_1_1, client_config};
use zonegate_testkit::control_plane::{self, ControlPlane};
use zonegate_testkit::gateway::Gateway;
use zonegate_testkit::zone_proxy::Claimed;

use crate::form::FilterOnly;
use crate::harness::{Bench, LIMIT, Setup};

const GATEWAY: &str = include_str!("../../envoy/gateway.yaml");

/// The certificate that the gateway presents; `None` if a client that trusts `ca` does not trust it.
async fn presented(address: SocketAddr, ca: &str) -> Option<Vec<u8>> {
    let stream = TcpStream::connect(address).await.unwrap();
    let stream = handshake(stream, ca).await.ok()?;
    Some(stream.get_ref().1.peer_certificates().unwrap()[0].to_vec())
}

async fn handshake(stream: TcpStream, ca: &str) -> std::io::Result<TlsStream<TcpStream>> {
    let connector = TlsConnector::from(client_config(ca, &[HTTP_1_1]).unwrap());
    connector.connect(ServerName::try_from("localhost").unwrap(), stream).await
}

/// Replaces a file by a rename.
fn replace(file: &Path, text: &str) {
    let new = file.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(&new, file).unwrap();
}

/// Key and certificate are replaced one after the other, as a script does.
#[tokio::test]
async fn a_renewed_certificate_is_presented_and_streams_stay() {
    if FilterOnly::Module.is_left_out() {
        return;
    }
    let bench = Bench::new();
    let (certificate, key) = (bench.options.certificate.clone(), bench.options.key.clone());
    let elsewhere = bench.scratch().join("renewed");
    fs::create_dir(&elsewhere).unwrap();
    let setup = bench.start().await;
    let mut stream =
        setup.connect().await.sotw(Some(&setup.token()), Claimed::INGRESS).await.unwrap();
    stream.next().await.unwrap().unwrap();
    let address = setup.gateway.address();
    let before = presented(address, &setup.ca).await.unwrap();
    let renewed = Certificates::generate(&elsewhere).unwrap();
    assert_eq!(presented(address, &renewed.ca).await, None);
    replace(&key, &renewed.gateway.key);
    // Key and certificate do not match: the previous pair is presented.
    for _ in 0..5 {
        assert_eq!(presented(address, &setup.ca).await, Some(before.clone()));
        sleep(Duration::from_millis(20)).await;
    }
    replace(&certificate, &renewed.gateway.certificate);
    let start = Instant::now();
    while presented(address, &renewed.ca).await.is_none() {
        assert!(start.elapsed() < LIMIT, "{}", setup.gateway.log_tail());
        sleep(Duration::from_millis(20)).await;
    }
    setup.control_plane.push();
    assert!(stream.next().await.unwrap().is_some(), "the open stream has ended");
}

/// The control plane's certificate is renewed first, and nobody gets through; with its CA, everybody does again.
#[tokio::test]
async fn a_renewed_ca_of_the_control_plane_is_trusted() {
    if FilterOnly::Module.is_left_out() {
        return;
    }
    let mut bench = Bench::new();
    let elsewhere = bench.scratch().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let other = Certificates::generate(&elsewhere).unwrap();
    bench.options.control_plane_ca = other.ca_path.clone();
    let setup = bench.start().await;
    let connection = setup.connect().await;
    let refused = connection.sotw(Some(&setup.token()), Claimed::INGRESS).await.unwrap_err();
    assert_eq!(refused.code() as i32, 14, "{refused:?}");
    replace(&other.ca_path, &setup.ca);
    let start = Instant::now();
    while connection.sotw(Some(&setup.token()), Claimed::INGRESS).await.is_err() {
        assert!(start.elapsed() < LIMIT, "{}", setup.gateway.log_tail());
        sleep(Duration::from_millis(20)).await;
    }
}

/// Status and body of an answer to one request, in HTTP/1.1 without TLS.
pub(crate) async fn ask(address: SocketAddr, method: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

pub(crate) async fn wait_ready(probes: SocketAddr, wanted: u16) {
    let start = Instant::now();
    loop {
        let seen = ask(probes, "GET", "/ready").await;
        if seen.0 == wanted {
            return;
        }
        assert!(start.elapsed() < LIMIT, "{seen:?}");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn the_probes_show_readiness_and_metrics_and_nothing_else() {
    if FilterOnly::Module.is_left_out() {
        return;
    }
    let mut bench = Bench::new();
    bench.options.probes = true;
    let setup = bench.start().await;
    let probes = setup.gateway.probes_address().await.unwrap();
    wait_ready(probes, 200).await;
    let (status, metrics) = ask(probes, "GET", "/stats/prometheus").await;
    assert_eq!(status, 200);
    assert!(metrics.contains("zonegate_config_accepted"), "{metrics}");
    for (method, path) in [
        ("POST", "/stats/prometheus"),
        ("POST", "/quitquitquit"),
        ("POST", "/healthcheck/fail"),
        ("GET", "/config_dump"),
        ("GET", "/stats"),
        ("GET", "/stats/prometheus/../../config_dump"),
        ("GET", "//stats/prometheus"),
        ("GET", "/"),
    ] {
        assert_eq!(ask(probes, method, path).await.0, 404, "{method} {path}");
    }
    // For a load balancer that is to send no new connections here.
    assert_eq!(ask(setup.gateway.admin_address(), "POST", "/healthcheck/fail").await.0, 200);
    wait_ready(probes, 503).await;
    assert_eq!(ask(setup.gateway.admin_address(), "POST", "/healthcheck/ok").await.0, 200);
    wait_ready(probes, 200).await;
}

/// Envoy's own `/ready` answers 200 already.
#[tokio::test]
async fn the_probe_is_not_ready_while_there_is_no_policy() {
    if FilterOnly::Module.is_left_out() {
        return;
    }
    let mut bench = Bench::new();
    let control_plane =
        ControlPlane::start(control_plane::Options::new(&bench.certificates)).await.unwrap();
    bench.options.control_plane = control_plane.address().to_string();
    bench.options.probes = true;
    let good = bench.options.policy.clone();
    bench.options.policy = json!({ "zone": "a", "publicKeys": [] });
    let gateway = Gateway::start_without_policy(bench.options).await.unwrap();
    let probes = gateway.probes_address().await.unwrap();
    // Longer than the time between two checks of the policy.
    for turn in 0..30 {
        let stats = gateway.admin("/stats?usedonly&filter=extension_config|policy").await.unwrap();
        assert_eq!(ask(probes, "GET", "/ready").await.0, 503, "{turn}: {stats}");
        sleep(Duration::from_millis(100)).await;
    }
    gateway.push(&good).await.unwrap();
    wait_ready(probes, 200).await;
    // A push that is refused leaves the policy before it in force.
    gateway.push(&json!({ "zone": "a", "publicKeys": [] })).await.unwrap();
    sleep(Duration::from_secs(5)).await;
    assert_eq!(ask(probes, "GET", "/ready").await.0, 200);
}

/// The commented-out lines that begin with this line, uncommented.
fn commented(first: &str) -> Value {
    let mut lines = GATEWAY.lines().skip_while(|line| line.trim() != format!("# {first}"));
    let start = lines.clone().next().unwrap_or_else(|| panic!("gateway.yaml has no # {first}"));
    let indent = start.len() - start.trim_start().len();
    let block: Vec<&str> =
        lines.by_ref().map_while(|line| line.get(indent..)?.strip_prefix("# ")).collect();
    let list: Value = serde_saphyr::from_str(&block.join("\n")).unwrap();
    list[0].clone()
}

/// An HTTP/1.1 connection for one request after the other.
struct Http1(TlsStream<TcpStream>);

impl Http1 {
    /// Returns the status of the answer to a request. The filter refuses its path with 404.
    async fn status(&mut self) -> u16 {
        self.0.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        let head = loop {
            let mut byte = [0];
            self.0.read_exact(&mut byte).await.unwrap();
            answer.push(byte[0]);
            if answer.ends_with(b"\r\n\r\n") {
                break String::from_utf8(answer).unwrap().to_lowercase();
            }
        };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.unwrap().parse().unwrap()];
        self.0.read_exact(&mut body).await.unwrap();
        head.split(' ').nth(1).unwrap().parse().unwrap()
    }
}

async fn http1_from(setup: &Setup, from: &str) -> Http1 {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
    let stream = socket.connect(setup.gateway.address()).await.unwrap();
    Http1(handshake(stream, &setup.ca).await.unwrap())
}

#[tokio::test]
async fn behind_the_proxy_protocol_the_log_names_the_proxy() {
    if FilterOnly::Module.is_left_out() {
        return;
    }
    let mut bench = Bench::new();
    let filter = commented("- name: envoy.filters.listener.proxy_protocol");
    bench.options.edits =
        vec![("/static_resources/listeners/0/listener_filters/+".to_owned(), filter)];
    let setup = bench.start().await;
    let mut stream = TcpStream::connect(setup.gateway.address()).await.unwrap();
    stream.write_all(b"PROXY TCP4 203.0.113.7 127.0.0.1 40001 5678\r\n").await.unwrap();
    let mut client = Http1(handshake(stream, &setup.ca).await.unwrap());
    assert_eq!(client.status().await, 404);
    let line = setup.logged().await;
    assert_eq!(line["peer"], "203.0.113.7:40001", "{line}");
}

/// The lines as shipped, except for smaller numbers.
#[tokio::test]
async fn an_address_that_asks_too_often_is_told_to_come_again_and_no_other() {
    if FilterOnly::Module.is_left_out() {
        return;
    }
    let mut bench = Bench::new();
    let mut filter = commented("- name: envoy.filters.http.local_ratelimit");
    let bucket = json!({ "max_tokens": 5, "tokens_per_fill": 1, "fill_interval": "60s" });
    filter["typed_config"]["descriptors"][0]["token_bucket"] = bucket;
    let filters =
        "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters/+";
    bench.options.edits = vec![(filters.to_owned(), filter)];
    let setup = bench.start().await;
    let mut noisy = http1_from(&setup, "127.0.0.1").await;
    for _ in 0..5 {
        assert_eq!(noisy.status().await, 404);
    }
    assert_eq!(noisy.status().await, 503);
    // Another connection from this address is refused too; another address is not.
    assert_eq!(http1_from(&setup, "127.0.0.1").await.status().await, 503);
    let mut other = http1_from(&setup, "127.0.0.2").await;
    assert_eq!(other.status().await, 404);
    let refused = setup.connect().await.sotw(Some(&setup.token()), Claimed::INGRESS).await;
    assert_eq!(refused.unwrap_err().code() as i32, 14, "UNAVAILABLE");
}

/// CPU time of a process so far, in hundredths of a second (proc(5), as on all systems that Envoy runs on).
fn cpu(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    [11, 12].into_iter().map(|index: usize| fields[index].parse::<u64>().unwrap()).sum()
}

/// One client sends requests whose path is refused.
#[tokio::test]
#[ignore = "a measurement"]
async fn what_the_limit_of_an_address_costs() {
    if FilterOnly::Module.is_left_out() {
        return;
    }
    const REQUESTS: u64 = 20_000;
    let mut filter = commented("- name: envoy.filters.http.local_ratelimit");
    let bucket =
        json!({ "max_tokens": 1_000_000, "tokens_per_fill": 1_000_000, "fill_interval": "1s" });
    filter["typed_config"]["descriptors"][0]["token_bucket"] = bucket;
    let filters =
        "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters/+";
    let mut setups = Vec::new();
    for edits in [vec![], vec![(filters.to_owned(), filter)]] {
        let mut bench = Bench::new().workers(1);
        bench.options.edits = edits;
        setups.push(bench.start().await);
    }
    for _ in 0..5 {
        let mut costs = Vec::new();
        for setup in &setups {
            let mut client = http1_from(setup, "127.0.0.1").await;
            let pid = setup.gateway.pid().unwrap();
            let before = cpu(pid);
            for _ in 0..REQUESTS {
                assert_eq!(client.status().await, 404);
            }
            costs.push((cpu(pid) - before) * 10_000 / REQUESTS);
        }
        println!("us of CPU a request: {} without, {} with the limit", costs[0], costs[1]);
    }
}
