//! A request in one line, and the gate's verdict on it in one line.
//!
//! In: a policy and a line. Out: the verdict. The expected verdicts are in the tables.
//!
//! A line begins with `sotw`, `delta`, `hds`, `bootstrap` or `kds`: a request of such a proxy, or of such a control
//! plane. The words after it say what differs from the default:
//!
//! - `method=`, `path=` (or `behind=`, text after the usual path), `type=` (content-type), `client=`
//!   (client-id); two words of one name are two headers, `none` is no header, and an empty value is an empty header;
//! - `token=none`, `token=` (empty), `token=garbage`, `token=twice` (two headers), `token=joined` (by a
//!   comma), `token=bearer`, `token=spaced`; for any other token `zone=`, `scope=` (by
//!   commas), `exp=`, `nbf=` and `iat=` (seconds from now; `none`), `jti=`, `alg=`, `kid=`, and `by=stranger`
//!   (who signed);
//! - of a service-account token, which `account=` makes it (`namespace/name`), `pod=`, `iss=` and `aud=` (by
//!   commas);
//! - of the first message or the bootstrap body `node=` (its id), `proxy=` and `resource=` (`none` means
//!   absent), or all of it: `message=`, `body=`;
//! - `at=` and `later=`: when headers and message come, in seconds from now; `none` is a host without time.
//!
//! A verdict begins with `headers:`, `message:` or `body:`, the step of the decision. Then comes `allow CALLER`,
//! `unchecked SWITCH`, or the reason, followed by the ID of the token in brackets if the token was verified by then.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DiscoveryRequest};
use envoy_types::pb::envoy::service::health::v3::health_check_request_or_endpoint_health_response::RequestType;
use envoy_types::pb::envoy::service::health::v3::{
    HealthCheckRequest, HealthCheckRequestOrEndpointHealthResponse,
};
use envoy_types::pb::google::protobuf::{Struct, Value as ProtoValue, value::Kind};
use prost::Message;
use serde_json::{Map, Value, json};
use zonegate::config::Config;
use zonegate::credential::TokenCache;
use zonegate::gate::{
    ADS_DELTA, ADS_SOTW, BOOTSTRAP, Denial, HDS, Head, Held, Judge, KDS, Now, Permit, Policy,
    Unchecked, UnixTime, Verdict, XdsVariant,
};
use zonegate_issuer::SigningKey;

pub(crate) static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate(1024).unwrap());
pub(crate) static STRANGER: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::generate(1024).unwrap());
/// The time from which every date is counted.
pub(crate) const NOW: u64 = 1_800_000_000;

/// The policy of zone east with the keys of kid 1 and 2, changed by these fields.
pub(crate) fn policy(fields: &Value) -> Policy {
    let key = KEY.public_key_pem();
    let mut config = json!({
        "zone": "east",
        "publicKeys": [{ "kid": "1", "key": key }, { "kid": "2", "key": key }],
        "revocations": ["revoked"],
    });
    if fields["profile"] == "globalKds" {
        config.as_object_mut().unwrap().remove("zone");
    }
    for (name, value) in fields.as_object().unwrap() {
        config[name] = match value.as_str() {
            Some("STRANGER") => json!([{ "kid": "1", "key": STRANGER.public_key_pem() }]),
            Some("KID 2") => json!([{ "kid": "2", "key": key }]),
            _ => value.clone(),
        };
    }
    Config::from_json(config.to_string().as_bytes()).unwrap().policy
}

/// A line.
pub(crate) struct Request<'a> {
    kind: &'a str,
    words: Vec<(&'a str, &'a str)>,
}

impl<'a> Request<'a> {
    pub(crate) fn of(line: &'a str) -> Self {
        let (kind, words) = line.split_once(' ').unwrap_or((line, ""));
        let words = words.split_whitespace().map(|word| word.split_once('=').expect(word));
        Self { kind, words: words.collect() }
    }

