//! `zonegate generate signing-key`.
//!
//! In: a format. Out: a new RSA key of 2048 bits, which is secret. The operator decides where to keep it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, ValueEnum};
use zeroize::Zeroizing;
use zonegate_issuer::{DEFAULT_BITS, SigningKey};

use crate::cli::output::{Output, Secrecy};

const EXAMPLES: &str = "\
Examples:
  Keep the key offline, and give its public half to the control plane and the gateway:
  $ zonegate generate signing-key --format pem --output-file key.pem
  $ zonegate generate public-key --signing-key-path key.pem --output-file key.pub.pem

  Give the key to a control plane on Universal, which then issues the tokens itself:
  $ echo \"
  type: GlobalSecret
  name: zone-token-signing-key-2
  data: {{ key }}
  \" | kumactl apply --var key=$(zonegate generate signing-key) -f -";

/// Generate a private key for signing tokens
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct SigningKeyArgs {
    /// Format of the signing key
    #[arg(long, value_enum, default_value_t = Format::PemBase64)]
    format: Format,
    #[command(flatten)]
    output: Output,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// Base64 of the PEM on one line, as a secret of Kuma or Kubernetes holds it
    PemBase64,
    /// PEM, as --signing-key-path of kumactl reads it
    Pem,
}

impl SigningKeyArgs {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let pem = SigningKey::generate(DEFAULT_BITS)?.to_pem();
        let text = match self.format {
            Format::Pem => pem,
            Format::PemBase64 => Zeroizing::new(STANDARD.encode(pem.as_bytes())),
        };
        self.output.write(&text, Secrecy::Secret)
    }
}
