//! `zonegate config render`.
//!
//! In: what an operator has. Out: a configuration of the filter in the form that a gateway takes, which
//! the filter's own code has accepted, in place as a whole or not at all.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, ValueEnum};

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
    Bundle, Target, envoy_filter, extension_policy, patch_policy, wasm_plugin,
};
use crate::render::service::{ServiceTarget, ext_auth_policy, ext_proc_policy};
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
    /// ecds: where Envoy finds the filter [default: /etc/zonegate/zonegate.wasm]
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
    /// For Istio: an EnvoyFilter that has the policy from a ConfigMap, so that a push changes nothing else
    IstioEcds,
    /// For Envoy Gateway: an EnvoyExtensionPolicy, and what goes with it
    EnvoyGateway,
    /// For Envoy Gateway: an EnvoyPatchPolicy that has the policy from a ConfigMap
    EnvoyGatewayEcds,
    /// For Envoy Gateway: an EnvoyExtensionPolicy that asks zonegate serve by external processing, without a policy
    EnvoyGatewayExtProc,
    /// For Envoy Gateway: a SecurityPolicy that asks zonegate serve by external authorization, without a policy
    EnvoyGatewayExtAuth,
}

/// What `--output` may say: a format, as with the other verbs; or a file, as it once did here.
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

#[derive(Args)]
#[command(next_help_heading = "On Kubernetes (istio*, envoy-gateway*)")]
struct Kubernetes {
    /// Where the gateway fetches the module: oci://, https://, with Istio also file://
    #[arg(long, value_name = "URL")]
    module_url: Option<String>,
    /// SHA-256 of what the URL names, 64 hexadecimal digits: the module, or the manifest of an image
    #[arg(long, value_name = "HEX", value_parser = sha256)]
    module_sha256: Option<String>,
    /// Gateway (of the Gateway API) to which it belongs; Envoy Gateway needs it
    #[arg(long, value_name = "NAME")]
    gateway: Option<String>,
    /// Listener of the Gateway, by name; envoy-gateway-ecds
    #[arg(long, value_name = "NAME")]
    listener: Option<String>,
    /// Port on which the gateway's Envoy listens; istio, istio-ecds [default: all of them]
    #[arg(long)]
    port: Option<u16>,
    /// Label of the gateway's pods; istio, istio-ecds, repeatable
    #[arg(long, value_name = "LABEL=VALUE", value_parser = label)]
    selector: Vec<(String, String)>,
    /// Kubernetes Service of zonegate serve; envoy-gateway-ext-proc, envoy-gateway-ext-auth
    #[arg(long, value_name = "NAME[:PORT]", default_value = "zonegate-serve:9912", value_parser = service)]
    service: (String, u16),
    /// Name of the objects
    #[arg(long, default_value = "zonegate")]
    name: String,
    /// Namespace of the objects
    #[arg(long)]
    namespace: Option<String>,
}

fn sha256(text: &str) -> Result<String, &'static str> {
    match text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        true => Ok(text.to_ascii_lowercase()),
        false => Err("64 hexadecimal digits are expected, as sha256sum prints them"),
    }
}

fn label(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some((label, value)) if !label.is_empty() => Ok((label.to_owned(), value.to_owned())),
        _ => Err("a label and its value are expected, for example istio=ingressgateway"),
    }
}

fn service(text: &str) -> Result<(String, u16), &'static str> {
    let (name, port) = text.split_once(':').unwrap_or((text, "9912"));
    match (name, port.parse()) {
        ("", _) | (_, Err(_)) => Err("a name is expected, and a port behind a colon"),
        (name, Ok(port)) => Ok((name.to_owned(), port)),
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
            Format::EnvoyGatewayExtProc => self.asking_a_service(ext_proc_policy)?,
            Format::EnvoyGatewayExtAuth => self.asking_a_service(ext_auth_policy)?,
            Format::Ecds
            | Format::Plugin
            | Format::Istio
            | Format::IstioEcds
            | Format::EnvoyGateway
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
        let Kubernetes { gateway, listener, .. } = &self.kubernetes;
        let alone =
            |text: Result<String, _>| text.map(|text| Bundle { policy: text.clone(), text });
        let bundle = match self.format {
            Format::Ecds => alone(ecds(plugin, self.module.as_deref())),
            Format::Plugin => alone(plugin_json(plugin)),
            Format::Istio => wasm_plugin(plugin, &self.target()?),
            Format::IstioEcds => envoy_filter(plugin, &self.target()?),
            Format::EnvoyGateway | Format::EnvoyGatewayEcds if gateway.is_none() => {
                return Err(missing("--gateway", "the Gateway to which the policy belongs"));
            }
            Format::EnvoyGatewayEcds if listener.is_none() => {
                return Err(missing("--listener", "the name of the Gateway's listener"));
            }
            Format::EnvoyGateway => extension_policy(plugin, &self.target()?),
            Format::EnvoyGatewayEcds => patch_policy(plugin, &self.target()?),
            Format::EnvoyGatewayExtProc | Format::EnvoyGatewayExtAuth => alone(plugin_json(plugin)),
        };
        bundle.map_err(|error| match error {
            RenderError::Refused(_) => BadInput(error.to_string()).into(),
            RenderError::NotReadBack => error.into(),
        })
    }

    /// No policy is in it: the service has its own.
    fn asking_a_service(
        &self,
        render: impl Fn(&ServiceTarget) -> Result<String, RenderError>,
    ) -> anyhow::Result<String> {
        let Kubernetes { gateway, service: (service, port), name, namespace, .. } =
            &self.kubernetes;
        let gateway = gateway
            .clone()
            .ok_or_else(|| missing("--gateway", "the Gateway to which the policy belongs"))?;
        let (name, namespace, service) = (name.clone(), namespace.clone(), service.clone());
        Ok(render(&ServiceTarget { name, namespace, gateway, service, port: *port })?)
    }

    fn with_policy(&self) -> anyhow::Result<String> {
        let mut plugin = self.sources.gather()?;
        plugin.set_generation(&Generation::fresh());
        let Bundle { text, policy } = self.render(&plugin)?;
        lint(&policy)?;
        Ok(text)
    }

    fn target(&self) -> anyhow::Result<Target> {
        let Kubernetes {
            module_url,
            module_sha256,
            gateway,
            listener,
            port,
            selector,
            service: _,
            name,
            namespace,
        } = &self.kubernetes;
        let module_url = module_url
            .clone()
            .ok_or_else(|| missing("--module-url", "where the gateway fetches the module"))?;
        Ok(Target {
            name: name.clone(),
            namespace: namespace.clone(),
            module_url,
            module_sha256: module_sha256.clone(),
            gateway: gateway.clone(),
            listener: listener.clone(),
            port: *port,
            selector: selector.iter().cloned().collect::<BTreeMap<_, _>>(),
        })
    }
}

fn missing(flag: &str, what: &str) -> anyhow::Error {
    BadInput(format!("this --format needs {flag}: {what}")).into()
}

/// Warns of what is odd about the result, as `config check` would.
fn lint(text: &str) -> anyhow::Result<()> {
    let found = PluginConfiguration::find(text.as_bytes())?;
    let config = found.config()?;
    let (file, _) = text::value(text.as_bytes())?;
    for warning in LintReport::of(&file, &found, &config).warnings {
        warn(&warning.to_string());
    }
    Ok(())
}
