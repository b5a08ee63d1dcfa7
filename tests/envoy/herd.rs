//! Ten thousand sidecars connect to one gateway as fast as it accepts them: a measurement, `make herd`.
//!
//! Each has its own dataplane token and resource, and opens a TLS connection with one discovery stream and one health
//! discovery stream, as kuma-dp's Envoy does. For comparison, the same is measured with a gateway that lets sidecars
//! pass unchecked. Clients and control plane share the machine with the gateway, so the seconds include their work; the
//! CPU time is the gateway's only.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use envoy_types::pb::envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse};
use envoy_types::pb::envoy::service::health::v3::{
    HealthCheckRequestOrEndpointHealthResponse, HealthCheckSpecifier,
};
use rand::RngExt;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tonic::Status;
use zonegate_issuer::{DataplaneTokenRequest, SigningKey};
use zonegate_testkit::kuma::Kind;
use zonegate_testkit::zone_proxy::{
    Claimed, Connection, Stream, discovery_request, health_check_request,
};

use crate::harness::{Bench, Setup};

const SIDECARS: u64 = 10_000;
/// How many sidecars connect at a time. If all connect at once, clients that share two cores time out; the gateway's
/// work is the same.
const AT_A_TIME: usize = 250;
const MESH: &str = "default";
const OPEN: &str = "zonegate.streams.open";
/// The longest time for any step.
const PATIENCE: Duration = Duration::from_secs(300);

/// A sidecar, and its open connection and streams.
struct Sidecar {
    token: String,
    message: DiscoveryRequest,
    connection: Option<Connection>,
    streams: Option<(Discovery, HealthDiscovery)>,
    /// The number of its attempts.
    tries: u32,
}

type Discovery = Stream<DiscoveryRequest, DiscoveryResponse>;
type HealthDiscovery = Stream<HealthCheckRequestOrEndpointHealthResponse, HealthCheckSpecifier>;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: make herd"]
async fn ten_thousand_sidecars_come_at_once() {
    println!(
        "{:45} | all in, s | tries | Envoy's CPU, us a sidecar | memory, MiB",
        format!("{SIDECARS} sidecars")
    );
    measure("pass").await;
    measure("dpToken").await;
}

async fn measure(dataplane: &str) {
    let mut bench = Bench::new();
    bench.record_bodies = false;
    let key = json!({ "mesh": MESH, "kid": "1", "key": bench.key.public_key_pem() });
    let bench = bench
        .set("proxies", json!({ "dataplane": dataplane }))
        .set("dpToken", json!({ "publicKeys": [key] }));
    let setup = bench.start().await;
    let mut herd = sidecars(&setup).await;
    herd = all_in(&setup, herd, &format!("{dataplane}: a gateway that has just started")).await;
    for sidecar in &mut herd {
        (sidecar.streams, sidecar.connection) = (None, None);
    }
    nothing_is_open(&setup, dataplane).await;
    herd = all_in(&setup, herd, &format!("{dataplane}: all connections were lost")).await;
    for sidecar in &mut herd {
        sidecar.streams = None;
    }
    nothing_is_open(&setup, dataplane).await;
    herd = all_in(&setup, herd, &format!("{dataplane}: all streams were lost")).await;
    if dataplane == "dpToken" {
        revoke_one(&setup, &mut herd).await;
    }
}

async fn sidecars(setup: &Setup) -> Vec<Sidecar> {
    let mut issuing = JoinSet::new();
    let key = Arc::new(SigningKey::from_pem(&setup.key.to_pem()).unwrap());
    for number in 0..SIDECARS {
        let key = Arc::clone(&key);
        issuing.spawn_blocking(move || Sidecar::new(number, &key));
    }
    issuing.join_all().await
}

/// Connects all of them, as fast as the gateway accepts them.
async fn all_in(setup: &Setup, herd: Vec<Sidecar>, what: &str) -> Vec<Sidecar> {
    let (address, start, cpu) = (setup.gateway.address(), Instant::now(), setup.cpu());
    let before = setup.control_plane.recorder().open_streams();
    assert_eq!(before, 0);
    let mut coming = JoinSet::new();
    let room = Arc::new(Semaphore::new(AT_A_TIME));
    for mut sidecar in herd {
        let (ca, room) = (setup.ca.clone(), Arc::clone(&room));
        coming.spawn(async move {
            let _room = room.acquire().await.unwrap();
            sidecar.tries = 0;
            while let Err(refusal) = sidecar.connect(address, &ca).await {
                assert!(start.elapsed() < PATIENCE, "{refusal:#}");
                // As Envoy: half a second, minus a random part.
                let pause = rand::rng().random_range(1..500);
                sleep(Duration::from_millis(pause)).await;
            }
            sidecar
        });
    }
    let herd = coming.join_all().await;
    let all = start.elapsed();
    let tries: u32 = herd.iter().map(|sidecar| sidecar.tries).sum();
    println!(
        "{what:45} | {:9.1} | {tries:5} | {:25.0} | {:11}",
        all.as_secs_f64(),
        (setup.cpu() - cpu).as_micros() as f64 / SIDECARS as f64,
        setup.resident() / 1024 / 1024,
    );
    assert_eq!(setup.control_plane.recorder().open_streams() as u64, 2 * SIDECARS);
    herd
}

