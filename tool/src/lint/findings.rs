//! The findings of the lint, with their texts.

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::Value;
use zonegate::config::{Config, Warning};
use zonegate::credential::{Issuers, Kind};
use zonegate::gate::Holding;
use zonegate::text::Quoted;
use zonegate::token::{KeySet, PublicKey, VerificationKey};

use super::rules::RuleDoubt;
use super::{ids, rules};
use crate::plugin_config::settings;

/// Something that the author of a configuration may not have meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// One key has two kids of one kind of token.
    SameKey(Kind, [String; 2]),
    /// A key of zone tokens is also a key of dataplane tokens. Their labels.
    SharedKey([String; 2]),
    /// A key is smaller than advised. Its kid and its bits.
    SmallKey(Kind, String, u32),
    /// The key of the shipped file. Its kid.
    ExampleKey(Kind, String),
    /// A kid that the shipped `stats_tags` do not turn into a label.
    KidNotALabel(Kind, String),
    /// A warning of the filter itself.
    OfTheFilter(Warning),
    /// Repeated entries in the list at this path. Their number, and one of them.
    RepeatedIds(String, usize, String),
    /// Entries in the list at this path that are longer than any token may be. Their number.
    LongIds(String, usize),
    /// A byte order mark before the ids of the text at this path.
    ByteOrderMark(String),
    /// An entry in the list at this path that is the kid of a key.
    KidRevoked(String, String),
    /// White space between the ids of the text at this path.
    NotAsKumaReads(String),
    /// The rule with this index revokes nothing.
    Rule(usize, RuleDoubt),
    /// The rule with the second index revokes everything that the rule with the first index does.
    CoveredRule(usize, usize),
    /// No zone is set.
    DefaultZone,
    /// Mode shadow: everything passes.
    Shadow,
    /// No kind of proxy may connect.
    NobodyMayConnect,
    /// Sidecars pass unchecked.
    DataplanePass,
    /// Bootstrap requests pass unchecked.
    BootstrapPass,
    /// Tokens without expiry are accepted.
    NoExpirationRequired,
    /// Tokens are accepted for this many seconds after they expire.
    Leeway(i64),
    /// Streams of revoked tokens stay open.
    RevokedKept,
    /// Tokens may be longer than the shipped gateway lets through.
    LongTokens(i64),
    /// Envoy lets requests pass if the filter fails.
    FailOpen,
    /// Envoy would not show the filter the first message.
    NoStopIteration,
    /// Headers of refused streams pass, although Envoy could hold them.
    HeadersPass,
    /// Envoy would give the next push a new VM.
    NoVmId,
}

/// NIST SP 800-57 part 1 advises against smaller RSA keys.
const ADVISED_BITS: u32 = 2048;
/// `max_request_headers_kb` of the shipped gateway, without the other headers.
const LONGEST_SENT: i64 = 56 * 1024;
/// The shipped file, with the example key.
const EXAMPLE: &str = include_str!("../../../envoy/ecds/zonegate.yaml");

/// All findings about a configuration and the object around it.
pub(super) fn all(json: &Value, config: &Config, around: Option<&Value>) -> Vec<Finding> {
    let mut findings = keys(config);
    findings.extend(ids::all(json, config));
    findings.extend(rules::all(&config.policy));
    findings.extend(policy(json));
    let holding = config.policy.holding();
    findings.extend(around.map(|around| envoy(around, holding)).unwrap_or_default());
    findings
}

fn keys(config: &Config) -> Vec<Finding> {
    let issuers = &config.policy.issuers;
    let mut findings: Vec<Finding> =
        Kind::ALL.into_iter().flat_map(|kind| keys_of(kind, issuers)).collect();
    let labelled = |kind| issuers.key_sets(kind).flat_map(KeySet::labelled);
    for (zone, key) in labelled(Kind::ZoneToken) {
        let same = labelled(Kind::DataplaneToken).filter(|(_, other)| *other == key);
        findings.extend(
            same.map(|(dataplane, _)| Finding::SharedKey([zone.to_owned(), dataplane.to_owned()])),
        );
    }
    findings
}

