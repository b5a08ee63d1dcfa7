//! A host in place of Envoy: it keeps bodies and clocks, and passes events to the lifecycle.
//!
//! In: events. Out: steps and effects. Tokens, bodies and policies are referred to by name.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3::DiscoveryRequest;
use envoy_types::pb::google::protobuf::{Struct, Value as ProtoValue, value::Kind};
use prost::Message;
use serde_json::{Value, json};
use zonegate::config::Config;
use zonegate::gate::{ADS_SOTW, BOOTSTRAP, HDS, Head, Now, Policy, UnixTime};
use zonegate::lifecycle::{
    Clocks, Cut, Effect, Lifecycle, PolicyNumber, Request, RequestBody, Step, StreamId,
};
use zonegate_issuer::SigningKey;

/// The key of kid 1, and a key that is configured only if a policy says so.
pub(crate) static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate(1024).unwrap());
static OTHER: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate(1024).unwrap());
/// A key that is never configured.
static STRANGER: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate(1024).unwrap());
/// The time at which every story begins.
pub(crate) const START: u64 = 1_800_000_000;

/// The default policy, with these fields changed.
pub(crate) fn policy(fields: &Value) -> Policy {
    let mut config = json!({
        "zone": "east",
        "publicKeys": [{ "kid": "1", "key": KEY.public_key_pem() }],
        "firstMessageSeconds": 1,
        "openStreams": { "cutWithinMilliseconds": 0 },
    });
    for (name, value) in fields.as_object().unwrap() {
        let value = match value.as_str() {
            Some("OTHER") => json!([{ "kid": "1", "key": OTHER.public_key_pem() }]),
            Some("KID 2") => json!([{ "kid": "2", "key": KEY.public_key_pem() }]),
            _ => value.clone(),
        };
        match (config[name].as_object_mut(), value.as_object()) {
            (Some(before), Some(more)) => before.extend(more.clone()),
            _ => config[name] = value,
        }
    }
    if let Some(name) = config["dpToken"]["publicKeys"].as_str() {
        config["dpToken"]["publicKeys"] = dataplane_keys(name);
    }
    if config["dpToken"].is_null() {
        config.as_object_mut().unwrap().remove("dpToken");
    }
    if config["profile"] == "globalKds" {
        for field in ["zone", "firstMessageSeconds"] {
            config.as_object_mut().unwrap().remove(field);
        }
    }
    Config::from_json(config.to_string().as_bytes()).unwrap().policy
}

/// Kid `m` of two meshes, and kid `all` of every mesh.
fn dataplane_keys(name: &str) -> Value {
    let key = |mesh: &str, kid: &str, key: &SigningKey| json!({ "mesh": mesh, "kid": kid, "key": key.public_key_pem() });
    let (default, all) = (key("default", "m", &KEY), key("", "all", &KEY));
    match name {
        "MESHES" => json!([default, key("other", "m", &OTHER), all]),
        "MESH" => json!([default, all]),
        "REPLACED" => json!([default, key("other", "m", &KEY), key("", "all", &OTHER)]),
        other => panic!("no keys are called {other}"),
    }
}