    fn all(&self, name: &str) -> Vec<&'a str> {
        self.words.iter().filter(|(word, _)| *word == name).map(|(_, value)| *value).collect()
    }

    fn word(&self, name: &str) -> Option<&'a str> {
        self.all(name).pop()
    }

    /// The values of a header.
    fn header(&self, name: &str, usual: &'static str) -> Vec<&'a [u8]> {
        let values = match self.all(name) {
            values if values.is_empty() => vec![usual],
            values => values,
        };
        values.into_iter().filter(|value| *value != "none").map(str::as_bytes).collect()
    }

    /// The text of the token; `None` if there is no token.
    pub(crate) fn token(&self) -> Option<String> {
        let signer = match self.word("by") {
            Some("stranger") => &STRANGER,
            _ => &KEY,
        };
        let usual_scope = if self.kind == "kds" { "cp" } else { "ingress" };
        let scope = self.word("scope").unwrap_or(usual_scope).split(',');
        let date = |name, usual| match self.word(name).unwrap_or(usual) {
            "none" => Value::Null,
            seconds => json!(NOW.checked_add_signed(seconds.parse().unwrap()).unwrap()),
        };
        let algorithm = self.word("alg").unwrap_or("RS256");
        let header = json!({ "alg": algorithm, "kid": self.word("kid").unwrap_or("1") });
        let mut claims = json!({
            "Zone": self.word("zone").unwrap_or("east"),
            "Scope": scope.filter(|scope| !scope.is_empty()).collect::<Vec<_>>(),
            "exp": date("exp", "60"),
            "nbf": date("nbf", "none"),
            "jti": self.word("jti").unwrap_or("id-1"),
        });
        if let Some(seconds) = self.word("iat") {
            claims["iat"] = json!(NOW.checked_add_signed(seconds.parse().unwrap()).unwrap());
        }
        let claims = match self.word("account") {
            Some(account) => self.service_account_claims(account, claims),
            None => claims,
        };
        let token = || signer.sign_raw(header.to_string(), claims.to_string());
        match self.word("token") {
            None | Some("twice") => Some(token()),
            Some("none") => None,
            Some("joined") => Some(format!("{0},{0}", token())),
            Some("bearer") => Some(format!("Bearer {}", token())),
            Some("spaced") => Some(format!(" {} ", token())),
            Some(text) => Some(text.to_owned()),
        }
    }

    /// The claims as an API server writes them, with the dates and the ID of `claims`.
    fn service_account_claims(&self, account: &str, mut claims: Value) -> Value {
        let (namespace, name) = account.split_once('/').unwrap();
        let mut bound = json!({
            "namespace": namespace,
            "serviceaccount": { "name": name, "uid": "uid-1" },
        });
        if let Some(pod) = self.word("pod") {
            bound["pod"] = json!({ "name": pod, "uid": "uid-2" });
        }
        if let Some(members) = self.word("bound") {
            let members: Map<String, Value> = serde_json::from_str(members).unwrap();
            bound.as_object_mut().unwrap().extend(members);
        }
        let issuer = self.word("iss").unwrap_or("https://east.example");
        claims["iss"] = json!(issuer);
        claims["aud"] = json!(self.word("aud").unwrap_or(issuer).split(',').collect::<Vec<_>>());
        claims["kubernetes.io"] = bound;
        claims
    }

    fn clock(&self, name: &str) -> Now {
        let seconds = match self.word(name).or_else(|| self.word("at")) {
            Some("none") => return Now(None),
            Some(seconds) => seconds.parse::<f64>().unwrap(),
            None => 0.0,
        };
        let (now, span) = (Duration::from_secs(NOW), Duration::from_secs_f64(seconds.abs()));
        let time = if seconds < 0.0 { now - span } else { now + span };
        Now(Some(UnixTime::after_epoch(time)))
    }

    /// The first message, without the prefix of gRPC.
    fn message(&self, variant: XdsVariant) -> Vec<u8> {
        let variant = match self.word("message") {
            Some("sotw") => XdsVariant::Sotw,
            Some("delta") => XdsVariant::Delta,
            Some(text) => return text.as_bytes().to_vec(),
            None => variant,
        };
        let id = self.word("node").unwrap_or("default.node").to_owned();
        let (mesh, name) = id.split_once('.').unwrap_or(("", &id));
        let resource = |kind| json!({ "type": kind, "mesh": mesh, "name": name }).to_string();
        let resource = self.word("resource").map(resource);
        let proxy = Some(self.word("proxy").unwrap_or("ingress")).filter(|name| *name != "none");
        let fields = [
            ("dataplane.proxyType", proxy.map(str::to_owned)),
            ("dataplane.resource", resource),
            ("version", Some("1".to_owned())),
        ];
        let fields = fields.into_iter().filter_map(|(name, text)| {
            Some((name.to_owned(), ProtoValue { kind: Some(Kind::StringValue(text?)) }))
        });
        let metadata = Some(Struct { fields: fields.collect() });
        discovery_message(variant, Node { id, metadata, ..Node::default() })
    }

    fn body(&self) -> Vec<u8> {
        if let Some(text) = self.word("body") {
            return text.as_bytes().to_vec();
        }
        let mut body = json!({ "name": "ingress" });
        match self.word("proxy") {
            Some("none") => {}
            proxy => body["proxyType"] = json!(proxy.unwrap_or("ingress")),
        }
        if let Some(token) = self.token() {
            body["dataplaneToken"] = json!(token);
        }
        body.to_string().into_bytes()
    }

    /// The verdict if one policy judges the headers, and another the rest.
    pub(crate) fn judge(&self, policy: &Policy, later: &Policy) -> String {
        let (path, content_type) = match self.kind {
            "sotw" => (ADS_SOTW, "application/grpc"),
            "delta" => (ADS_DELTA, "application/grpc"),
            "hds" => (HDS, "application/grpc"),
            "bootstrap" => (BOOTSTRAP, "application/json"),
            "kds" => (KDS[0], "application/grpc"),
            other => panic!("no request is called {other}"),
        };
        let path = self.word("path").unwrap_or(path).to_owned() + self.word("behind").unwrap_or("");
        let in_body = self.kind == "bootstrap";
        let token = if in_body { None } else { self.token() };
        let mut authorization: Vec<&[u8]> = token.iter().map(String::as_bytes).collect();
        if self.word("token") == Some("twice") {
            authorization.extend(authorization.clone());
        }
        let usual_client = if self.kind == "kds" { "east" } else { "none" };
        let lists = [
            (":method", vec![self.word("method").unwrap_or("POST").as_bytes()]),
            (":path", vec![path.as_bytes()]),
            (":authority", vec![&b"control-plane:5678"[..]]),
            ("content-type", self.header("type", content_type)),
            ("authorization", authorization),
            ("client-id", self.header("client", usual_client)),
            // HTTP/2 has no names in capitals, and the gate ignores other headers.
            ("Authorization", vec![b"a.b.c"]),
            ("x-client-id", vec![b"west"]),
        ];
        let all = lists
            .iter()
            .flat_map(|(name, values)| values.iter().map(|value| (name.as_bytes(), *value)));
        let head: Head<'_> = all.collect();
        let clock = self.clock("at");
        let verdict = policy.judge(&head, clock);
        // The cache of a worker must not change the verdict.
        let cache = TokenCache::default();
        for _ in 0..2 {
            assert_eq!(Judge::new(policy, &cache).headers(&head, clock), verdict);
        }
        let clock = self.clock("later");
        match verdict {
            Verdict::Allow(permit) => format!("headers: {}", allowed(&permit)),
            Verdict::Deny(denial) => format!("headers: {}", refused(&denial)),
            Verdict::Hold(Held::FirstMessage { variant, credential }) => {
                let message = self.message(variant);
                let judged = later.judge_first_message(variant, credential, &message, clock);
                format!("message: {}", said(&judged))
            }
            Verdict::Hold(Held::Bootstrap) => {
                let judged = Judge::new(later, &cache).bootstrap_body(&self.body(), clock);
                format!("body: {}", said(&judged))
            }
        }
    }
}

