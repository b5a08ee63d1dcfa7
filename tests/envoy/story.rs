//! A minute at a gateway, for the picture in `docs/`: `make picture`.
//!
//! The events are scripted. The picture is drawn from the gateway's own `/stats/prometheus`, read five times a second
//! and written to the file that `ZONEGATE_STORY` names.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep, sleep_until};
use zonegate_issuer::SigningKey;
use zonegate_testkit::gateway::Pushed;
use zonegate_testkit::zone_proxy::{Claimed, Connection};

use crate::harness::{Bench, Setup, ZONE, claims_with, now};
use crate::open_stream::{Sotw, open};

const PROXIES: usize = 40;
const REVOKED: usize = 10;
const END: u64 = 64;

/// The metrics at one moment.
struct Sample {
    seconds: f64,
    series: BTreeMap<String, f64>,
}

/// The time and the name of each event.
type Events = Arc<Mutex<Vec<(f64, &'static str)>>>;

struct Story {
    setup: Setup,
    new: SigningKey,
    start: Instant,
    events: Events,
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a minute long: make picture"]
async fn a_minute_at_a_gateway() {
    let bench = Bench::new();
    let keys = json!([{ "kid": "old", "key": bench.key.public_key_pem() }]);
    let (bench, new) = (bench.set("publicKeys", keys), SigningKey::generate(2048).unwrap());
    let setup = bench.start().await;
    let story = Story { setup, new, start: Instant::now(), events: Events::default() };
    let (samples, ()) = tokio::join!(story.sample(), story.play());
    let file = std::env::var_os("ZONEGATE_STORY").expect("ZONEGATE_STORY is not set");
    fs::write(file, table(&samples, &story.events.lock().unwrap())).unwrap();
}

impl Story {
    async fn play(&self) {
        let mut strangers = JoinSet::new();
        let mut streams = Vec::new();
        for index in 0..PROXIES {
            self.until(1.0 + 0.2 * index as f64).await;
            streams.push(self.open("old", index).await);
        }
        let expired = self.token("old", "exp", json!(now() - 600));
        let wrong_zone = self.token("old", "Zone", json!("zone-2"));
        let stale = knock(self.setup.connect().await, expired, Duration::from_millis(400));
        let stale = strangers.spawn(stale);
        self.until(12.0).await;
        let stranger = knock(self.setup.connect().await, wrong_zone, Duration::from_millis(700));
        let stranger = strangers.spawn(stranger);
        self.push("new key: added", json!({}), &["old", "new"], 16.0).await;
        for (index, stream) in streams.iter_mut().enumerate() {
            self.until(17.0 + 0.3 * index as f64).await;
            *stream = self.open("new", index).await;
        }
        stranger.abort();
        stale.abort();
        let left_behind = self.token("old", "jti", json!("left-behind"));
        self.push("old key: removed", json!({}), &["new"], 32.0).await;
        let left_behind =
            knock(self.setup.connect().await, left_behind, Duration::from_millis(500));
        strangers.spawn(left_behind);
        let bad = json!({ "revocations": [1] });
        self.push("bad policy: refused", bad, &["new"], 40.0).await;
        let revoked: Vec<String> = (0..REVOKED).map(|index| format!("proxy-{index}")).collect();
        let list = json!({ "revocations": revoked });
        self.push("ten tokens: revoked", list, &["new"], 47.0).await;
        let mut coming_back = JoinSet::new();
        for id in revoked {
            let token = self.token("new", "jti", json!(id));
            coming_back.spawn(come_back(self.setup.connect().await, token));
        }
        self.until(56.0).await;
        self.happens("ten new: tokens");
        coming_back.abort_all();
        for index in 0..REVOKED {
            self.until(56.0 + 0.3 * index as f64).await;
            streams.push(self.open("new", PROXIES + index).await);
        }
        self.until(END as f64).await;
        strangers.abort_all();
    }

    /// Pushes a policy with these keys and fields at the given time.
    async fn push(&self, what: &'static str, fields: Value, kids: &[&str], seconds: f64) {
        self.until(seconds).await;
        let keys = kids.iter().map(|&kid| {
            let key = if kid == "old" { &self.setup.key } else { &self.new };
            json!({ "kid": kid, "key": key.public_key_pem() })
        });
        let mut policy = json!({ "zone": ZONE, "publicKeys": keys.collect::<Vec<_>>() });
        policy.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        self.happens(what);
        let wanted = if what.contains("bad") { Pushed::Rejected } else { Pushed::Accepted };
        assert_eq!(self.setup.gateway.push(&policy).await.unwrap(), wanted);
    }

    fn happens(&self, what: &'static str) {
        self.events.lock().unwrap().push((self.start.elapsed().as_secs_f64(), what));
    }

    async fn until(&self, seconds: f64) {
        sleep_until(self.start + Duration::from_secs_f64(seconds)).await;
    }

    async fn open(&self, kid: &str, index: usize) -> Sotw {
        let token = self.token(kid, "jti", json!(format!("proxy-{index}")));
        open(&self.setup.connect().await, &token).await
    }

    fn token(&self, kid: &str, name: &str, value: Value) -> String {
        let key = if kid == "old" { &self.setup.key } else { &self.new };
        let header = json!({ "alg": "RS256", "kid": kid, "typ": "JWT" });
        key.sign_raw(header.to_string(), claims_with(name, value).to_string())
    }

    async fn sample(&self) -> Vec<Sample> {
        let mut samples = Vec::new();
        let mut interval = interval(Duration::from_millis(200));
        while self.start.elapsed() < Duration::from_secs(END) {
            interval.tick().await;
            let text = self.setup.gateway.admin("/stats/prometheus?filter=zonegate").await;
            let series = text.unwrap().lines().filter_map(series).collect();
            samples.push(Sample { seconds: self.start.elapsed().as_secs_f64(), series });
        }
        samples
    }
}

/// Reads `zonegate_denied{reason="expired"} 3` as `denied.expired` and 3.
fn series(line: &str) -> Option<(String, f64)> {
    let (name, value) = line.strip_prefix("zonegate_")?.rsplit_once(' ')?;
    let (name, labels) = name.split_once('{')?;
    let label = labels.split('"').nth(1).map(|label| format!(".{label}")).unwrap_or_default();
    Some((format!("{name}{label}"), value.parse().ok()?))
}

/// Tries repeatedly, with a fixed pause.
async fn knock(connection: Connection, token: String, pause: Duration) {
    loop {
        connection.sotw(Some(&token), Claimed::INGRESS).await.unwrap_err();
        sleep(pause).await;
    }
}

/// Tries again after 0.5, 1, 2 and more seconds, as xDS clients do.
async fn come_back(connection: Connection, token: String) {
    let mut pause = Duration::from_millis(500);
    loop {
        sleep(pause).await;
        connection.sotw(Some(&token), Claimed::INGRESS).await.unwrap_err();
        pause *= 2;
    }
}

/// As CSV: the time, every series that was ever above zero, and the events.
fn table(samples: &[Sample], events: &[(f64, &'static str)]) -> String {
    let used = samples.iter().flat_map(|sample| &sample.series);
    let names: BTreeSet<&String> =
        used.filter(|(_, value)| **value > 0.0).map(|(name, _)| name).collect();
    let mut text = String::from("seconds");
    names.iter().for_each(|name| write!(text, ",{name}").unwrap());
    text.push_str(",event\n");
    let mut events = events.iter().peekable();
    for Sample { seconds, series } in samples {
        write!(text, "{seconds:.2}").unwrap();
        for name in &names {
            write!(text, ",{}", series.get(*name).copied().unwrap_or_default()).unwrap();
        }
        let event = events.next_if(|(at, _)| at <= seconds).map(|(_, what)| *what);
        writeln!(text, ",{}", event.unwrap_or_default()).unwrap();
    }
    text
}