/// The token with this name; an empty name is no token.
pub(crate) fn token(name: &str) -> String {
    static TOKENS: LazyLock<BTreeMap<&str, String>> = LazyLock::new(|| {
        let sign = |key: &SigningKey, id: &str, zone: &str, scope: &str, seconds: u64| {
            let claims =
                json!({ "Zone": zone, "Scope": [scope], "exp": START + seconds, "jti": id });
            key.sign_raw(r#"{"alg":"RS256","kid":"1"}"#, claims.to_string())
        };
        let sign_dataplane = |key: &SigningKey, kid: &str, id: &str| {
            let claims = json!({ "exp": START + 1_000, "jti": id });
            key.sign_raw(json!({ "alg": "RS256", "kid": kid }).to_string(), claims.to_string())
        };
        let year = 365 * 86_400;
        BTreeMap::from([
            ("good", sign(&KEY, "id-1", "east", "ingress", year)),
            ("other", sign(&KEY, "id-2", "east", "ingress", year)),
            ("short", sign(&KEY, "id-3", "east", "ingress", 10)),
            ("longer", sign(&KEY, "id-6", "east", "ingress", 20)),
            ("five-days", sign(&KEY, "id-7", "east", "ingress", 5 * 86_400)),
            ("over-512-bytes", sign(&KEY, &"id-8".repeat(100), "east", "ingress", year)),
            ("west", sign(&KEY, "id-4", "west", "ingress", year)),
            ("egress", sign(&KEY, "id-5", "east", "egress", year)),
            ("forged", sign(&OTHER, "id-1", "east", "ingress", year)),
            ("garbage", "garbage".to_owned()),
            ("dp-default", sign_dataplane(&KEY, "m", "id-1")),
            ("dp-other", sign_dataplane(&OTHER, "m", "id-1")),
            ("dp-all", sign_dataplane(&KEY, "all", "id-1")),
            ("dp-forged", sign_dataplane(&STRANGER, "m", "id-1")),
        ])
    });
    TOKENS[name].clone()
}

/// The bytes with this name, as they arrive in a body.
pub(crate) fn bytes(name: &str) -> Vec<u8> {
    let framed_as = |kind: &str, id: &str| {
        let kind = ProtoValue { kind: Some(Kind::StringValue(kind.to_owned())) };
        let fields = [("dataplane.proxyType".to_owned(), kind)].into();
        let metadata = Some(Struct { fields });
        let node = Some(Node { id: id.to_owned(), metadata, ..Node::default() });
        let message = DiscoveryRequest { node, ..DiscoveryRequest::default() }.encode_to_vec();
        let mut frame = vec![0];
        frame.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
        frame.extend(message);
        frame
    };
    let framed = |kind: &str| framed_as(kind, ".node");
    let ingress = framed("ingress");
    match name {
        "half" => ingress[..20].to_vec(),
        "rest" => ingress[20..].to_vec(),
        "nothing" => Vec::new(),
        "compressed" => vec![1; 10],
        "garbage" => vec![0, 0, 0, 0, 1, 0xff],
        // The start of a message of 1 MiB.
        "long" => [vec![0, 0, 0x10, 0, 0], vec![b' '; 100 * 1024]].concat(),
        "large" => vec![b' '; 100 * 1024],
        "too-large" => vec![b' '; 128 * 1024 + 1],
        "ingress" | "egress" | "dataplane" => framed(name),
        "default.dp-1" | "other.dp-1" => framed_as("dataplane", name),
        token_name => {
            let token = token(token_name.strip_prefix("boot-").expect(token_name));
            json!({ "proxyType": "ingress", "dataplaneToken": token }).to_string().into_bytes()
        }
    }
}

/// The host's state of a stream.
pub(crate) struct HostStream {
    pub(crate) path: &'static str,
    pub(crate) token: String,
    /// All data that has arrived, kept or passed on.
    pub(crate) body: Vec<u8>,
    step: Step,
}

/// The host of one worker.
pub(crate) struct Host {
    pub(crate) life: Lifecycle,
    pub(crate) streams: BTreeMap<u32, HostStream>,
    /// Milliseconds since 1970; `None` without a clock.
    pub(crate) wall: Option<u64>,
    /// Milliseconds on the monotonic clock.
    pub(crate) monotonic: u64,
}

/// The headers of a new stream.
pub(crate) struct Begin<'a> {
    pub(crate) path: &'static str,
    /// The name of its token; empty means no token.
    pub(crate) token: &'a str,
    pub(crate) under: Option<PolicyNumber>,
    pub(crate) header_bytes: usize,
    pub(crate) is_end: bool,
}

/// The part of a body that Envoy shows.
pub(crate) struct Shown<'a>(pub(crate) &'a [u8]);

impl RequestBody for Shown<'_> {
    fn size(&self) -> usize {
        self.0.len()
    }

    fn read(&self, length: usize) -> Option<Cow<'_, [u8]>> {
        self.0.get(..length.min(self.0.len())).map(Cow::Borrowed)
    }
}

