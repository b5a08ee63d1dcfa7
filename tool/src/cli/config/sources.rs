//! The sources from which `config render` takes keys, revocations and the zone.
//!
//! In: flags. Out: a [`Plugin`] of everything that they name; warnings on the way. If two sources disagree, the error
//! names both.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use zonegate::token::PublicKey;

use crate::cli::failure::{BadInput, warn};
use crate::cli::input;
use crate::cli::key_file::{KeyFile, public_key};
use crate::cli::profile::ProfileArg;
use crate::kuma_inputs::Secrets;
use crate::kuma_inputs::control_plane::{ConfiguredKey, ControlPlane, KeySource};
use crate::plugin_config::Revocations;
use crate::plugin_config::plugin_file::{MAX_BYTES, PluginConfiguration};
use crate::render::Plugin;

/// kuma-cp's own file, with all comments, has 40 KiB.
const MAX_KUMA: usize = 4 * 1024 * 1024;
/// A list of secrets may include all other secrets of a control plane.
const MAX_SECRETS: usize = 64 * 1024 * 1024;

#[derive(Args)]
#[command(next_help_heading = "From where")]
pub(super) struct Sources {
    /// GlobalSecrets, as `kumactl get global-secrets -o yaml` prints them, secrets of a mesh (`kumactl get secrets
    /// --mesh MESH -o yaml`), or Kubernetes Secrets; - for standard input. Signing keys are reduced to public
    /// keys
    #[arg(long, value_name = "FILE")]
    secrets: Vec<PathBuf>,
    /// Kid of a public key, up to the first =, and the file with the key (PEM)
    #[arg(long, value_name = "KID=FILE")]
    public_key: Vec<KeyFile>,
    /// kuma-cp's own configuration file, YAML, or JSON as its API shows it at /config
    #[arg(long, value_name = "FILE")]
    kuma_cp_config: Option<PathBuf>,
    /// kuma-cp's environment variables, one on each line; they override its file
    #[arg(long, value_name = "FILE")]
    kuma_cp_env: Option<PathBuf>,
    /// A cluster's JWK Set, as `kubectl get --raw /openid/v1/jwks` prints it; once for each --issuer
    #[arg(long, value_name = "FILE", requires = "issuer")]
    jwks: Vec<PathBuf>,
    /// Issuer of the service-account tokens that the keys of --jwks verify
    #[arg(long, value_name = "URL", requires = "jwks")]
    issuer: Vec<String>,
    /// Revoked ids, text as in the secret zone-token-revocations
    #[arg(long, value_name = "FILE")]
    revocations: Vec<PathBuf>,
    /// Policy to start from: a plugin configuration, which may lack keys, or a file of Envoy with one
    #[arg(long, value_name = "FILE")]
    base: Option<PathBuf>,
    /// Zone that the control plane serves; overrides every file
    #[arg(long)]
    zone: Option<String>,
    /// Server behind the gate; overrides the base
    #[arg(long, value_enum)]
    profile: Option<ProfileArg>,
    /// With profile globalKds: a zone with its own metrics, besides those of the base; repeated or with commas
    #[arg(long, value_name = "ZONE", value_delimiter = ',')]
    count_zone: Vec<String>,
    /// Whether refusals are enforced; overrides the base
    #[arg(long, value_enum)]
    mode: Option<Mode>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Mode {
    Enforce,
    Shadow,
}

impl Sources {
    /// Reads all sources, and warns of what the operator should know.
    pub(super) fn gather(&self) -> anyhow::Result<Plugin> {
        let mut plugin = self.base()?;
        if let Some(profile) = self.profile {
            plugin.set("profile", json!(profile.as_str()));
        }
        plugin.count_zones(&self.count_zone).map_err(|error| BadInput(error.to_string()))?;
        for file in &self.public_key {
            let (kid, name) = (file.kid.clone(), input::name(&file.path));
            plugin
                .add_key(kid, file.read()?, &name)
                .map_err(|error| BadInput(error.to_string()))?;
        }
        self.control_plane(&mut plugin)?;
        for path in &self.secrets {
            add_secrets(&mut plugin, path)?;
        }
        self.clusters(&mut plugin)?;
        for path in &self.revocations {
            let name = input::name(path);
            let bytes = input::public(path, MAX_BYTES, "revocation list")?;
            let text = String::from_utf8(bytes)
                .map_err(|_| anyhow!("not UTF-8 text"))
                .with_context(|| BadInput(format!("{name}: not a revocation list")))?;
            plugin.revoke(Revocations::Text(text));
        }
        if let Some(zone) = &self.zone {
            plugin.set_zone(zone.clone());
        }
        match self.mode {
            Some(Mode::Enforce) => plugin.set("mode", json!("enforce")),
            Some(Mode::Shadow) => plugin.set("mode", json!("shadow")),
            None => {}
        }
        if !plugin.has_keys() {
            return Err(BadInput(
                "no keys: give --secrets, --public-key, --kuma-cp-config with publicKeys, --jwks, or \
                 --base with keys"
                    .to_owned(),
            )
            .into());
        }
        Ok(plugin)
    }

