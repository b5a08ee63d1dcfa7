//! The opening of a stream, as `tests/kuma` is asked about it, and what the gate says of it.
//!
//! In: a line of that program's mode `streams` (`tests/kuma/dataplane.go` says what each member means), and
//! keys by name. Out: the gate's verdict, by a configuration with what the control plane has. What Kuma says
//! is not known here.

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
    /// Mesh, kid and name of key.
    pub(crate) keys: Vec<[String; 3]>,
    pub(crate) secrets: Vec<[String; 3]>,
    pub(crate) static_only: bool,
    pub(crate) revocations: BTreeMap<String, String>,
    /// Kid and name of key.
    pub(crate) zone_keys: Vec<[String; 2]>,
    pub(crate) zone_revocations: String,
    pub(crate) zone: String,
    pub(crate) workload_identity: bool,
    /// Seconds and nanoseconds since 1970.
    pub(crate) now: (u64, u32),
}

/// PEM by name.
pub(crate) type Keys = BTreeMap<String, String>;

/// What the gate does with a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Judged {
    /// Lets it in.
    Allowed,
    /// Refuses it.
    Denied(Reason),
    /// Refused the whole configuration, so nothing passes.
    NotConfigured,
}

/// What is configured beside keys and revocations.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Switches {
    pub(crate) require_expiration: bool,
    pub(crate) require_workload: bool,
}

impl Stream {
    /// The gate's verdict on the headers and, where it waits for it, on the first message.
    pub(crate) fn judge(&self, keys: &Keys, switches: Switches) -> Judged {
        match self.policy(keys, switches) {
            Some(policy) => self.judge_by(&policy),
            None => Judged::NotConfigured,
        }
    }

    /// As [`Self::judge`], by a policy that was made of such a stream.
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

    /// A gate that has what the control plane has; `None` where the gate refuses to be configured so.
    pub(crate) fn policy(&self, keys: &Keys, switches: Switches) -> Option<Policy> {
        let dataplane_keys = self.dataplane_keys(keys);
        let zone_keys = self.zone_keys.iter();
        let zone_keys: Vec<Value> =
            zone_keys.map(|[kid, name]| json!({ "kid": kid, "key": keys[name] })).collect();
        // No mesh is without a name, and the gate takes no list for one that is.
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
        // The configuration refuses an empty zone, which a control plane may have that nobody asks.
        let Profile::DpServer(server) = &mut policy.profile else { panic!("{:?}", policy.profile) };
        server.zone.clone_from(&self.zone);
        Some(policy)
    }

    /// The static keys, and those in secrets, which Kuma asks where no static key is of that kid.
    fn dataplane_keys(&self, keys: &Keys) -> Vec<Value> {
        let secrets = self.secrets.iter().filter(|[mesh, kid, _]| {
            let is_static =
                |key: &[String; 3]| key[1] == *kid && (key[0].is_empty() || key[0] == *mesh);
            !self.static_only && !self.keys.iter().any(is_static)
        });
        let all = self.keys.iter().chain(secrets);
        let all =
            all.map(|[mesh, kid, name]| json!({ "mesh": mesh, "kid": kid, "key": keys[name] }));
        // The gate wants one key, which these proxies cannot have.
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
