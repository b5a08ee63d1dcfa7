//! Three gateways behind one address. The load balancer works on connections, as most do, and asks each gateway's probe
//! whether it accepts new ones. The gateways share nothing.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::select_all;
use rand::RngExt;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use zonegate_testkit::control_plane::{self, ControlPlane};
use zonegate_testkit::gateway::{Gateway, Options, Pushed};
use zonegate_testkit::kuma::free_port;
use zonegate_testkit::process::{Log, Process};
use zonegate_testkit::zone_proxy::{Claimed, Connection};

use crate::form::FilterOnly;
use crate::hardened::{ask, wait_ready};
use crate::harness::{Bench, LIMIT, claims_with, from_environment};

const GATEWAYS: usize = 3;
/// Each connection has four streams, so that one process needs fewer sockets.
const CONNECTIONS: usize = 250;
const STREAMS: usize = 4;
const OPEN: &str = "zonegate.streams.open";

/// A gateway that can be restarted at the same two addresses.
struct Place {
    options: Options,
    probes: SocketAddr,
    gateway: Option<Gateway>,
}

impl Place {
    async fn new(mut options: Options) -> Self {
        let port = || SocketAddr::from(([127, 0, 0, 1], free_port().unwrap()));
        let probes = port();
        options.listen = port();
        options.probes = true;
        let place = "/static_resources/listeners/1/address/socket_address/port_value";
        options.edits.push((place.to_owned(), json!(probes.port())));
        let gateway = Some(Gateway::start(options.clone()).await.unwrap());
        Self { options, probes, gateway }
    }

    fn gateway(&self) -> &Gateway {
        self.gateway.as_ref().unwrap()
    }

    /// Replaces the gateway as Kubernetes does: no new connections, a delay, the end; then another one in its place.
    async fn replace(&mut self) {
        let old = self.gateway.take().unwrap();
        assert_eq!(ask(old.admin_address(), "POST", "/healthcheck/fail").await.0, 200);
        wait_ready(self.probes, 503).await;
        sleep(Duration::from_secs(1)).await;
        old.stop().await;
        self.gateway = Some(Gateway::start(self.options.clone()).await.unwrap());
        wait_ready(self.probes, 200).await;
        sleep(Duration::from_secs(1)).await;
    }
}

/// A load balancer for connections: an Envoy with only `tcp_proxy`.
async fn balancer(dir: &TempDir, places: &[Place]) -> (Process, SocketAddr) {
    let address = SocketAddr::from(([127, 0, 0, 1], free_port().unwrap()));
    let socket = |address: SocketAddr| json!({ "socket_address": { "address": address.ip(), "port_value": address.port() } });
    let endpoints: Vec<Value> = places
        .iter()
        .map(|place| {
            json!({ "endpoint": {
                "address": socket(place.options.listen),
                "health_check_config": { "port_value": place.probes.port() },
            } })
        })
        .collect();
    let proxy = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": "balancer", "cluster": "gateways", "max_connect_attempts": 3, "idle_timeout": "0s",
    });
    let health = json!({
        "timeout": "1s", "interval": "0.5s", "no_traffic_interval": "0.5s", "unhealthy_threshold": 1,
        "healthy_threshold": 1, "http_health_check": { "path": "/ready" },
    });
    let configuration = json!({ "static_resources": {
        "listeners": [{ "name": "balancer", "address": socket(address), "filter_chains": [{ "filters": [
            { "name": "envoy.filters.network.tcp_proxy", "typed_config": proxy },
        ] }] }],
        "clusters": [{
            "name": "gateways", "type": "STATIC", "lb_policy": "LEAST_REQUEST", "connect_timeout": "1s",
            "load_assignment": { "cluster_name": "gateways", "endpoints": [{ "lb_endpoints": endpoints }] },
            "health_checks": [health],
        }],
    } });
    let file = dir.path().join("balancer.json");
    std::fs::write(&file, configuration.to_string()).unwrap();
    let mut command = Command::new(from_environment("ENVOY_PATH"));
    command.arg("-c").arg(file).args([
        "--disable-hot-restart",
        "--concurrency",
        "1",
        "-l",
        "warning",
    ]);
    let process = Process::start(command, Log::File, dir.path().join("balancer.log")).unwrap();
    let start = Instant::now();
    while tokio::net::TcpStream::connect(address).await.is_err() {
        assert!(start.elapsed() < LIMIT, "{}", process.log_tail());
        sleep(Duration::from_millis(20)).await;
    }
    (process, address)
}

