//! The flags of the formats for Kubernetes.
//!
//! In: flags. Out: where the objects and the filter are, or which flag is missing.

use clap::Args;

use crate::cli::failure::BadInput;
use crate::render::kubernetes::Target;
use crate::render::service::ServiceTarget;

#[derive(Args)]
#[command(next_help_heading = "On Kubernetes (istio*, envoy-gateway*)")]
pub(super) struct Kubernetes {
    /// Where the gateway fetches the module: oci://, https://, with Istio also file://
    #[arg(long, value_name = "URL")]
    module_url: Option<String>,
    /// SHA-256 of what the URL names, 64 hexadecimal digits: the module, or the manifest of an image
    #[arg(long, value_name = "HEX", value_parser = sha256)]
    module_sha256: Option<String>,
    /// Gateway (of the Gateway API) to which the policy applies; Envoy Gateway needs it
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

impl Kubernetes {
    /// Where the filter belongs, and where the gateway fetches it.
    pub(super) fn target(&self) -> anyhow::Result<Target> {
        let Self {
            module_url,
            module_sha256,
            gateway,
            listener,
            port,
            selector,
            service: _,
            name,
            namespace,
        } = self;
        let module_url = module_url
            .clone()
            .ok_or_else(|| missing("--module-url", "where the gateway fetches the module"))?;
        Ok(Target {
            name: name.clone(),
            namespace: namespace.clone(),
            module_url,
            module_sha256: module_sha256.clone(),
            module: None,
            gateway: gateway.clone(),
            listener: listener.clone(),
            port: *port,
            selector: selector.iter().cloned().collect(),
        })
    }

    /// The same, for pods with the filter in an image, at this path.
    pub(super) fn with_image(&self, module: Option<&str>) -> anyhow::Result<Target> {
        let target = Target { module: module.map(str::to_owned), ..self.target()? };
        match target.module_url.split_once("://") {
            None | Some(("oci", _)) => Ok(target),
            Some(_) => Err(BadInput(
                "with this --format the pods mount an image: --module-url oci://… names it".into(),
            )
            .into()),
        }
    }

    /// The service to ask, and the Gateway that asks it.
    pub(super) fn service_target(&self) -> anyhow::Result<ServiceTarget> {
        let gateway = self.gateway()?.to_owned();
        let (service, port) = self.service.clone();
        let (name, namespace) = (self.name.clone(), self.namespace.clone());
        Ok(ServiceTarget { name, namespace, gateway, service, port })
    }

    pub(super) fn gateway(&self) -> anyhow::Result<&str> {
        let gateway = self.gateway.as_deref();
        gateway.ok_or_else(|| missing("--gateway", "the Gateway to which the policy belongs"))
    }

    pub(super) fn listener(&self) -> anyhow::Result<&str> {
        let listener = self.listener.as_deref();
        listener.ok_or_else(|| missing("--listener", "the name of the Gateway's listener"))
    }
}

fn missing(flag: &str, what: &str) -> anyhow::Error {
    BadInput(format!("this --format needs {flag}: {what}")).into()
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
