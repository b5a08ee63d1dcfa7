//! The proxies that open a stream: the claims of a good token, and the resource that the stream sends.

use super::draft::ZONE;
use super::tree::{Tree, object, raw, string};

/// The proxy that opens the stream.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    Sidecar,
    /// With two inbounds, one of which is not ready.
    TwoInbounds,
    Delegated,
    Builtin,
    Workload,
    /// With a workload, and a token without one.
    Labelled,
    /// A zone proxy of a mesh: a Dataplane with listeners.
    MeshZoneIngress,
    MeshZoneEgress,
    ZoneIngress,
    ZoneEgress,
    /// The Dataplane is in the store, not in the message.
    Stored,
    Hds,
}

impl Shape {
    pub(super) const ALL: [Self; 12] = [
        Self::Sidecar,
        Self::TwoInbounds,
        Self::Delegated,
        Self::Builtin,
        Self::Workload,
        Self::Labelled,
        Self::MeshZoneIngress,
        Self::MeshZoneEgress,
        Self::ZoneIngress,
        Self::ZoneEgress,
        Self::Stored,
        Self::Hds,
    ];

    pub(super) fn proxy_type(self) -> &'static str {
        match self {
            Self::ZoneIngress => "ingress",
            Self::ZoneEgress => "egress",
            Self::Sidecar
            | Self::TwoInbounds
            | Self::Delegated
            | Self::Builtin
            | Self::Workload
            | Self::Labelled
            | Self::MeshZoneIngress
            | Self::MeshZoneEgress
            | Self::Stored
            | Self::Hds => "dataplane",
        }
    }

    pub(super) fn claims(self, name: &str, mesh: &str, service: &str) -> Tree {
        if matches!(self, Self::ZoneIngress | Self::ZoneEgress) {
            return object([
                ("Zone", string(ZONE)),
                ("Scope", raw(r#"["ingress","egress"]"#)),
                ("exp", raw("1800003600")),
                ("jti", string("id1")),
            ]);
        }
        let service = Tree::List(vec![string(service)]);
        let tags = match self {
            Self::TwoInbounds => object([
                ("kuma.io/service", Tree::List(vec![string("api"), string("web")])),
                ("version", Tree::List(vec![string("1")])),
            ]),
            Self::MeshZoneIngress | Self::MeshZoneEgress => object([]),
            _ => object([("kuma.io/service", service)]),
        };
        let workload = if matches!(self, Self::Workload) { "backend" } else { "" };
        object([
            ("Name", string(name)),
            ("Mesh", string(mesh)),
            ("Tags", tags),
            ("Type", string("")),
            ("Workload", string(workload)),
            ("exp", raw("1800003600")),
            ("nbf", raw("1799999995")),
            ("iat", raw("1799999995")),
            ("jti", string("id1")),
        ])
    }

    pub(super) fn resource(self, name: &str, mesh: &str, service: &str) -> Tree {
        let inbound = |port: &str, service: &str| {
            object([("port", raw(port)), ("tags", object([("kuma.io/service", string(service))]))])
        };
        let (kind, mesh) = match self {
            Self::ZoneIngress => ("ZoneIngress", None),
            Self::ZoneEgress => ("ZoneEgress", None),
            _ => ("Dataplane", Some(mesh)),
        };
        let mut networking = object([("address", string("127.0.0.1"))]);
        match self {
            Self::Sidecar | Self::Workload | Self::Labelled | Self::Stored | Self::Hds => {
                networking.put("inbound", Tree::List(vec![inbound("8080", service)]));
            }
            Self::TwoInbounds => {
                let mut other = inbound("8081", "api");
                other.put("state", string("NotReady"));
                let mut first = inbound("8080", "web");
                first.put(
                    "tags",
                    object([("kuma.io/service", string("web")), ("version", string("1"))]),
                );
                if let Tree::Object(members) = &mut first {
                    members.remove(1);
                }
                networking.put("inbound", Tree::List(vec![first, other]));
            }
            Self::Delegated | Self::Builtin => {
                let mut gateway =
                    object([("tags", object([("kuma.io/service", string(service))]))]);
                if matches!(self, Self::Builtin) {
                    gateway.put("type", string("BUILTIN"));
                }
                networking.put("gateway", gateway);
            }
            Self::MeshZoneIngress | Self::MeshZoneEgress => {
                let kind = if matches!(self, Self::MeshZoneIngress) {
                    "ZoneIngress"
                } else {
                    "ZoneEgress"
                };
                let listener = object([
                    ("type", string(kind)),
                    ("address", string("127.0.0.1")),
                    ("port", raw("10001")),
                    ("name", string("zone")),
                ]);
                networking.put("listeners", Tree::List(vec![listener]));
            }
            Self::ZoneIngress | Self::ZoneEgress => networking.put("port", raw("10001")),
        }
        let mut all = object([("type", string(kind))]);
        if let Some(mesh) = mesh {
            all.put("mesh", string(mesh));
        }
        all.put("name", string(name));
        if matches!(self, Self::Workload | Self::Labelled) {
            all.put("labels", object([("kuma.io/workload", string("backend"))]));
        }
        all.put("networking", networking);
        all
    }
}
