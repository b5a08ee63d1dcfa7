//! `zonegate generate …`: keys and tokens, with the flags and formats of `kumactl generate`.
//!
//! In: flags. Out: a key or a token. Everything happens offline: no control plane is asked.

mod dataplane_token;
mod duration;
mod public_key;
mod signing_key;
mod tags;
mod zone_token;

use clap::Subcommand;

pub(super) use duration::parse as duration;
pub(super) use tags::{Tag, parse as tags};

/// Generate signing keys, their public keys, zone tokens and dataplane tokens
#[derive(Subcommand)]
pub(super) enum Generate {
    SigningKey(signing_key::SigningKeyArgs),
    PublicKey(public_key::PublicKeyArgs),
    ZoneToken(zone_token::ZoneTokenArgs),
    DataplaneToken(dataplane_token::DataplaneTokenArgs),
}

impl Generate {
    /// Generates the key or the token.
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self {
            Self::SigningKey(args) => args.run(),
            Self::PublicKey(args) => args.run(),
            Self::ZoneToken(args) => args.run(),
            Self::DataplaneToken(args) => args.run(),
        }
    }
}