async fn nothing_is_open(setup: &Setup, dataplane: &str) {
    if dataplane == "dpToken" {
        setup.gateway.wait_stat(OPEN, 0, PATIENCE).await.unwrap();
    }
    let recorder = setup.control_plane.recorder();
    recorder.wait_for(|seen| seen.open_streams() == 0, PATIENCE).await.unwrap();
}

/// Revokes one token: its two streams end, and no others.
async fn revoke_one(setup: &Setup, herd: &mut [Sidecar]) {
    setup.gateway.wait_stat(OPEN, 2 * SIDECARS, PATIENCE).await.unwrap();
    let key = json!({ "mesh": MESH, "kid": "1", "key": setup.key.public_key_pem() });
    let last = herd.last_mut().unwrap();
    let name = last.message.node.as_ref().unwrap().id.replace("default.", "id-of-");
    let (mut discovery, _health) = last.streams.take().unwrap();
    let start = Instant::now();
    setup.push("dpToken", json!({ "publicKeys": [key], "revocations": { MESH: name } })).await;
    let end = async { while discovery.next().await.is_ok_and(|answer| answer.is_some()) {} };
    timeout(PATIENCE, end).await.expect("it is not cut");
    println!(
        "one of them, revoked, is cut {:.2} s after the push begins",
        start.elapsed().as_secs_f64()
    );
    setup.gateway.wait_stat(OPEN, 2 * (SIDECARS - 1), PATIENCE).await.unwrap();
    assert_eq!(setup.stat("streams.cut.revoked").await, 2);
    // Each sidecar was let in three times, with two streams.
    assert_eq!(setup.stat("allowed").await, 3 * 2 * SIDECARS);
}

impl Sidecar {
    fn new(number: u64, key: &SigningKey) -> Self {
        let name = format!("dp-{number}");
        let service = ("kuma.io/service".to_owned(), [name.clone()].into());
        let request = DataplaneTokenRequest {
            name: name.clone(),
            mesh: MESH.to_owned(),
            tags: BTreeMap::from([service]),
            proxy_type: None,
            workload: String::new(),
            valid_for: Duration::from_secs(24 * 3600),
            kid: "1".to_owned(),
            now: SystemTime::now(),
            not_before: None,
            id: format!("id-of-{name}"),
        };
        let resource = Kind::Dataplane.resource(MESH, &name, [8080, 8081]).to_string();
        let claimed = Claimed { proxy_type: Some("dataplane"), resource: Some(&resource) };
        let mut message = discovery_request(claimed);
        message.node.as_mut().unwrap().id = format!("{MESH}.{name}");
        Self {
            token: request.issue(key).unwrap(),
            message,
            connection: None,
            streams: None,
            tries: 0,
        }
    }

    /// One attempt, over the existing connection or a new one.
    async fn connect(&mut self, gateway: SocketAddr, ca: &str) -> anyhow::Result<()> {
        self.tries += 1;
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(gateway, ca).await?,
        };
        self.streams = Some(self.open(&connection).await?);
        self.connection = Some(connection);
        Ok(())
    }

    async fn open(&self, connection: &Connection) -> Result<(Discovery, HealthDiscovery), Status> {
        let token = Some(self.token.as_str());
        let mut discovery = connection.sotw_of(token, self.message.clone()).await?;
        discovery.next().await?;
        let hello = health_check_request(&self.message.node.as_ref().unwrap().id);
        let health = connection.hds_of(token, hello).await?;
        Ok((discovery, health))
    }
}

impl Setup {
    /// CPU time of the gateway's Envoy (`proc_pid_stat(5)`).
    fn cpu(&self) -> Duration {
        let path = format!("/proc/{}/stat", self.gateway.pid().unwrap());
        let stat = std::fs::read_to_string(path).unwrap();
        let fields = stat.rsplit_once(") ").unwrap().1.split(' ');
        let ticks: u64 = fields.skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum();
        Duration::from_millis(10 * ticks)
    }
}
