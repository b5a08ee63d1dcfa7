//! The opening of a stream, as input of `tests/kuma`, and the gate's verdict on it.
//!
//! In: a line of that program's mode `streams` (`tests/kuma/dataplane.go` describes the members), and keys by name.
//! Out: the gate's verdict, with a configuration equal to the control plane's. Kuma's verdict is not known here.

use std::collections::BTreeMap;
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3::DiscoveryRequest;
use envoy_types::pb::envoy::service::health::v3::health_check_request_or_endpoint_health_response::RequestType;
use envoy_types::pb::envoy::service::health::v3::{
    HealthCheckRequest, HealthCheckRequestOrEndpointHealthResponse,
};
use envoy_types::pb::google::protobuf::{Struct, Value as ProtoValue, value::Kind};
use prost::Message;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use zonegate::config::Config;
use zonegate::gate::{
    ADS_SOTW, Denial, HDS, Head, Held, Now, Permit, Policy, Profile, Reason, UnixTime, Verdict,
};

/// A proxy that opens a stream, and the control plane that it connects to.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Stream {
    pub(crate) authorization: Vec<String>,
    pub(crate) service: String,
    pub(crate) node_id: String,
    pub(crate) proxy_type: String,
    pub(crate) resource: Option<String>,
    pub(crate) stored: Vec<String>,
    /// Mesh, kid and name of the key.
    pub(crate) keys: Vec<[String; 3]>,
    pub(crate) secrets: Vec<[String; 3]>,
    pub(crate) static_only: bool,
    pub(crate) revocations: BTreeMap<String, String>,
    /// Kid and name of the key.
    pub(crate) zone_keys: Vec<[String; 2]>,
    pub(crate) zone_revocations: String,
    pub(crate) zone: String,
    pub(crate) workload_identity: bool,
    /// Seconds and nanoseconds since 1970.
    pub(crate) now: (u64, u32),
}

/// PEM by name.
pub(crate) type Keys = BTreeMap<String, String>;

/// The gate's verdict on a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Judged {
    /// The gate allows the stream.
    Allowed,
    /// The gate refuses the stream.
    Denied(Reason),
    /// The gate refuses the whole configuration, so nothing passes.
    NotConfigured,
}

/// Settings of the gate other than keys and revocations.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Switches {
    pub(crate) require_expiration: bool,
    pub(crate) require_workload: bool,
}

impl Stream {
    /// The gate's verdict on the headers, and on the first message if the gate waits for it.
    pub(crate) fn judge(&self, keys: &Keys, switches: Switches) -> Judged {
        match self.policy(keys, switches) {
            Some(policy) => self.judge_by(&policy),
            None => Judged::NotConfigured,
        }
    }

    /// The same as [`Self::judge`], with a policy made from such a stream.
    pub(crate) fn judge_by(&self, policy: &Policy) -> Judged {
        let head = Head {
            method: b"POST",
            path: if self.is_hds() { HDS } else { ADS_SOTW }.as_bytes(),
            content_type: vec![b"application/grpc"],
            authorization: self.authorization.iter().map(String::as_bytes).collect(),
            client_id: Vec::new(),
        };
        let clock = Now(Some(UnixTime::after_epoch(Duration::new(self.now.0, self.now.1))));
        match policy.judge(&head, clock) {
            Verdict::Deny(denial) => Judged::of(Err(denial)),
            Verdict::Hold(Held::FirstMessage { variant, credential }) => Judged::of(
                policy.judge_first_message(variant, credential, &self.first_message(), clock),
            ),
            other @ (Verdict::Allow(_) | Verdict::Hold(Held::Bootstrap)) => panic!("{other:?}"),
        }
    }

    /// A gate with the control plane's keys and revocations; `None` if the gate refuses the configuration.
    pub(crate) fn policy(&self, keys: &Keys, switches: Switches) -> Option<Policy> {
        let dataplane_keys = self.dataplane_keys(keys);
        let zone_keys = self.zone_keys.iter();
        let zone_keys: Vec<Value> =
            zone_keys.map(|[kid, name]| json!({ "kid": kid, "key": keys[name] })).collect();
        // Every mesh has a name. The gate refuses a list for a mesh without a name.
        let revocations = self.revocations.iter().filter(|(mesh, _)| !mesh.is_empty());
        let zone_proxies = if zone_keys.is_empty() { "deny" } else { "zoneToken" };
        let workload = if switches.require_workload { "whenLabelled" } else { "never" };
        let config = json!({
            "publicKeys": zone_keys,
            "revocations": self.zone_revocations,
            "dpToken": {
                "publicKeys": dataplane_keys,
                "revocations": revocations.collect::<BTreeMap<_, _>>(),
                "requireWorkload": workload,
            },
            "proxies": { "dataplane": "dpToken", "ingress": zone_proxies, "egress": zone_proxies },
            "requireExpiration": switches.require_expiration,
        });
        let mut policy = Config::from_json(config.to_string().as_bytes()).ok()?.policy;
        // The configuration refuses an empty zone. A control plane may have one if no zone proxy connects.
        let Profile::DpServer(server) = &mut policy.profile else { panic!("{:?}", policy.profile) };
        server.zone.clone_from(&self.zone);
        Some(policy)
    }

    /// The static keys, and the keys in secrets. Kuma looks in the secrets only if no static key has the kid.
    fn dataplane_keys(&self, keys: &Keys) -> Vec<Value> {
        let secrets = self.secrets.iter().filter(|[mesh, kid, _]| {
            let is_static =
                |key: &[String; 3]| key[1] == *kid && (key[0].is_empty() || key[0] == *mesh);
            !self.static_only && !self.keys.iter().any(is_static)
        });
        let all = self.keys.iter().chain(secrets);
        let all =
            all.map(|[mesh, kid, name]| json!({ "mesh": mesh, "kid": kid, "key": keys[name] }));
        // The gate needs at least one key. This key is for no token here.
        let unused = json!({ "mesh": "mesh of no proxy", "kid": "kid of no token", "key": keys.values().next() });
        all.chain([unused]).collect()
    }

    pub(crate) fn is_hds(&self) -> bool {
        self.service == "hds"
    }

    fn first_message(&self) -> Vec<u8> {
        let fields = [
            ("dataplane.proxyType", Some(&self.proxy_type).filter(|name| !name.is_empty())),
            ("dataplane.resource", self.resource.as_ref()),
        ];
        let fields = fields.into_iter().filter_map(|(name, text)| {
            Some((name.to_owned(), ProtoValue { kind: Some(Kind::StringValue(text?.clone())) }))
        });
        let metadata = Some(Struct { fields: fields.collect() });
        let node = Some(Node { id: self.node_id.clone(), metadata, ..Node::default() });
        if self.is_hds() {
            let request = HealthCheckRequest { node, ..HealthCheckRequest::default() };
            let request_type = Some(RequestType::HealthCheckRequest(request));
            return HealthCheckRequestOrEndpointHealthResponse { request_type }.encode_to_vec();
        }
        DiscoveryRequest { node, ..DiscoveryRequest::default() }.encode_to_vec()
    }
}

impl Judged {
    fn of(judged: Result<Permit, Denial>) -> Self {
        match judged {
            Ok(_) => Self::Allowed,
            Err(denial) => Self::Denied(denial.refusal.reason()),
        }
    }
}
