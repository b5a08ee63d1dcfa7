//! `zonegate generate dataplane-token`.
//!
//! In: the properties that a proxy must have, a validity and a signing key. Out: the token that kumactl would issue.
//! Whether such a proxy or its mesh exists, and whether a control plane knows the kid, is not checked.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};
use uuid::Uuid;
use zonegate::gate::UnixTime;
use zonegate_issuer::DataplaneTokenRequest;

use super::duration;
use super::tags::{self, Tag};
use super::zone_token::id;
use crate::cli::failure::BadInput;
use crate::cli::input;
use crate::cli::output::{Output, Secrecy};
use crate::cli::time;

const EXAMPLES: &str = "\
The token is signed here, with the given key; no control plane is asked. Without --name, --tag and --workload the token
is good for every proxy of the mesh.

Examples:
  $ zonegate generate dataplane-token --mesh demo --name demo-01 --valid-for 24h --signing-key-path key.pem --kid 1
  $ zonegate generate dataplane-token --mesh demo --workload backend --valid-for 24h --signing-key-path key.pem --kid 1

  For proxies of the services web and web-api, and no others:
  $ zonegate generate dataplane-token --mesh demo --tag kuma.io/service=web,web-api --valid-for 24h \\
      --signing-key-path key.pem --kid 1";

/// Generate a dataplane token, the proof of identity of a sidecar, a gateway or a mesh's zone proxy
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct DataplaneTokenArgs {
    /// Name of the Dataplane
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    name: Option<String>,
    /// Mesh of the Dataplane
    #[arg(long, short, default_value = "default", value_parser = NonEmptyStringValueParser::new())]
    mesh: String,
    /// Tag that the Dataplane must have, and its values: kuma.io/service=web,web-api; repeated for other tags
    #[arg(long = "tag", value_name = "TAG=VALUE", value_parser = tags::parse)]
    tags: Vec<Vec<Tag>>,
    /// Type of the proxy; control planes do not compare it
    #[arg(long, value_enum, alias = "type")]
    proxy_type: Option<ProxyType>,
    /// Value of the label kuma.io/workload that the Dataplane must have
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    workload: Option<String>,
    /// How long the token is valid: 24h, 1h30m, 720h for 30 days
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, allow_hyphen_values = true)]
    valid_for: Duration,
    /// File with the private signing key, as PEM or DER or base64 of either, or - for standard input
    #[arg(long, value_name = "FILE")]
    signing_key_path: PathBuf,
    /// Time from which the token is valid, RFC 3339 or seconds since 1970; --valid-for counts from this time
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    not_before: Option<UnixTime>,
    /// ID of the token (jti), by which it can be revoked [default: a random UUID]
    #[arg(long, value_parser = id)]
    id: Option<String>,
    /// ID of the signing key; the gate and the control plane must have its public key under this ID
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    kid: String,
    #[command(flatten)]
    output: Output,
}

#[derive(Clone, Copy, ValueEnum)]
enum ProxyType {
    Dataplane,
    Ingress,
    Egress,
}

impl From<ProxyType> for zonegate_issuer::ProxyType {
    fn from(proxy_type: ProxyType) -> Self {
        match proxy_type {
            ProxyType::Dataplane => Self::Dataplane,
            ProxyType::Ingress => Self::Ingress,
            ProxyType::Egress => Self::Egress,
        }
    }
}

impl DataplaneTokenArgs {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let Self { name, mesh, tags, proxy_type, workload, valid_for, .. } = self;
        let Self { signing_key_path, not_before, id, kid, output, .. } = self;
        let key = input::signing_key(&signing_key_path)?;
        let request = DataplaneTokenRequest {
            name: name.unwrap_or_default(),
            mesh,
            tags: tags::by_name(tags),
            proxy_type: proxy_type.map(Into::into),
            workload: workload.unwrap_or_default(),
            valid_for,
            kid,
            now: SystemTime::now(),
            not_before: not_before.and_then(|since| UNIX_EPOCH.checked_add(since.since_epoch())),
            id: id.unwrap_or_else(|| Uuid::new_v4().to_string()),
        };
        let token = request.issue(&key).map_err(|error| BadInput(error.to_string()))?;
        output.write(&token, Secrecy::Secret)
    }
}
