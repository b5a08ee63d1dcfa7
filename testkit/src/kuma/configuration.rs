//! The configuration file of a kuma-cp on Universal.
//!
//! In: [`Options`], and free ports. Out: the file. Kuma: `pkg/config/app/kuma-cp/kuma-cp.defaults.yaml`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::{Value, json};

use super::control_plane::{DataplaneKey, Options, Role, StaticKey, ZoneProxyAuthentication};
use super::free_port;

/// The ports of a control plane.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ports {
    pub(super) dp_server: u16,
    pub(super) api: u16,
    pub(super) api_tls: u16,
    pub(super) diagnostics: u16,
    pub(super) kds: u16,
    inter_cp: u16,
    monitoring: u16,
}

impl Ports {
    /// Free ports. `dp_server` is used as given, unless it is 0.
    pub(super) fn free(dp_server: u16) -> anyhow::Result<Self> {
        let dp_server = match dp_server {
            0 => free_port()?,
            port => port,
        };
        Ok(Self {
            dp_server,
            api: free_port()?,
            api_tls: free_port()?,
            diagnostics: free_port()?,
            kds: free_port()?,
            inter_cp: free_port()?,
            monitoring: free_port()?,
        })
    }
}

/// Writes the file to `dir`. JSON is YAML.
pub(super) fn write(dir: &Path, options: &Options, ports: Ports) -> anyhow::Result<PathBuf> {
    let (xds_host, xds_port) = options.xds.clone().unwrap_or_default();
    let loopback = |port| json!({ "enabled": true, "interface": "127.0.0.1", "port": port });
    let configuration = json!({
        "environment": "universal",
        "mode": match options.role {
            Role::Standalone | Role::Federated { .. } => "zone",
            Role::Global => "global",
        },
        "store": { "type": "memory" },
        "multizone": multizone(options, ports),
        "general": {
            "workDir": dir,
            "tlsCertFile": options.certificate,
            "tlsKeyFile": options.key,
        },
        "bootstrapServer": { "params": { "xdsHost": xds_host, "xdsPort": xds_port } },
        "apiServer": { "http": loopback(ports.api), "https": loopback(ports.api_tls) },
        "dpServer": { "port": ports.dp_server, "authn": authentication(options) },
        "diagnostics": { "serverPort": ports.diagnostics },
        "interCp": {
            "catalog": { "instanceAddress": "127.0.0.1" },
            "server": { "port": ports.inter_cp },
        },
        // Before 2.14 it cannot be disabled.
        "monitoringAssignmentServer": { "enabled": false, "port": ports.monitoring },
        "reports": { "enabled": false },
    });
    let path = dir.join("kuma-cp.yaml");
    std::fs::write(&path, configuration.to_string())
        .with_context(|| format!("writing {}", path.display()))?;
    Ok(path)
}

fn multizone(options: &Options, ports: Ports) -> Value {
    match &options.role {
        Role::Standalone => json!({ "zone": { "name": options.zone } }),
        Role::Global => json!({ "global": { "kds": { "grpcPort": ports.kds } } }),
        Role::Federated { global, ca } => {
            let kds = ca.as_ref().map(|ca| json!({ "rootCaFile": ca }));
            let kds = kds.unwrap_or_else(|| json!({}));
            json!({ "zone": { "name": options.zone, "globalAddress": global, "kds": kds } })
        }
    }
}

fn authentication(options: &Options) -> Value {
    let keys = options.public_keys.iter();
    let keys: Vec<Value> =
        keys.map(|StaticKey { kid, key }| json!({ "kid": kid, "key": key })).collect();
    let dataplane_keys = options.dataplane_keys.iter();
    let dataplane_keys: Vec<Value> = dataplane_keys
        .map(|DataplaneKey { mesh, kid, key }| match mesh {
            Some(mesh) => json!({ "mesh": mesh, "kid": kid, "key": key }),
            None => json!({ "kid": kid, "key": key }),
        })
        .collect();
    let (kind, secrets) = match options.zone_proxies {
        ZoneProxyAuthentication::ZoneToken => ("zoneToken", true),
        ZoneProxyAuthentication::StaticKeys => ("zoneToken", false),
        ZoneProxyAuthentication::None => ("none", true),
    };
    let validator = json!({ "useSecrets": secrets, "publicKeys": keys });
    json!({
        "zoneProxy": {
            "type": kind,
            "zoneToken": { "enableIssuer": secrets, "validator": validator },
        },
        "dpProxy": { "dpToken": { "validator": { "publicKeys": dataplane_keys } } },
    })
}