/// The events that the clients have seen.
#[derive(Default)]
struct Tally {
    open: AtomicUsize,
    /// The time from the end of a connection's streams until all of them were open again.
    outages: Mutex<Vec<Duration>>,
    /// The filter's refusals of good tokens.
    refused: Mutex<Vec<String>>,
}

/// A client that keeps its streams open.
async fn keep_open(address: SocketAddr, ca: String, token: String, tally: Arc<Tally>) {
    let mut lost: Option<Instant> = None;
    loop {
        if let Some(mut streams) = open(address, &ca, &token, &tally).await {
            tally.open.fetch_add(STREAMS, Ordering::SeqCst);
            if let Some(lost) = lost {
                tally.outages.lock().unwrap().push(lost.elapsed());
            }
            let ends = streams.iter_mut().map(|stream| {
                Box::pin(async move { while let Ok(Some(_)) = stream.next().await {} })
            });
            select_all(ends).await;
            tally.open.fetch_sub(STREAMS, Ordering::SeqCst);
            lost = Some(Instant::now());
        }
        let pause = rand::rng().random_range(50..500);
        sleep(Duration::from_millis(pause)).await;
    }
}

type Stream = zonegate_testkit::zone_proxy::Stream<
    envoy_types::pb::envoy::service::discovery::v3::DiscoveryRequest,
    envoy_types::pb::envoy::service::discovery::v3::DiscoveryResponse,
>;

/// Opens all streams of a client; `None` if one fails.
async fn open(address: SocketAddr, ca: &str, token: &str, tally: &Tally) -> Option<Vec<Stream>> {
    let opened = async {
        let connection = Connection::open(address, ca).await.ok()?;
        let mut streams = Vec::new();
        for _ in 0..STREAMS {
            match connection.sotw(Some(token), Claimed::INGRESS).await {
                Ok(mut stream) => {
                    stream.next().await.ok()??;
                    streams.push(stream);
                }
                Err(status) => {
                    if status.message().starts_with("zonegate: ") {
                        tally.refused.lock().unwrap().push(status.message().to_owned());
                    }
                    return None;
                }
            }
        }
        Some(streams)
    };
    timeout(Duration::from_secs(10), opened).await.ok().flatten()
}

