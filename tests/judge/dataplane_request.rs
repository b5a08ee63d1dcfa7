//! A dataplane that connects, in one line, and the gate's verdict on it in one line.
//!
//! A line begins with `sotw`, `delta`, `hds` or `bootstrap`. The words after it say what differs from the default:
//!
//! - of the token `by=` (who signed: `default`, `other`, `all` or `stranger`), `kid=` (usually `1`, which the
//!   meshes default and other both have), `name=`, `mesh=`, `tags=` (as `a:1|2,b:3`), `workload=`, `exp=` (in
//!   seconds), `jti=`; `token=none` and `token=garbage`;
//! - of the proxy `node=` (its id), `proxy=` (its type), `resource=none`, or of its resource `has=` (its tags, one
//!   inbound for each: `a:1,b:2`), `gateway=` (likewise), `label=` (its workload), `called=` (its name).
//!
//! The verdicts are those of [`crate::request`].

use std::collections::BTreeMap;
use std::sync::LazyLock;

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::google::protobuf::{Struct, Value as ProtoValue, value::Kind};
use serde_json::{Value, json};
use zonegate::config::Config;
use zonegate::credential::TokenCache;
use zonegate::gate::{
    ADS_DELTA, ADS_SOTW, BOOTSTRAP, Denial, HDS, Head, Held, Judge, Now, Permit, Policy, UnixTime,
    Verdict,
};
use zonegate_issuer::SigningKey;

use crate::request::{KEY, NOW, discovery_message, said};

pub(crate) const CLOCK: Now = Now(Some(UnixTime::from_secs(NOW)));

static KEYS: LazyLock<BTreeMap<&str, SigningKey>> = LazyLock::new(|| {
    let key = |name| (name, SigningKey::generate(1024).unwrap());
    ["default", "other", "all", "stranger"].map(key).into()
});

/// A policy with keys of two meshes, of all meshes and of zone tokens, changed by these fields.
///
/// Both meshes have kid 1; `d`, `o` and `all` are each in one place; mesh default and all meshes have different keys
/// under `both`.
pub(crate) fn policy(fields: &Value) -> Policy {
    let key = |mesh: &str, kid: &str, name: &str| json!({ "mesh": mesh, "kid": kid, "key": KEYS[name].public_key_pem() });
    let mut config = json!({
        "zone": "east",
        "publicKeys": [{ "kid": "zone", "key": KEY.public_key_pem() }],
        "dpToken": {
            "publicKeys": [
                key("default", "1", "default"), key("other", "1", "other"), key("default", "d", "default"),
                key("other", "o", "other"), key("", "all", "all"), key("", "both", "all"),
                key("default", "both", "default"),
            ],
            "revocations": { "default": "revoked", "other": "gone" },
        },
        "proxies": { "dataplane": "dpToken" },
    });
    for (name, value) in fields.as_object().unwrap() {
        match (config[name].as_object_mut(), value.as_object()) {
            (Some(before), Some(more)) => before.extend(more.clone()),
            _ => config[name] = value.clone(),
        }
    }
    Config::from_json(config.to_string().as_bytes()).unwrap().policy
}

pub(crate) struct Line<'a> {
    kind: &'a str,
    words: BTreeMap<&'a str, &'a str>,
}

impl<'a> Line<'a> {
    pub(crate) fn of(line: &'a str) -> Self {
        let mut words = line.split_whitespace();
        let kind = words.next().unwrap();
        Self { kind, words: words.map(|word| word.split_once('=').expect(word)).collect() }
    }

    fn word(&self, name: &str, usual: &'a str) -> &'a str {
        self.words.get(name).copied().unwrap_or(usual)
    }

    pub(crate) fn token(&self) -> Option<String> {
        match self.word("token", "") {
            "" => {}
            "none" => return None,
            text => return Some(text.to_owned()),
        }
        let exp = NOW.checked_add_signed(self.word("exp", "60").parse().unwrap()).unwrap();
        let list = |values: &str| values.split('|').map(str::to_owned).collect::<Vec<_>>();
        let tags = pairs(self.word("tags", ""));
        let tags: BTreeMap<_, _> =
            tags.into_iter().map(|(tag, values)| (tag, list(values))).collect();
        let claims = json!({
            "Name": self.word("name", ""),
            "Mesh": self.word("mesh", ""),
            "Tags": tags,
            "Workload": self.word("workload", ""),
            "exp": exp,
            "jti": self.word("jti", "id-1"),
        });
        let header = json!({ "alg": "RS256", "kid": self.word("kid", "1") });
        let key = match self.word("by", "default") {
            "zone" => &KEY,
            name => &KEYS[name],
        };
        Some(key.sign_raw(header.to_string(), claims.to_string()))
    }

    fn node(&self) -> &'a str {
        self.word("node", "default.dp-1")
    }

    fn resource(&self) -> Option<String> {
        if self.word("resource", "") == "none" {
            return None;
        }
        let (mesh, name) = self.node().split_once('.').unwrap_or_default();
        let tagged = |(tag, value): (&str, &str)| json!({ "port": 80, "tags": { tag: value } });
        let inbound: Vec<Value> =
            pairs(self.word("has", "kuma.io/service:web")).into_iter().map(tagged).collect();
        let mut resource = json!({
            "type": "Dataplane", "mesh": mesh, "name": self.word("called", name),
            "networking": { "address": "127.0.0.1", "inbound": inbound },
        });
        for (tag, value) in pairs(self.word("gateway", "")) {
            resource["networking"]["gateway"]["tags"][tag] = json!(value);
        }
        if let Some(label) = self.words.get("label") {
            resource["labels"] = json!({ "kuma.io/workload": label });
        }
        Some(resource.to_string())
    }