    fn clusters(&self, plugin: &mut Plugin) -> anyhow::Result<()> {
        if self.jwks.len() != self.issuer.len() {
            return Err(
                BadInput("give one --issuer for each --jwks, in the same order".into()).into()
            );
        }
        for (path, issuer) in self.jwks.iter().zip(&self.issuer) {
            let name = input::name(path);
            let bytes = input::public(path, MAX_KUMA, "JWK Set")?;
            let bad = || BadInput(format!("{name}: not a JWK Set"));
            let jwks: Value =
                serde_json::from_slice(&bytes).context("not JSON").with_context(bad)?;
            if jwks.get("keys").and_then(Value::as_array).is_none() {
                return Err(anyhow!("keys is missing, or is no list")).with_context(bad);
            }
            plugin.add_cluster(issuer, jwks).map_err(|error| BadInput(error.to_string()))?;
        }
        Ok(())
    }

    fn base(&self) -> anyhow::Result<Plugin> {
        let Some(path) = &self.base else { return Ok(Plugin::default()) };
        let name = input::name(path);
        let bytes = input::public(path, MAX_BYTES, "policy")?;
        let bad = || BadInput(name.clone());
        let found = PluginConfiguration::find(&bytes).with_context(bad)?;
        let json = serde_json::from_slice(&found.json).context("not JSON").with_context(bad)?;
        Plugin::from_base(&json, &name).with_context(bad)
    }

    fn control_plane(&self, plugin: &mut Plugin) -> anyhow::Result<()> {
        if self.kuma_cp_config.is_none() && self.kuma_cp_env.is_none() {
            return Ok(());
        }
        let mut kuma = ControlPlane::default();
        let mut name = String::new();
        if let Some(path) = &self.kuma_cp_config {
            name = input::name(path);
            let bytes = input::secret(path, MAX_KUMA, "configuration of kuma-cp")?;
            kuma = ControlPlane::parse(&bytes).with_context(|| BadInput(name.clone()))?;
        }
        if let Some(path) = &self.kuma_cp_env {
            let env = input::name(path);
            let bytes = input::secret(path, MAX_KUMA, "environment of kuma-cp")?;
            std::str::from_utf8(&bytes)
                .context("not UTF-8 text")
                .and_then(|text| Ok(kuma.override_by(text)?))
                .with_context(|| BadInput(env.clone()))?;
            name = if name.is_empty() { env } else { format!("{name} with {env}") };
        }
        for key in kuma.keys().iter().chain(kuma.mesh_keys()) {
            add_configured(plugin, key, &name)?;
        }
        self.zone_of(&kuma, plugin, &name)?;
        let has_secrets = !self.secrets.is_empty();
        for notice in kuma.notices(has_secrets, plugin.is_for_global()) {
            warn(&format!("{name}: {notice}"));
        }
        Ok(())
    }

    /// The control plane's own zone. A base with another zone was not meant for this control plane.
    fn zone_of(&self, kuma: &ControlPlane, plugin: &mut Plugin, name: &str) -> anyhow::Result<()> {
        let Some(zone) = kuma.zone().filter(|_| !plugin.is_for_global()) else { return Ok(()) };
        match (plugin.zone(), &self.base) {
            (Some(other), Some(base)) if other != zone && self.zone.is_none() => {
                let base = input::name(base);
                Err(BadInput(format!(
                    "zone: {other:?} in {base}, {zone:?} in {name}; say which with --zone"
                ))
                .into())
            }
            _ => {
                plugin.set_zone(zone.to_owned());
                Ok(())
            }
        }
    }
}

fn add_configured(
    plugin: &mut Plugin,
    configured: &ConfiguredKey,
    name: &str,
) -> anyhow::Result<()> {
    let ConfiguredKey { path, kid, mesh, key } = configured;
    let bad = || BadInput(format!("{name}: {path}"));
    let key = match key {
        KeySource::Text(pem) => PublicKey::from_pem(pem).with_context(bad)?,
        KeySource::File(file) => public_key(Path::new(file)).with_context(bad)?,
    };
    let place = format!("{name} ({path})");
    match mesh {
        None => plugin.add_key(kid.clone(), key, &place),
        Some(mesh) => plugin.add_mesh_key(mesh, kid, &key, &place),
    }
    .map_err(|error| BadInput(error.to_string()).into())
}

fn add_secrets(plugin: &mut Plugin, path: &Path) -> anyhow::Result<()> {
    let name = input::name(path);
    let bytes = input::secret(path, MAX_SECRETS, "list of secrets")?;
    let bad = || BadInput(format!("{name}: not secrets of a control plane"));
    let text = std::str::from_utf8(&bytes).ok().context("not UTF-8 text").with_context(bad)?;
    let secrets = Secrets::parse(text).with_context(bad)?;
    for skipped in secrets.skipped() {
        warn(&format!("{name}: {skipped}"));
    }
    if secrets.is_empty() && secrets.skipped().is_empty() {
        warn(&format!(
            "{name}: no secret in it is about zone tokens or dataplane tokens ({} others)",
            secrets.others()
        ));
    }
    plugin.add_secrets(&secrets, &name).map_err(|error| BadInput(error.to_string()).into())
}