pub(crate) fn path(name: &str) -> &'static str {
    match name {
        "headers" => ADS_SOTW,
        "bootstrap" => BOOTSTRAP,
        "hds" => HDS,
        "elsewhere" => "/elsewhere",
        other => panic!("no path is called {other}"),
    }
}

/// The headers of a request, as a gate sees them.
pub(crate) fn head<'a>(path: &'a str, token: &'a str) -> Head<'a> {
    Head {
        method: b"POST",
        path: path.as_bytes(),
        content_type: match path {
            BOOTSTRAP => vec![b"application/json"],
            _ => vec![b"application/grpc"],
        },
        authorization: if token.is_empty() { Vec::new() } else { vec![token.as_bytes()] },
        client_id: Vec::new(),
    }
}

impl Host {
    pub(crate) fn new() -> Self {
        Self::of(Lifecycle::default())
    }

    pub(crate) fn of(life: Lifecycle) -> Self {
        Self { life, streams: BTreeMap::new(), wall: Some(START * 1_000), monotonic: 0 }
    }

    /// A callback in which the host ends streams for which there was no room before.
    pub(crate) fn more(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.life.on_more(&mut effects);
        effects
    }

    pub(crate) fn clock(&self) -> Now {
        let wall = self.wall.map(Duration::from_millis);
        Now(wall.map(UnixTime::after_epoch))
    }

    fn now(&self) -> Clocks {
        Clocks { wall: self.clock(), monotonic: Duration::from_millis(self.monotonic) }
    }

    pub(crate) fn push(&mut self, policy: Arc<Policy>) -> (PolicyNumber, Vec<Effect>) {
        let mut effects = Vec::new();
        let number = self.life.on_policy(policy, self.now(), &mut effects);
        (number, effects)
    }

    /// The host goes back to a policy that it pushed before.
    pub(crate) fn go_back(&mut self, number: PolicyNumber) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.life.on_policy_again(number, self.now(), &mut effects);
        effects
    }

    pub(crate) fn begin(&mut self, id: u32, begin: &Begin<'_>) -> (Step, Vec<Effect>) {
        let token = if begin.token.is_empty() { String::new() } else { token(begin.token) };
        let request = Request {
            stream: StreamId(id),
            under: begin.under,
            head: head(begin.path, &token),
            request_id: b"",
            header_bytes: begin.header_bytes,
            is_end: begin.is_end,
        };
        let mut effects = Vec::new();
        let step = self.life.on_headers(&request, self.clock(), &mut effects);
        let stream = HostStream { path: begin.path, token, body: Vec::new(), step };
        self.streams.insert(id, stream);
        (step, effects)
    }

    pub(crate) fn body(&mut self, id: u32, piece: &[u8], is_end: bool) -> (Step, Vec<Effect>) {
        let clock = self.clock();
        let stream = self.streams.get_mut(&id).unwrap();
        stream.body.extend_from_slice(piece);
        // Data that was passed on is not shown again.
        let shown = match stream.step {
            Step::Pause => &stream.body,
            Step::Continue => piece,
        };
        let mut effects = Vec::new();
        let step = self.life.on_body(StreamId(id), &Shown(shown), is_end, &|| clock, &mut effects);
        stream.step = step;
        (step, effects)
    }

    pub(crate) fn trailers(&mut self, id: u32) -> (Step, Vec<Effect>) {
        let mut effects = Vec::new();
        let step = self.life.on_trailers(StreamId(id), &mut effects);
        (step, effects)
    }

    pub(crate) fn end(&mut self, id: u32) {
        self.streams.remove(&id);
        self.life.on_end(StreamId(id));
    }

    pub(crate) fn lose(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.life.on_policy_lost(Cut::ModuleReplaced, self.now(), &mut effects);
        effects
    }

    pub(crate) fn tick(&mut self, milliseconds: u64) -> Vec<Effect> {
        self.monotonic += milliseconds;
        self.wall = self.wall.map(|wall| wall + milliseconds);
        let mut effects = Vec::new();
        self.life.on_tick(self.now(), &mut effects);
        effects
    }
}
