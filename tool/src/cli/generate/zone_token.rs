//! `zonegate generate zone-token`.
//!
//! In: a zone, scopes, a validity and a signing key. Out: the token that kumactl would issue. Whether the zone exists,
//! and whether a control plane knows the kid, is not checked.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use uuid::Uuid;
use zonegate::gate::UnixTime;
use zonegate_issuer::{Scope, ZoneTokenRequest};

use super::duration;
use crate::cli::failure::BadInput;
use crate::cli::input;
use crate::cli::output::{Output, Secrecy};
use crate::cli::time;

const EXAMPLES: &str = "\
The token is signed here, with the given key; no control plane is asked.

Examples:
  $ zonegate generate zone-token --zone east --valid-for 24h --signing-key-path key.pem --kid 1
  $ zonegate generate zone-token --zone east --valid-for 720h --scope ingress --signing-key-path key.pem --kid 1

  For the zone's control plane at a global one, behind a gate with profile globalKds (kumactl refuses this scope):
  $ zonegate generate zone-token --zone east --valid-for 720h --scope cp --signing-key-path key.pem --kid 1

  A token that is good from next year on, with an ID of your own, in a file for kuma-dp:
  $ zonegate generate zone-token --zone east --valid-for 720h --not-before 2027-01-01T00:00:00Z \\
      --id east-2027 --signing-key-path key.pem --kid 1 --output-file east.token";

/// Generate a zone token, the proof of identity of a zone's ingress and egress, or of its control plane
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct ZoneTokenArgs {
    /// Name of the zone whose ingress, egress or control plane uses the token
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    zone: String,
    /// How long the token is valid: 24h, 1h30m, 720h for 30 days
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, allow_hyphen_values = true)]
    valid_for: Duration,
    /// Who may use the token: ingress, egress, or cp (the zone's control plane); repeated or with commas
    #[arg(long, value_delimiter = ',', default_value = "ingress,egress")]
    scope: Vec<String>,
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

impl ZoneTokenArgs {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let Self { zone, valid_for, scope, signing_key_path, not_before, id, kid, output } = self;
        let scope = scopes(&scope)?;
        let key = input::signing_key(&signing_key_path)?;
        let request = ZoneTokenRequest {
            zone,
            scope,
            valid_for,
            kid,
            now: SystemTime::now(),
            not_before: not_before.and_then(|time| UNIX_EPOCH.checked_add(time.since_epoch())),
            id: id.unwrap_or_else(|| Uuid::new_v4().to_string()),
        };
        let token = request.issue(&key).map_err(|error| BadInput(error.to_string()))?;
        output.write(&token, Secrecy::Secret)
    }
}

/// An ID that a revocation list can name. Commas and white space separate the entries of such a list.
pub(super) fn id(text: &str) -> Result<String, &'static str> {
    let parts = |rune: char| rune == ',' || rune.is_whitespace() || rune.is_control();
    match text {
        "" => Err("an empty ID could not be told from none"),
        _ if text.contains(parts) => {
            Err("a token whose ID has a comma or white space could not be revoked")
        }
        _ => Ok(text.to_owned()),
    }
}

/// The scopes in the order given, as kumactl puts them into the token.
fn scopes(names: &[String]) -> Result<Vec<Scope>, BadInput> {
    let known = |name: &String| Scope::ALL.into_iter().find(|scope| scope.as_str() == name);
    let unknown: Vec<&str> =
        names.iter().filter(|name| known(name).is_none()).map(String::as_str).collect();
    if unknown.is_empty() {
        return Ok(names.iter().filter_map(known).collect());
    }
    let supported = Scope::ALL.map(Scope::as_str).join(" ");
    Err(BadInput(format!(
        "invalid --scope values: [{}] (supported scopes: [{supported}])",
        unknown.join(" ")
    )))
}
