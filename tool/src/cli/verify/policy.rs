//! The policy for `verify`.
//!
//! In: flags. Out: a configuration, read by the filter's own code, or why the filter would refuse it.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{ArgGroup, Args};
use serde_json::json;
use zonegate::config::Config;
use zonegate_issuer::spki_pem;

use crate::cli::failure::BadInput;
use crate::cli::input;
use crate::cli::key_file::KeyFile;
use crate::cli::profile::ProfileArg;
use crate::plugin_config::plugin_file::{MAX_BYTES, PluginConfiguration};

#[derive(Args)]
#[group(skip)]
#[command(group = ArgGroup::new("policy").args(["config", "public_keys"]).required(true))]
pub(super) struct PolicyArgs {
    /// Plugin configuration, or the file of Envoy that holds it, YAML or JSON, or - for standard input
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Instead of --config: a kid, up to the first =, and the file with its public key (PEM); once
    /// for each key
    #[arg(long = "public-key", id = "public_keys", value_name = "KID=FILE")]
    public_keys: Vec<KeyFile>,
    /// With --public-key: the zone that the control plane serves [default: default]
    #[arg(long, requires = "public_keys", conflicts_with = "config")]
    zone: Option<String>,
    /// With --public-key: server behind the gate [default: dpServer]
    #[arg(long, value_enum, requires = "public_keys", conflicts_with = "config")]
    profile: Option<ProfileArg>,
}

impl PolicyArgs {
    /// Reads the policy. Keys without a configuration are those of dataplane tokens for every mesh if a dataplane
    /// connects, and otherwise those of zone tokens.
    pub(super) fn read(&self, is_for_dataplane: bool) -> anyhow::Result<Config> {
        match &self.config {
            Some(path) => from_file(path),
            None => self.by_keys(is_for_dataplane),
        }
    }

    fn by_keys(&self, is_for_dataplane: bool) -> anyhow::Result<Config> {
        let mut public_keys = Vec::new();
        for file in &self.public_keys {
            // An error here names the file; an error of the configuration would not.
            public_keys.push(json!({ "kid": file.kid, "key": spki_pem(&file.read()?) }));
        }
        let mut configuration = match is_for_dataplane {
            false => json!({ "publicKeys": public_keys }),
            true => json!({
                "dpToken": { "publicKeys": public_keys },
                "proxies": { "ingress": "deny", "egress": "deny", "dataplane": "dpToken" },
            }),
        };
        let profile = self.profile.map(ProfileArg::as_str);
        for (name, value) in [("zone", self.zone.as_deref()), ("profile", profile)] {
            if let (Some(value), Some(fields)) = (value, configuration.as_object_mut()) {
                fields.insert(name.to_owned(), json!(value));
            }
        }
        Config::from_json(configuration.to_string().as_bytes())
            .with_context(|| BadInput("these flags are no policy".to_owned()))
    }
}

fn from_file(path: &Path) -> anyhow::Result<Config> {
    let bytes = input::public(path, MAX_BYTES, "configuration")?;
    let config = PluginConfiguration::find(&bytes).and_then(|found| found.config());
    config.with_context(|| BadInput(format!("{} cannot be used", input::name(path))))
}