    fn first_message(&self, variant: zonegate::gate::XdsVariant) -> Vec<u8> {
        let proxy_type = Some(self.word("proxy", "dataplane").to_owned());
        let fields = [("dataplane.proxyType", proxy_type), ("dataplane.resource", self.resource())];
        let fields = fields.into_iter().filter_map(|(name, text)| {
            Some((name.to_owned(), ProtoValue { kind: Some(Kind::StringValue(text?)) }))
        });
        let metadata = Some(Struct { fields: fields.collect() });
        discovery_message(variant, Node { id: self.node().to_owned(), metadata, ..Node::default() })
    }

    fn body(&self) -> Vec<u8> {
        let (mesh, name) = self.node().split_once('.').unwrap_or_default();
        let body = json!({
            "mesh": mesh, "name": name, "proxyType": self.word("proxy", "dataplane"),
            "dataplaneResource": self.resource().unwrap_or_default(), "dataplaneToken": self.token().unwrap_or_default(),
        });
        body.to_string().into_bytes()
    }

    /// The verdict on its headers.
    pub(crate) fn headers(&self, judge: Judge<'_>) -> Verdict {
        self.with_head(|head| judge.headers(head, CLOCK))
    }

    /// The verdict if only its headers are ever seen.
    pub(crate) fn alone(&self, judge: Judge<'_>) -> Result<Permit, Denial> {
        self.with_head(|head| judge.headers_alone(head, None, CLOCK))
    }

    fn with_head<T>(&self, judge: impl FnOnce(&Head<'_>) -> T) -> T {
        let (path, content_type) = match self.kind {
            "sotw" => (ADS_SOTW, "application/grpc"),
            "delta" => (ADS_DELTA, "application/grpc"),
            "hds" => (HDS, "application/grpc"),
            "bootstrap" => (BOOTSTRAP, "application/json"),
            other => panic!("{other}"),
        };
        let token = self.token();
        let head = Head {
            method: b"POST",
            path: path.as_bytes(),
            content_type: vec![content_type.as_bytes()],
            authorization: token.iter().map(String::as_bytes).collect(),
            client_id: Vec::new(),
        };
        judge(&head)
    }

    /// The verdict, and what it was based on: headers, message or body.
    pub(crate) fn decided(
        &self,
        policy: &Policy,
        cache: &TokenCache,
    ) -> (&'static str, Result<Permit, Denial>) {
        let judge = Judge::new(policy, cache);
        match self.headers(judge) {
            Verdict::Allow(permit) => ("headers", Ok(permit)),
            Verdict::Deny(denial) => ("headers", Err(denial)),
            Verdict::Hold(Held::FirstMessage { variant, credential }) => {
                let message = self.first_message(variant);
                let judged = judge.first_message(variant, credential.clone(), &message, CLOCK);
                // The cache of a worker must not change the verdict.
                let again = policy.judge_first_message(variant, credential, &message, CLOCK);
                assert_eq!(said(&again), said(&judged));
                ("message", judged)
            }
            Verdict::Hold(Held::Bootstrap) => ("body", judge.bootstrap_body(&self.body(), CLOCK)),
        }
    }

    fn judge(&self, policy: &Policy, cache: &TokenCache) -> String {
        let (what, judged) = self.decided(policy, cache);
        format!("{what}: {}", said(&judged))
    }
}

fn pairs(text: &str) -> Vec<(&str, &str)> {
    let parts = text.split(',').filter(|part| !part.is_empty());
    parts.map(|part| part.split_once(':').expect(part)).collect()
}

/// Judges each line by one policy, and compares the verdicts.
pub(crate) fn judged(fields: &Value, table: &[(&str, &str)]) {
    judged_by(&policy(fields), fields, table, TokenCache::default);
}

/// As [`judged`], by a worker that has allowed the proxy of `before` under the usual policy.
pub(crate) fn judged_after(before: &str, fields: &Value, table: &[(&str, &str)]) {
    judged_by(&policy(fields), fields, table, || {
        let cache = TokenCache::default();
        let said = Line::of(before).judge(&policy(&json!({})), &cache);
        assert!(said.contains("allow"), "{before}: {said}");
        cache
    });
}

fn judged_by(
    policy: &Policy,
    fields: &Value,
    table: &[(&str, &str)],
    cache: impl Fn() -> TokenCache,
) {
    let wrong: Vec<_> = table
        .iter()
        .map(|(line, wanted)| (line, wanted, judged_thrice(&Line::of(line), policy, &cache())))
        .filter(|(_, wanted, seen)| seen != *wanted)
        .map(|(line, wanted, seen)| format!("{line}\n  wanted {wanted}\n  seen   {seen}"))
        .collect();
    assert!(wrong.is_empty(), "under {fields}:\n{}", wrong.join("\n"));
}

/// Judges a line three times. The verdict must stay the same: the second time the token is cached, the third time the
/// resource.
fn judged_thrice(line: &Line, policy: &Policy, cache: &TokenCache) -> String {
    let said = |judged: &str| judged.split_once(": ").map(|(_, said)| said.to_owned());
    let [first, second, third] = [(); 3].map(|()| line.judge(policy, cache));
    match said(&first) == said(&second) && said(&second) == said(&third) {
        true => first,
        false => format!("{first}, then {second}, then {third}"),
    }
}
