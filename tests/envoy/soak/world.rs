//! The parts of the soak, and the state that they share.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::{Instant, timeout};
use zonegate_issuer::SigningKey;
use zonegate_testkit::certificates::Certificates;
use zonegate_testkit::control_plane::{self, ControlPlane};
use zonegate_testkit::gateway::{Gateway, Options};

use super::CLIENTS;
use crate::harness::{Bench, claims_with, now};

/// A stream overstays if its token has been revoked for this long.
const CUT: Duration = Duration::from_secs(5);
/// How long good tokens are valid, in seconds: longer than any soak.
const VALID: u64 = 7 * 24 * 60 * 60;
/// The number of ids in every list that belong to no token.
const STRANGE_IDS: usize = 2_000;

/// Gateway, control plane, keys, and the counts.
pub(super) struct World {
    pub(super) address: SocketAddr,
    pub(super) ca: String,
    /// `None` between two gateways.
    pub(super) gateway: AsyncMutex<Option<Gateway>>,
    /// Gateways that a hot restart replaced, kept because their folders are in use.
    pub(super) replaced: Mutex<Vec<Gateway>>,
    pub(super) options: Mutex<Options>,
    pub(super) control_plane: Mutex<Option<ControlPlane>>,
    pub(super) seen: Seen,
    /// The token ids of the clients, by their numbers.
    pub(super) ids: Mutex<Vec<String>>,
    start: Instant,
    events: Mutex<Vec<(f64, &'static str)>>,
    /// The ids that the policy in force revokes, and the time of their revocation.
    revoked: Mutex<BTreeMap<String, Instant>>,
    strange_ids: Vec<String>,
    /// The good tokens so far, by id.
    tokens: Mutex<BTreeMap<String, String>>,
    key: SigningKey,
    other_key: SigningKey,
    certificates: Certificates,
    is_calm: AtomicBool,
    is_over: AtomicBool,
    _folder: TempDir,
}

/// Counts of the soak itself, not of the gate.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Open streams of good clients.
    pub(super) open: AtomicU64,
    /// How many streams they opened.
    pub(super) opened: AtomicU64,
    /// Messages of the control plane that good clients received.
    pub(super) received: AtomicU64,
    /// Messages that are missing between two others.
    pub(super) lost: AtomicU64,
    /// Strangers that were refused, or whose connection was closed.
    pub(super) refused: AtomicU64,
    /// Strangers that were let in.
    pub(super) let_in: AtomicU64,
    /// Good clients that were refused without a cause.
    pub(super) wronged: AtomicU64,
    /// Messages under a token that was revoked long before.
    pub(super) overstayed: AtomicU64,
    /// Streams that were not answered.
    pub(super) unanswered: AtomicU64,
    pub(super) pushes: AtomicU64,
    pub(super) restarts: AtomicU64,
    pub(super) outages: AtomicU64,
}

