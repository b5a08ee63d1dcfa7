//! `zonegate generate public-key`.
//!
//! In: a signing key. Out: its public half, `RSA PUBLIC KEY`, for `publicKeys` of the gate and of a
//! control plane.

use std::path::PathBuf;

use clap::Args;

use crate::cli::input;
use crate::cli::output::{Output, Secrecy};

const EXAMPLES: &str = "\
Examples:
  $ zonegate generate signing-key --format pem --output key.pem
  $ zonegate generate public-key --signing-key-path key.pem

  Of the key that a control plane on Kubernetes signs with:
  $ kubectl get secret -n kuma-system zone-token-signing-key-1 -o jsonpath={.data.value} |
      zonegate generate public-key --signing-key-path -";

/// Generate the public key of a signing key, for validating tokens
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct PublicKeyArgs {
    /// File with the private signing key, PEM or base64 of PEM, or - for standard input
    #[arg(long, value_name = "FILE")]
    signing_key_path: PathBuf,
    #[command(flatten)]
    output: Output,
}

impl PublicKeyArgs {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let key = input::signing_key(&self.signing_key_path)?;
        self.output.write(key.public_key_pem(), Secrecy::Public)
    }
}
