//! `zonegate generate public-key`.
//!
//! In: a signing key. Out: its public key, for `publicKeys` of the gate and of a control plane, or in a format of other
//! programs.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};
use zonegate_issuer::{SigningKey, jwk, spki_pem};

use crate::cli::failure::BadInput;
use crate::cli::input;
use crate::cli::output::{Output, Secrecy};

const EXAMPLES: &str = "\
Examples:
  $ zonegate generate signing-key --format pem --output-file key.pem
  $ zonegate generate public-key --signing-key-path key.pem

  From the signing key of a control plane, on Universal and on Kubernetes:
  $ kumactl get global-secret zone-token-signing-key-1 -o json | jq -r .data |
      zonegate generate public-key --signing-key-path -
  $ kubectl get secret -n kuma-system zone-token-signing-key-1 -o jsonpath={.data.value} |
      zonegate generate public-key --signing-key-path -";

/// Generate the public key of a signing key, for validating tokens
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct PublicKeyArgs {
    /// File with the private signing key, as PEM or DER or base64 of either, or - for standard input
    #[arg(long, value_name = "FILE")]
    signing_key_path: PathBuf,
    /// Format of the public key
    #[arg(long, value_enum, default_value_t = Format::Pkcs1)]
    format: Format,
    /// ID of the key, for --format jwk
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    kid: Option<String>,
    #[command(flatten)]
    output: Output,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// PEM, RSA PUBLIC KEY, as kumactl writes it
    Pkcs1,
    /// PEM, PUBLIC KEY, as openssl and most programs write it
    Spki,
    /// JSON Web Key (RFC 7517), for Envoy's jwt_authn and similar programs
    Jwk,
}

impl PublicKeyArgs {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let Self { signing_key_path, format, kid, output } = self;
        if kid.is_some() && format != Format::Jwk {
            bail!(BadInput("--kid is a part of --format jwk only: PEM has no place for it".into()));
        }
        let key = input::signing_key(&signing_key_path)?;
        output.write(&text(&key, format, kid.as_deref())?, Secrecy::Public)
    }
}

fn text(key: &SigningKey, format: Format, kid: Option<&str>) -> anyhow::Result<String> {
    match format {
        Format::Pkcs1 => Ok(key.public_key_pem().to_owned()),
        Format::Spki => Ok(spki_pem(&key.public_key())),
        Format::Jwk => {
            let jwk = jwk(&key.public_key(), kid).context("the key has no form as JWK")?;
            Ok(jwk + "\n")
        }
    }
}