/// The numbers of all parts at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    pub(super) resident: u64,
    pub(super) clients: u64,
    pub(super) gauge: u64,
    pub(super) held: u64,
    pub(super) envoy: u64,
    pub(super) control_plane: u64,
    pub(super) pid: u32,
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl World {
    pub(super) async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let Bench { key, mut options, .. } = Bench::new();
        let certificates = Certificates::generate(folder.path()).unwrap();
        options.control_plane_ca = certificates.ca_path.clone();
        options.certificate = certificates.gateway.certificate_path.clone();
        options.key = certificates.gateway.key_path.clone();
        let strange_ids = (0..STRANGE_IDS).map(|_| uuid::Uuid::new_v4().to_string()).collect();
        let mut behind = control_plane::Options::new(&certificates);
        behind.record_bodies = false;
        let control_plane = ControlPlane::start(behind).await.unwrap();
        options.control_plane = control_plane.address().to_string();
        options.policy["firstMessageSeconds"] = json!(2);
        let gateway = Gateway::start_first(options.clone()).await.unwrap();
        // Later gateways listen on the same address.
        options.listen = gateway.address();
        Self {
            address: gateway.address(),
            ca: certificates.ca.clone(),
            gateway: AsyncMutex::new(Some(gateway)),
            replaced: Mutex::default(),
            options: Mutex::new(options),
            control_plane: Mutex::new(Some(control_plane)),
            seen: Seen::default(),
            ids: Mutex::new(vec![String::new(); CLIENTS]),
            start: Instant::now(),
            events: Mutex::default(),
            revoked: Mutex::default(),
            strange_ids,
            tokens: Mutex::default(),
            key,
            other_key: SigningKey::generate(2048).unwrap(),
            certificates,
            is_calm: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
            _folder: folder,
        }
    }

    /// A policy that revokes these ids.
    pub(super) fn policy(&self, revoked: &[String]) -> Value {
        let ids: Vec<&str> = self.strange_ids.iter().chain(revoked).map(String::as_str).collect();
        let mut policy = crate::harness::policy(&self.key);
        policy["firstMessageSeconds"] = json!(2);
        policy["revocations"] = json!(ids.join(","));
        policy
    }

    /// From now on, only these ids are revoked.
    pub(super) fn revoke(&self, ids: &[String]) {
        let mut revoked = self.revoked.lock().unwrap();
        let now = Instant::now();
        *revoked = ids.iter().map(|id| (id.clone(), *revoked.get(id).unwrap_or(&now))).collect();
    }

    pub(super) fn overstays(&self, id: &str) -> bool {
        self.revoked.lock().unwrap().get(id).is_some_and(|since| since.elapsed() > CUT)
    }

    /// The good token with this id: always the same text, as a proxy keeps its token. (The gate remembers tokens, so
    /// new texts for each stream would look like a leak of memory.)
    pub(super) fn token(&self, id: &str) -> String {
        let mut tokens = self.tokens.lock().unwrap();
        let sign = || {
            let mut claims = claims_with("jti", json!(id));
            claims["exp"] = json!(now() + VALID);
            sign(&self.key, claims)
        };
        tokens.entry(id.to_owned()).or_insert_with(sign).clone()
    }

    /// Tokens that are not accepted.
    pub(super) fn bad_tokens(&self) -> [String; 4] {
        [
            sign(&self.other_key, claims_with("jti", json!("forged"))),
            sign(&self.key, claims_with("exp", json!(now() - 600))),
            sign(&self.key, claims_with("Zone", json!("zone-2"))),
            "garbage".to_owned(),
        ]
    }

    /// Starts a control plane like the first, in its place.
    pub(super) async fn new_control_plane(&self) -> ControlPlane {
        let mut behind = control_plane::Options::new(&self.certificates);
        behind.record_bodies = false;
        behind.listen = self.options.lock().unwrap().control_plane.parse().unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            // The previous control plane releases the port when its task has ended.
            match ControlPlane::start(behind.clone()).await {
                Ok(control_plane) => return control_plane,
                Err(error) if Instant::now() > deadline => panic!("{error:#}"),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    pub(super) fn happens(&self, what: &'static str) {
        println!("{:6.1} s  {what}", self.seconds());
        self.events.lock().unwrap().push((self.seconds(), what));
    }

    pub(super) fn events(&self) -> Vec<(f64, &'static str)> {
        self.events.lock().unwrap().clone()
    }

    pub(super) fn seconds(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    /// From now on no client leaves by itself.
    pub(super) fn calm(&self) {
        self.is_calm.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_calm(&self) -> bool {
        self.is_calm.load(Ordering::Relaxed)
    }

    pub(super) fn stop(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// The current numbers; `None` while the gateway is busy with a push or a restart.
    pub(super) async fn look(&self) -> Option<Look> {
        let gateway = timeout(Duration::from_millis(500), self.gateway.lock()).await.ok()?;
        let gateway = gateway.as_ref()?;
        let gauge = stat(gateway, "zonegate.streams.open").await?;
        let held = stat(gateway, "zonegate.streams.held").await?;
        let envoy = stat(gateway, "http.zonegate.downstream_rq_active").await?;
        let pid = gateway.pid()?;
        let control_plane = self.control_plane.lock().unwrap();
        let behind = control_plane.as_ref().map_or(0, |behind| behind.recorder().open_streams());
        Some(Look {
            resident: resident(pid)?,
            clients: self.seen.open.load(Ordering::Relaxed),
            gauge,
            held,
            envoy,
            control_plane: behind as u64,
            pid,
        })
    }

    pub(super) async fn assert_nothing_is_open(&self, limit: Duration) {
        let gateway = self.gateway.lock().await;
        let gateway = gateway.as_ref().unwrap();
        for gauge in ["zonegate.streams.open", "zonegate.streams.held", "zonegate.streams.shadowed"]
        {
            gateway.wait_stat(gauge, 0, limit).await.unwrap();
        }
        gateway.wait_stat("http.zonegate.downstream_rq_active", 0, limit).await.unwrap();
    }

    /// Asserts that no message was lost, no stranger was let in, no good client was refused without a cause, every
    /// stream was answered, and no stream went on under a revoked token; and that every kind of event happened.
    pub(super) fn assert_nothing_went_wrong(&self) {
        let Seen { lost, let_in, wronged, overstayed, unanswered, .. } = &self.seen;
        let wrong = [lost, let_in, wronged, overstayed, unanswered];
        let wrong = wrong.map(|counter| counter.load(Ordering::Relaxed));
        assert_eq!(wrong, [0; 5], "lost, let in, wronged, overstayed, unanswered");
        let Seen { received, refused, pushes, restarts, outages, .. } = &self.seen;
        let done = [received, refused, pushes, restarts, outages];
        let done = done.map(|counter| counter.load(Ordering::Relaxed));
        assert!(done.iter().all(|count| *count > 0), "{done:?}");
    }

    pub(super) fn summary(&self) -> String {
        let Seen {
            open: _,
            opened,
            received,
            lost,
            refused,
            let_in,
            wronged,
            overstayed,
            unanswered,
            pushes,
            restarts,
            outages,
        } = &self.seen;
        let mut text = format!("{:.1} minutes", self.seconds() / 60.0);
        for (what, counter) in [
            ("pushes", pushes),
            ("restarts of Envoy", restarts),
            ("outages of the control plane", outages),
            ("streams of good clients", opened),
            ("messages that they had", received),
            ("messages lost", lost),
            ("good clients refused for what they are not", wronged),
            ("strangers refused", refused),
            ("strangers let in", let_in),
            ("messages under a token revoked 5 s before", overstayed),
            ("streams without an answer", unanswered),
        ] {
            write!(text, "\n{:9}  {what}", counter.load(Ordering::Relaxed)).unwrap();
        }
        text
    }
}

fn sign(key: &SigningKey, mut claims: Value) -> String {
    if claims["exp"].as_u64().unwrap() > crate::harness::now() {
        // Longer than a soak.
        claims["exp"] = json!(crate::harness::now() + 30 * 86_400);
    }
    key.sign_raw(r#"{"alg":"RS256","kid":"1","typ":"JWT"}"#, claims.to_string())
}

async fn stat(gateway: &Gateway, name: &str) -> Option<u64> {
    gateway.stat(name).await.ok().flatten()
}

/// The resident memory of a process, in bytes.
fn resident(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib * 1024)
}
