//! `zonegate verify`.
//!
//! In: a token, and a policy: a plugin configuration, a file of Envoy with one, or public keys. Out: the verdict of the
//! filter's own code, with every check. Whether the gateway has this policy is not known here.

mod first_message;
mod judgement;
mod policy;
mod proxy;
mod shown;
mod words;

use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use judgement::{Connection, Judgement};
use policy::PolicyArgs;
use proxy::ProxyArgs;
use zonegate::gate::UnixTime;

use super::output::print;
use super::output_value::Format;
use super::pasted::Pasted;
use super::time;
use super::token_text::TokenText;

const EXAMPLES: &str = "\
Exit code: 0 allowed, 1 denied, 2 wrong arguments or a file that cannot be used.

Examples:
  What the gateway would say, by the file that Envoy watches:
  $ zonegate verify east.token --config /etc/zonegate/ecds/zonegate.yaml

  With only a public key, for an egress, on the last day of the year:
  $ zonegate verify east.token --public-key key-1=key.pub.pem --zone east \\
      --proxy-type egress --at 2026-12-31T00:00:00Z

  A dataplane token, for the proxy that kuma-dp would start with this file:
  $ zonegate verify web.token --config zonegate.yaml --dataplane-file web-1.yaml

  The same, for a proxy with another name; all else is taken from the token:
  $ zonegate verify web.token --config zonegate.yaml --name web-2";

/// Judge a token as the gateway would, and show every check
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Verify {
    #[command(flatten)]
    token: TokenText,
    #[command(flatten)]
    policy: PolicyArgs,
    #[command(flatten)]
    proxy: ProxyArgs,
    /// With profile globalKds: the zone that the control plane claims to be [default: the token's]
    #[arg(long, value_name = "ZONE", conflicts_with = "proxy_type")]
    client_id: Option<String>,
    /// Judge the token at this time, RFC 3339 or seconds since 1970 [default: now]
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    at: Option<UnixTime>,
    /// Output format
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = Format::Table)]
    output: Format,
}

impl Verify {
    /// Judges the token. Every error is bad input (exit code 2), because exit code 1 means that a token was denied.
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let Self { token, policy, proxy, client_id, at, output } = self;
        let config = policy.read(proxy.is_dataplane())?;
        let connection = Connection::new(&config.policy, proxy, client_id)?;
        let text = token.read()?;
        let now = at.unwrap_or_else(time::now);
        let pasted = Pasted::read(&text);
        let judgement = Judgement::of_pasted(&pasted, config, &connection, now);
        let shown = match output {
            Format::Table => shown::table(&judgement),
            Format::Json => shown::output_value(&judgement).to_json(),
            Format::Yaml => shown::output_value(&judgement).to_yaml(),
        };
        print(&shown).context("could not write to standard output")?;
        Ok(if judgement.is_allowed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
