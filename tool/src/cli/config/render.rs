//! `zonegate config render`.
//!
//! In: an operator's secrets, keys and files. Out: a configuration of the filter in the form that a gateway takes. The
//! filter's own code has accepted it. The file is replaced as a whole or not at all.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, ValueEnum};

use super::kubernetes::Kubernetes;
use super::print;
use super::sources::Sources;
use crate::atomic_write::replace;
use crate::cli::failure::{BadInput, warn};
use crate::cli::output::hint_at_output_file;
use crate::lint::LintReport;
use crate::plugin_config::Generation;
use crate::plugin_config::plugin_file::PluginConfiguration;
use crate::readers::text;
use crate::render::kubernetes::{
    Bundle, dynamic_module, envoy_filter, extension_policy, patch_policy, wasm_plugin,
};
use crate::render::service::{ext_auth_policy, ext_proc_policy};
use crate::render::{Plugin, RenderError, ecds, plugin_json};

const EXAMPLES: &str = "\
Sources can be combined and repeated. A kid in two sources is an error that names both; revoked ids
add up. The filter's own code has accepted the output. Warnings go to standard error.

Examples:
  From a running control plane to the file that Envoy watches:
  $ kumactl get global-secrets -o yaml |
      zonegate config render --secrets - --zone us-east \\
        --output-file /etc/zonegate/ecds/zonegate.yaml

  With keys of offline issuing, from kuma-cp's own file:
  $ zonegate config render --kuma-cp-config kuma-cp.yaml --output-file zonegate.yaml

  On Kubernetes, for Istio's ingress gateway:
  $ kubectl get secrets -n kuma-system -o yaml | zonegate config render --secrets - --zone us-east \\
      --format istio --module-url oci://registry.example.org/zonegate:0.2.0 \\
      --selector istio=ingressgateway";

/// Render the configuration of the filter from secrets, keys and kuma-cp's own configuration
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct RenderArgs {
    #[command(flatten)]
    sources: Sources,
    /// What is rendered
    #[arg(long, value_enum, default_value = "ecds", help_heading = "To where")]
    format: Format,
    /// As --format
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        value_parser = FormatOrFile::parse,
        help_heading = "To where"
    )]
    output: Option<FormatOrFile>,
    /// File to write, replaced as a whole, or - for standard output
    #[arg(long, value_name = "FILE", default_value = "-", help_heading = "To where")]
    output_file: PathBuf,
    /// Where Envoy finds the filter, for ecds, *-ecds and envoy-gateway-native; a path that ends in .so is the dynamic
    /// module [default: /etc/zonegate/zonegate.wasm; on Kubernetes, where the image of a release has it]
    #[arg(long, value_name = "PATH", help_heading = "To where")]
    module: Option<String>,
    #[command(flatten)]
    kubernetes: Kubernetes,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// The file that Envoy watches, as envoy/ecds/zonegate.yaml
    Ecds,
    /// The plugin configuration alone, JSON
    Plugin,
    /// For Istio: a WasmPlugin, and what goes with it
    Istio,
    /// For Istio: an EnvoyFilter that takes the policy from a ConfigMap, so that a push changes nothing else
    IstioEcds,
    /// For Envoy Gateway: an EnvoyExtensionPolicy, and what goes with it
    EnvoyGateway,
    /// For Envoy Gateway: an EnvoyExtensionPolicy with the dynamic module, and what goes with it
    EnvoyGatewayNative,
    /// For Envoy Gateway: an EnvoyPatchPolicy that takes the policy from a ConfigMap
    EnvoyGatewayEcds,
    /// For Envoy Gateway: an EnvoyExtensionPolicy that asks zonegate serve by external processing; zonegate serve has the policy
    EnvoyGatewayExtProc,
    /// For Envoy Gateway: a SecurityPolicy that asks zonegate serve by external authorization; zonegate serve has the policy
    EnvoyGatewayExtAuth,
}

/// The value of `--output`: a format, as with the other verbs, or a file, as in earlier versions.
#[derive(Clone)]
enum FormatOrFile {
    Format(Format),
    File(PathBuf),
}

impl FormatOrFile {
    fn parse(text: &str) -> Result<Self, std::convert::Infallible> {
        let format = Format::from_str(text, false);
        Ok(format.map_or_else(|_| Self::File(text.into()), Self::Format))
    }
}

impl RenderArgs {
    pub(super) fn run(mut self) -> anyhow::Result<ExitCode> {
        match self.output.take() {
            None => {}
            Some(FormatOrFile::Format(format)) => self.format = format,
            Some(FormatOrFile::File(file)) => {
                hint_at_output_file("--output");
                self.output_file = file;
            }
        }
        let text = match self.format {
            // It has no policy: the service has its own.
            Format::EnvoyGatewayExtProc => ext_proc_policy(&self.kubernetes.service_target()?)?,
            Format::EnvoyGatewayExtAuth => ext_auth_policy(&self.kubernetes.service_target()?)?,
            Format::Ecds
            | Format::Plugin
            | Format::Istio
            | Format::IstioEcds
            | Format::EnvoyGateway
            | Format::EnvoyGatewayNative
            | Format::EnvoyGatewayEcds => self.with_policy()?,
        };
        if self.output_file == Path::new("-") {
            print(&text)?;
        } else {
            let name = self.output_file.display();
            replace(&self.output_file, text.as_bytes())
                .with_context(|| format!("{name} is left as it is"))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn render(&self, plugin: &Plugin) -> anyhow::Result<Bundle> {
        let Self { module, kubernetes, .. } = self;
        let module = module.as_deref();
        let alone =
            |text: Result<String, _>| text.map(|text| Bundle { policy: text.clone(), text });
        let bundle = match self.format {
            Format::Ecds => alone(ecds(plugin, module)),
            Format::Plugin | Format::EnvoyGatewayExtProc | Format::EnvoyGatewayExtAuth => {
                alone(plugin_json(plugin))
            }
            Format::Istio => wasm_plugin(plugin, &kubernetes.target()?),
            Format::IstioEcds => envoy_filter(plugin, &kubernetes.with_image(module)?),
            Format::EnvoyGateway => {
                kubernetes.gateway()?;
                extension_policy(plugin, &kubernetes.target()?)
            }
            Format::EnvoyGatewayNative => {
                kubernetes.gateway()?;
                if module.is_some_and(|module| !module.ends_with(".so")) {
                    return Err(BadInput("--module: a dynamic module ends in .so".into()).into());
                }
                dynamic_module(plugin, &kubernetes.with_image(module)?)
            }
            Format::EnvoyGatewayEcds => {
                kubernetes.gateway()?;
                kubernetes.listener()?;
                patch_policy(plugin, &kubernetes.with_image(module)?)
            }
        };
        bundle.map_err(|error| match error {
            RenderError::Refused(_) => BadInput(error.to_string()).into(),
            RenderError::NotReadBack => error.into(),
        })
    }

    fn with_policy(&self) -> anyhow::Result<String> {
        let mut plugin = self.sources.gather()?;
        plugin.set_generation(&Generation::fresh());
        let Bundle { text, policy } = self.render(&plugin)?;
        lint(&policy)?;
        Ok(text)
    }
}

/// Warns as `config check` does.
fn lint(text: &str) -> anyhow::Result<()> {
    let found = PluginConfiguration::find(text.as_bytes())?;
    let config = found.config()?;
    let (file, _) = text::value(text.as_bytes())?;
    for warning in LintReport::of(&file, &found, &config).warnings {
        warn(&warning.to_string());
    }
    Ok(())
}