/// The findings about the keys of one kind of token.
fn keys_of(kind: Kind, issuers: &Issuers) -> Vec<Finding> {
    let mut findings = Vec::new();
    let keys: Vec<(&str, &VerificationKey)> =
        issuers.key_sets(kind).flat_map(KeySet::labelled).collect();
    let example = example_key();
    for (index, (label, key)) in keys.iter().enumerate() {
        let owned = || (*label).to_owned();
        if let Some((first, _)) = keys.iter().take(index).find(|(_, other)| other == key) {
            findings.push(Finding::SameKey(kind, [(*first).to_owned(), owned()]));
        }
        match key {
            VerificationKey::Rsa(key) if key.bits() < ADVISED_BITS => {
                findings.push(Finding::SmallKey(kind, owned(), key.bits()));
            }
            VerificationKey::Rsa(_) | VerificationKey::P256(_) => {}
        }
        if example.as_ref() == Some(*key) {
            findings.push(Finding::ExampleKey(kind, owned()));
        }
    }
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    let kids = issuers.key_sets(kind).flat_map(KeySet::iter).map(|(kid, _)| kid);
    for kid in kids.filter(|kid| !kid.bytes().all(is_plain)) {
        findings.push(Finding::KidNotALabel(kind, kid.to_owned()));
    }
    findings
}

/// The path of the keys of a kind.
fn keys_path(kind: Kind) -> &'static str {
    match kind {
        Kind::ZoneToken => "publicKeys",
        Kind::DataplaneToken => "dpToken.publicKeys",
        Kind::ServiceAccountToken => "serviceAccountToken.issuers",
    }
}

fn example_key() -> Option<VerificationKey> {
    let start = EXAMPLE.find("-----BEGIN RSA PUBLIC KEY-----")?;
    let lines = EXAMPLE.get(start..)?.lines().map(str::trim);
    let mut pem = String::new();
    for line in lines {
        pem.push_str(line);
        pem.push('\n');
        if line.starts_with("-----END") {
            break;
        }
    }
    PublicKey::from_pem(&pem).ok().map(Into::into)
}

fn policy(json: &Value) -> Vec<Finding> {
    let settings = settings(json);
    let value =
        |path: &str| settings.iter().find(|(other, _)| other == path).map(|(_, value)| value);
    let is = |path: &str, wanted: &str| value(path).and_then(Value::as_str) == Some(wanted);
    let number = |path: &str| value(path).and_then(Value::as_i64).unwrap_or_default();
    let is_dp_server = is("profile", "dpServer");
    let dataplane = is("proxies.dataplane", "pass");
    let proxies = ["proxies.ingress", "proxies.egress", "proxies.dataplane"];
    let nobody = proxies.iter().all(|proxy| is(proxy, "deny"));
    let has_zone_tokens = proxies.iter().any(|proxy| is(proxy, "zoneToken"));
    [
        (has_zone_tokens && json.get("zone").is_none(), Finding::DefaultZone),
        (is("mode", "shadow"), Finding::Shadow),
        (is_dp_server && nobody, Finding::NobodyMayConnect),
        (is_dp_server && dataplane, Finding::DataplanePass),
        (is_dp_server && is("bootstrap", "pass"), Finding::BootstrapPass),
        (value("requireExpiration") == Some(&Value::Bool(false)), Finding::NoExpirationRequired),
        (number("leewaySeconds") > 60, Finding::Leeway(number("leewaySeconds"))),
        (is("openStreams.onRevoked", "keep"), Finding::RevokedKept),
        (number("maxTokenBytes") > LONGEST_SENT, Finding::LongTokens(number("maxTokenBytes"))),
    ]
    .into_iter()
    .filter_map(|(is_so, finding)| is_so.then_some(finding))
    .collect()
}