async fn all_open(tally: &Tally) {
    let start = Instant::now();
    while tally.open.load(Ordering::SeqCst) != CONNECTIONS * STREAMS {
        let open = tally.open.load(Ordering::SeqCst);
        assert!(start.elapsed() < LIMIT * 3, "{open} streams are open");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_gateways_are_replaced_one_by_one_and_a_revocation_reaches_all() {
    if FilterOnly::Module.is_left_out() {
        return;
    }
    let mut bench = Bench::new();
    let key = zonegate_issuer::SigningKey::from_pem(&bench.key.to_pem()).unwrap();
    let sign = |id: String| {
        let claims = claims_with("jti", json!(id)).to_string();
        key.sign_raw(r#"{"alg":"RS256","kid":"1","typ":"JWT"}"#, claims)
    };
    let mut behind = control_plane::Options::new(&bench.certificates);
    behind.record_bodies = false;
    let control_plane = ControlPlane::start(behind).await.unwrap();
    bench.options.control_plane = control_plane.address().to_string();
    bench.options.concurrency = 1;
    let (policy, ca) = (bench.options.policy.clone(), bench.certificates.ca.clone());
    let mut places = Vec::new();
    for _ in 0..GATEWAYS {
        places.push(Place::new(bench.options.clone()).await);
    }
    let dir = TempDir::new().unwrap();
    let (balancer, address) = balancer(&dir, &places).await;
    for place in &places {
        wait_ready(place.probes, 200).await;
    }
    let tally = Arc::new(Tally::default());
    let mut clients = JoinSet::new();
    for number in 0..CONNECTIONS {
        let token = sign(format!("good-{number}"));
        clients.spawn(keep_open(address, ca.clone(), token, Arc::clone(&tally)));
    }
    all_open(&tally).await;
    let start = Instant::now();
    for place in &mut places {
        place.replace().await;
        all_open(&tally).await;
    }
    let mut outages = std::mem::take(&mut *tally.outages.lock().unwrap());
    outages.sort();
    let at = |share: usize| outages[(outages.len() - 1) * share / 100];
    println!(
        "replaced in {:.1?}; {} of {CONNECTIONS} connections were lost, some more than once: {} times; \
         without streams for {:.2?} in the median, {:.2?} in 99 of 100, {:.2?} at most",
        start.elapsed(),
        CONNECTIONS.min(outages.len()),
        outages.len(),
        at(50),
        at(99),
        at(100)
    );
    assert!(outages.len() >= CONNECTIONS / GATEWAYS, "{outages:?}");
    assert!(at(100) < Duration::from_secs(10), "{outages:?}");
    assert_eq!(*tally.refused.lock().unwrap(), Vec::<String>::new());

    // Proxies with a leaked token, on every gateway; each gateway reads its own file.
    let leaked = sign("leaked".to_owned());
    let mut held = Vec::new();
    for _ in 0..12 {
        let connection = Connection::open(address, &ca).await.unwrap();
        let mut stream = connection.sotw(Some(&leaked), Claimed::INGRESS).await.unwrap();
        assert!(stream.next().await.unwrap().is_some());
        held.push((connection, stream));
    }
    for place in &places {
        // Streams on this gateway directly, which the balancer might not have chosen.
        let connection = Connection::open(place.options.listen, &ca).await.unwrap();
        let mut stream = connection.sotw(Some(&leaked), Claimed::INGRESS).await.unwrap();
        assert!(stream.next().await.unwrap().is_some());
        held.push((connection, stream));
    }
    let mut revoking = policy;
    revoking["revocations"] = json!("leaked");
    let start = Instant::now();
    let pushes = places.iter().map(|place| place.gateway().push(&revoking));
    for pushed in futures_util::future::join_all(pushes).await {
        assert_eq!(pushed.unwrap(), Pushed::Accepted);
    }
    for (_, stream) in &mut held {
        assert!(timeout(LIMIT, stream.next()).await.unwrap().is_err());
    }
    println!("a revocation has reached all after {:.2?}", start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    for place in &places {
        let connection = Connection::open(place.options.listen, &ca).await.unwrap();
        let refused = connection.sotw(Some(&leaked), Claimed::INGRESS).await.unwrap_err();
        assert!(refused.message().starts_with("zonegate: revoked: "), "{refused:?}");
    }
    // No other client has lost a stream.
    assert_eq!(tally.open.load(Ordering::SeqCst), CONNECTIONS * STREAMS);
    assert!(tally.outages.lock().unwrap().is_empty());
    // The gauges are updated every tenth of a second.
    let start = Instant::now();
    loop {
        let mut open = 0;
        for place in &places {
            open += place.gateway().stat(OPEN).await.unwrap().unwrap_or_default();
        }
        if usize::try_from(open).unwrap() == CONNECTIONS * STREAMS {
            break;
        }
        assert!(start.elapsed() < LIMIT, "{open} streams are open");
    }
    for place in &places {
        assert_eq!(place.gateway().stat("zonegate.denied.revoked").await.unwrap(), Some(1));
    }
    clients.abort_all();
    drop(balancer);
}
