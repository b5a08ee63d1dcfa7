//! The policy by which `verify` judges.
//!
//! In: flags. Out: a configuration, read by the filter's own code, or why the filter would refuse it.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{ArgGroup, Args};
use serde_json::json;
use zonegate::config::Config;
use zonegate::token::PublicKey;

use crate::cli::failure::BadInput;
use crate::cli::input;
use crate::operator::plugin_file::{MAX_BYTES, PluginConfiguration};

/// The largest key that the gate takes is under 2 KiB as PEM.
const MAX_KEY: usize = 64 * 1024;

#[derive(Args)]
#[group(skip)]
#[command(group = ArgGroup::new("policy").args(["config", "public_keys"]).required(true))]
pub(super) struct PolicyArgs {
    /// Plugin configuration, or the file of Envoy that holds it, YAML or JSON, or -
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Instead of --config: a kid and the file with its public key (PEM); once for each key
    #[arg(
        long = "public-key",
        id = "public_keys",
        value_name = "KID=FILE",
        value_parser = kid_and_file
    )]
    public_keys: Vec<(String, PathBuf)>,
    /// With --public-key: the zone that the control plane serves [default: default]
    #[arg(long, requires = "public_keys", conflicts_with = "config")]
    zone: Option<String>,
}

impl PolicyArgs {
    pub(super) fn read(&self) -> anyhow::Result<Config> {
        match &self.config {
            Some(path) => from_file(path),
            None => from_keys(&self.public_keys, self.zone.as_deref()),
        }
    }
}

fn from_file(path: &Path) -> anyhow::Result<Config> {
    let bytes = input::public(path, MAX_BYTES, "configuration")?;
    let config = PluginConfiguration::find(&bytes).and_then(|found| found.config());
    config.with_context(|| BadInput(format!("{} cannot be used", input::name(path))))
}

fn from_keys(keys: &[(String, PathBuf)], zone: Option<&str>) -> anyhow::Result<Config> {
    let mut public_keys = Vec::new();
    for (kid, path) in keys {
        public_keys.push(json!({ "kid": kid, "key": public_key(path)? }));
    }
    let mut configuration = json!({ "publicKeys": public_keys });
    if let (Some(zone), Some(fields)) = (zone, configuration.as_object_mut()) {
        fields.insert("zone".to_owned(), json!(zone));
    }
    Config::from_json(configuration.to_string().as_bytes())
        .with_context(|| BadInput("these flags are no policy".to_owned()))
}

/// The text of a public key, once it is known to be one: then an error can name the file.
fn public_key(path: &Path) -> anyhow::Result<String> {
    let bytes = input::secret(path, MAX_KEY, "public key")?;
    let not_a_key = || BadInput(format!("{} is not a public key", input::name(path)));
    let text =
        std::str::from_utf8(&bytes).ok().context("it is not text").with_context(not_a_key)?;
    PublicKey::from_pem(text).with_context(not_a_key)?;
    Ok(text.to_owned())
}

fn kid_and_file(text: &str) -> Result<(String, PathBuf), &'static str> {
    match text.split_once('=') {
        Some((kid, path)) if !kid.is_empty() && !path.is_empty() => {
            Ok((kid.to_owned(), path.into()))
        }
        _ => Err("a kid and a file are expected, for example key-1=key.pub.pem"),
    }
}