/// The findings about Envoy's `PluginConfig`, or the object that becomes one, around the configuration.
fn envoy(around: &Value, holding: Holding) -> Vec<Finding> {
    let field = |snake: &str, camel: &str| around.get(snake).or_else(|| around.get(camel));
    let is_yes = |value: Option<&Value>| value == Some(&Value::Bool(true));
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let strategy = text(around.pointer("/spec/failStrategy"));
    let fails_open = is_yes(field("fail_open", "failOpen"))
        || text(field("failure_policy", "failurePolicy")) == "FAIL_OPEN"
        || strategy == "FAIL_OPEN";
    let is_envoys = field("vm_config", "vmConfig").is_some();
    let vm = field("vm_config", "vmConfig");
    let vm_id = vm.and_then(|vm| vm.get("vm_id").or_else(|| vm.get("vmId")));
    let stops = is_yes(field("allow_on_headers_stop_iteration", "allowOnHeadersStopIteration"));
    [
        (fails_open, Finding::FailOpen),
        (!stops && holding == Holding::Everything, Finding::NoStopIteration),
        (stops && holding == Holding::Body, Finding::HeadersPass),
        (is_envoys && text(vm_id).is_empty(), Finding::NoVmId),
    ]
    .into_iter()
    .filter_map(|(is_so, finding)| is_so.then_some(finding))
    .collect()
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SameKey(kind, [first, second]) => write!(
                f,
                "{}: {} and {} are the same key; to retire it, both must go",
                keys_path(*kind),
                Quoted(first),
                Quoted(second)
            ),
            Self::SharedKey([zone, dataplane]) => write!(
                f,
                "publicKeys: {} and dpToken.publicKeys: {} are the same key: a zone token would pass as a \
                 dataplane token that is bound to nothing; use a key of its own for each",
                Quoted(zone),
                Quoted(dataplane)
            ),
            Self::SmallKey(kind, kid, bits) => write!(
                f,
                "{}: {} has {bits} bits; 2048 or more are advised: rotate it",
                keys_path(*kind),
                Quoted(kid)
            ),
            Self::ExampleKey(kind, kid) => write!(
                f,
                "{}: {} is the key of the example file: put your own in its place",
                keys_path(*kind),
                Quoted(kid)
            ),
            Self::KidNotALabel(kind, kid) => write!(
                f,
                "{}: {}: the shipped stats_tags make no label of a kid with other characters \
                 than letters, digits, - and _",
                keys_path(*kind),
                Quoted(kid)
            ),
            Self::OfTheFilter(warning) => warning.fmt(f),
            Self::RepeatedIds(path, count, id) => write!(
                f,
                "{path}: ids that are there twice or more: {count}, such as {}",
                Quoted(id)
            ),
            Self::LongIds(path, count) => write!(
                f,
                "{path}: entries longer than any token may be (maxTokenBytes): {count}: they \
                 never match"
            ),
            Self::ByteOrderMark(path) => write!(
                f,
                "{path}: a byte order mark stands before the first id: the gate drops it, Kuma \
                 itself does not (save the text as UTF-8 without BOM)",
            ),
            Self::KidRevoked(path, kid) => write!(
                f,
                "{path}: {} is the kid of a key: to revoke all its tokens, remove the key",
                Quoted(kid)
            ),
            Self::NotAsKumaReads(path) => write!(
                f,
                "{path}: there is white space between the ids: the gate revokes them, Kuma \
                 itself does not (it splits on commas only)",
            ),
            Self::Rule(place, doubt) => write!(f, "revocationRules[{place}]: {doubt}"),
            Self::CoveredRule(place, wider) => write!(
                f,
                "revocationRules[{place}]: revokes nothing that revocationRules[{wider}] does not: it can go"
            ),
            Self::DefaultZone => {
                f.write_str("zone: is not named, and so is \"default\" (Kuma's default)")
            }
            Self::Shadow => f.write_str(
                "mode: shadow: everything passes; what would be denied is counted and logged",
            ),
            Self::NobodyMayConnect => {
                f.write_str("proxies: all types are denied: nothing can connect")
            }
            Self::DataplanePass => f.write_str(
                "proxies.dataplane: pass: every client that claims to be a sidecar goes through \
                 to the control plane unchecked",
            ),
            Self::BootstrapPass => {
                f.write_str("bootstrap: pass: bootstrap requests go through unchecked")
            }
            Self::NoExpirationRequired => {
                f.write_str("requireExpiration: false: tokens without exp are good until revoked")
            }
            Self::Leeway(seconds) => {
                write!(f, "leewaySeconds: {seconds}: expired tokens are good for that much longer")
            }
            Self::RevokedKept => f.write_str(
                "openStreams.onRevoked: keep: streams of a revoked token stay open until they end",
            ),
            Self::LongTokens(bytes) => write!(
                f,
                "maxTokenBytes: {bytes}: the shipped gateway takes 60 KiB of headers in all \
                 (max_request_headers_kb)"
            ),
            Self::FailOpen => f.write_str(
                "the file lets requests past a filter that fails (fail open): use FAIL_RELOAD or \
                 FAIL_CLOSED",
            ),
            Self::NoStopIteration => f.write_str(
                "allow_on_headers_stop_iteration is not set to true: the filter sees no first \
                 message, and answers streams with no_first_message; where the file cannot set it, set \
                 holdHeaders: false",
            ),
            Self::HeadersPass => f.write_str(
                "holdHeaders: false: the control plane sees the headers of streams that are refused later; \
                 the file sets allow_on_headers_stop_iteration, so remove it",
            ),
            Self::NoVmId => f.write_str(
                "vm_config.vm_id is not set: a push would not reach the streams that are open",
            ),
        }
    }
}

impl Serialize for Finding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