/// The first message of a stream.
pub(crate) fn discovery_message(variant: XdsVariant, node: Node) -> Vec<u8> {
    let node = Some(node);
    match variant {
        XdsVariant::Sotw => DiscoveryRequest { node, ..Default::default() }.encode_to_vec(),
        XdsVariant::Delta => DeltaDiscoveryRequest { node, ..Default::default() }.encode_to_vec(),
        XdsVariant::Hds => health_check_request(node),
    }
}

/// The first message of an ingress.
pub(crate) fn ingress_message() -> Vec<u8> {
    Request::of("sotw").message(XdsVariant::Sotw)
}

/// The first message of health discovery.
fn health_check_request(node: Option<Node>) -> Vec<u8> {
    let request = HealthCheckRequest { node, ..HealthCheckRequest::default() };
    HealthCheckRequestOrEndpointHealthResponse {
        request_type: Some(RequestType::HealthCheckRequest(request)),
    }
    .encode_to_vec()
}

pub(crate) fn said(judged: &Result<Permit, Denial>) -> String {
    judged.as_ref().map_or_else(refused, allowed)
}

pub(crate) fn allowed(permit: &Permit) -> String {
    match permit {
        Permit::Token { caller, .. } => format!("allow {caller}"),
        Permit::Unchecked(Unchecked::Dataplane) => "unchecked dataplane".to_owned(),
        Permit::Unchecked(Unchecked::Bootstrap) => "unchecked bootstrap".to_owned(),
    }
}

pub(crate) fn refused(denial: &Denial) -> String {
    let reason = denial.refusal.reason();
    match &denial.token {
        Some(token) => format!("{reason} ({})", token.identity.id),
        None => reason.to_string(),
    }
}

/// Judges each line by one policy, and compares the verdicts.
pub(crate) fn judged(fields: &Value, table: &[(&str, &str)]) {
    judged_later(fields, fields, table);
}

/// As [`judged`], with a push between the headers and the rest.
pub(crate) fn judged_later(fields: &Value, later: &Value, table: &[(&str, &str)]) {
    let (policy, later) = (policy(fields), Arc::new(policy(later)));
    let wrong: Vec<_> = table
        .iter()
        .map(|(line, wanted)| (line, wanted, Request::of(line).judge(&policy, &later)))
        .filter(|(_, wanted, seen)| seen != *wanted)
        .map(|(line, wanted, seen)| format!("{line}\n  wanted {wanted}\n  seen   {seen}"))
        .collect();
    assert!(wrong.is_empty(), "under {fields}:\n{}", wrong.join("\n"));
}
