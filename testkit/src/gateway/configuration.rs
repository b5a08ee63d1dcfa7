//! Envoy's configuration for a run: the files in `envoy/`, with the values of this run in place of those that users
//! set. So the tests run the same files that users copy.
//!
//! In: [`Options`]. Out: the files in a folder. It is an error if the files have no place for a value.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::{Delivery, Form, Options};
use crate::kuma::free_port;

const GATEWAY: &str = include_str!("../../../envoy/gateway.yaml");
const CERTIFICATE: &str = include_str!("../../../envoy/sds/gateway-certificate.yaml");
const CA: &str = include_str!("../../../envoy/sds/control-plane-ca.yaml");

/// The files of a run.
#[derive(Debug, Clone)]
pub(super) struct Files {
    /// The bootstrap configuration.
    pub(super) gateway: PathBuf,
    /// The watched folder.
    folder: PathBuf,
    /// The watched file, except its policy.
    watched: Value,
    /// How the file contains the policy.
    delivery: Delivery,
    /// The form of the filter.
    form: Form,
}

impl Files {
    /// Writes all of them to `dir`.
    pub(super) fn write(dir: &Path, options: &Options) -> anyhow::Result<Self> {
        let folder = dir.join("ecds");
        fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        let gateway = dir.join("gateway.json");
        let (text, watched) = configurations(options, &folder)?;
        fs::write(&gateway, text.to_string())
            .with_context(|| format!("writing {}", gateway.display()))?;
        write_secrets(dir, options)?;
        let (delivery, form) = (options.delivery, Form::of(&options.module));
        let files = Self { gateway, folder, watched, delivery, form };
        files.push(&options.policy)?;
        Ok(files)
    }

    /// The same policy for an Envoy that takes over. It must ask for the exact address that the previous Envoy listens
    /// on.
    pub(super) fn for_successor(&self, options: &Options) -> anyhow::Result<Self> {
        let gateway =
            self.gateway.with_file_name(format!("gateway-{}.json", options.listen.port()));
        let (text, _) = configurations(options, &self.folder)?;
        fs::write(&gateway, text.to_string())
            .with_context(|| format!("writing {}", gateway.display()))?;
        Ok(Self { gateway, ..self.clone() })
    }

    /// The watched file.
    pub(super) fn watched(&self) -> PathBuf {
        self.folder.join(self.delivery.file())
    }

    /// Uses another module in the next pushes.
    pub(super) fn use_module(&mut self, module: &Path) -> anyhow::Result<()> {
        set(&mut self.watched, &self.delivery.filter(self.form.code()), json!(module))
    }

    /// Replaces the policy by a rename, as an operator does.
    pub(super) fn push(&self, policy: &Value) -> anyhow::Result<Written> {
        let mut watched = self.watched.clone();
        let place = self.delivery.filter(self.form.policy());
        set(&mut watched, &place, self.delivery.written(policy))?;
        let (new, place) = (self.folder.join(".new"), self.watched());
        let text = watched.to_string();
        let is_same = fs::read(&place).is_ok_and(|before| before == text.as_bytes());
        fs::write(&new, text)
            .and_then(|()| fs::rename(&new, &place))
            .with_context(|| format!("writing {}", place.display()))?;
        Ok(if is_same { Written::Same } else { Written::Another })
    }
}

/// Whether a written file differs from the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// It differs.
    Another,
    /// It does not differ.
    Same,
}

/// Writes the files from which the gateway's TLS configuration is included.
fn write_secrets(dir: &Path, options: &Options) -> anyhow::Result<()> {
    let certificate = "/resources/0/tls_certificate";
    let trust = "/resources/0/validation_context";
    for (text, name, edits) in [
        (
            CERTIFICATE,
            CERTIFICATE_FILE,
            vec![
                (format!("{certificate}/certificate_chain/filename"), &options.certificate),
                (format!("{certificate}/private_key/filename"), &options.key),
            ],
        ),
        (CA, CA_FILE, vec![(format!("{trust}/trusted_ca/filename"), &options.control_plane_ca)]),
    ] {
        let mut secret = yaml(text).context(name)?;
        let place = if name == CA_FILE { trust } else { certificate };
        for (pointer, path) in edits {
            set(&mut secret, &pointer, json!(path))?;
            let folder = path.parent().unwrap_or(dir);
            set(&mut secret, &format!("{place}/watched_directory/path"), json!(folder))?;
        }
        let file = dir.join(name);
        fs::write(&file, secret.to_string())
            .with_context(|| format!("writing {}", file.display()))?;
    }
    Ok(())
}

/// The names of these files, beside the bootstrap configuration.
const CERTIFICATE_FILE: &str = "gateway-certificate.json";
const CA_FILE: &str = "control-plane-ca.json";

/// The place of the filter in the listener.
const FILTER: &str = "/filter_chains/0/filters/0/typed_config/http_filters/0";

impl Delivery {
    /// The file in the watched folder.
    fn file(self) -> &'static str {
        match self {
            // Envoy reads a long text as JSON in a tenth of the time that it takes as YAML.
            Self::EcdsText | Self::Lds => "zonegate.json",
            Self::Ecds | Self::Gateway => "zonegate.yaml",
        }
    }

    /// The place in the watched file of `place` in the filter's configuration.
    fn filter(self, place: &str) -> String {
        match self {
            Self::Ecds | Self::EcdsText | Self::Gateway => {
                format!("/resources/0/typed_config{place}")
            }
            Self::Lds => format!("/resources/0{FILTER}/typed_config{place}"),
        }
    }

    /// The policy, in the type of this delivery.
    fn written(self, policy: &Value) -> Value {
        let (kind, value) = match self {
            Self::Ecds | Self::Gateway => ("Struct", policy.clone()),
            Self::EcdsText | Self::Lds => ("StringValue", Value::String(policy.to_string())),
        };
        json!({ "@type": format!("type.googleapis.com/google.protobuf.{kind}"), "value": value })
    }

    /// The text in the names of Envoy's counters of updates from the watched file.
    pub(super) fn pushes(self) -> &'static str {
        match self {
            Self::Ecds | Self::EcdsText | Self::Gateway => "extension_config_discovery",
            Self::Lds => "listener_manager.lds",
        }
    }
}

/// The bootstrap configuration, and the watched file without its policy.
fn configurations(options: &Options, folder: &Path) -> anyhow::Result<(Value, Value)> {
    let (mut gateway, ecds) = (gateway_configuration(options, folder)?, filter(options)?);
    if options.delivery != Delivery::Lds || options.service.address.is_some() {
        return Ok((gateway, ecds));
    }
    let listeners = gateway.pointer_mut("/static_resources/listeners").map(Value::take);
    let mut listener = listeners.and_then(|all| all.get(0).cloned()).context("no listener")?;
    let kind = json!("type.googleapis.com/envoy.config.listener.v3.Listener");
    add(&mut listener, "@type", kind)?;
    set(&mut gateway, "/static_resources/listeners", json!([]))?;
    let place = folder.join(options.delivery.file());
    let source = json!({ "path": place, "watched_directory": { "path": folder } });
    let source = json!({ "resource_api_version": "V3", "path_config_source": source });
    add(&mut gateway, "dynamic_resources", json!({ "lds_config": source }))?;
    Ok((gateway, json!({ "resources": [listener] })))
}

/// The resource of the ECDS file.
fn filter(options: &Options) -> anyhow::Result<Value> {
    let form = Form::of(&options.module);
    let mut filter = yaml(form.ecds()).context("the ECDS file")?;
    set(&mut filter, &Delivery::Ecds.filter(form.code()), json!(options.module))?;
    Ok(filter)
}

fn gateway_configuration(options: &Options, folder: &Path) -> anyhow::Result<Value> {
    const LISTENER: &str = "/static_resources/listeners/0";
    const CLUSTER: &str = "/static_resources/clusters/0";
    let mut gateway = yaml(GATEWAY).context("envoy/gateway.yaml")?;
    let chain = format!("{LISTENER}/filter_chains/0");
    let filter = format!("{LISTENER}{FILTER}");
    let source = format!("{filter}/config_discovery/config_source/path_config_source");
    let tls = format!(
        "{chain}/transport_socket/typed_config/common_tls_context\
         /tls_certificate_sds_secret_configs/0/sds_config/path_config_source/path"
    );
    let upstream = format!("{CLUSTER}/transport_socket/typed_config");
    let trust = format!("{upstream}/common_tls_context/combined_validation_context");
    let name = format!("{trust}/default_validation_context/match_typed_subject_alt_names/0");
    let ca =
        format!("{trust}/validation_context_sds_secret_config/sds_config/path_config_source/path");
    let dir = folder.parent().context("a folder without a parent")?;
    let socket = format!("{CLUSTER}/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address");
    let Some((host, port)) = options.control_plane.rsplit_once(':') else {
        bail!("control plane {:?}: expected host:port", options.control_plane);
    };
    let port: u16 = port.parse().with_context(|| format!("port of {}", options.control_plane))?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    for (pointer, value) in [
        ("/admin/address/socket_address/port_value".to_owned(), json!(0)),
        (format!("{LISTENER}/address/socket_address/address"), json!(options.listen.ip())),
        (format!("{LISTENER}/address/socket_address/port_value"), json!(options.listen.port())),
        (format!("{source}/path"), json!(folder.join(options.delivery.file()))),
        (format!("{source}/watched_directory/path"), json!(folder)),
        (tls, json!(dir.join(CERTIFICATE_FILE))),
        (format!("{socket}/socket_address/address"), json!(host)),
        (format!("{socket}/socket_address/port_value"), json!(port)),
        (format!("{upstream}/sni"), json!(options.control_plane_name)),
        (ca, json!(dir.join(CA_FILE))),
        (format!("{name}/san_type"), json!(san_type(&options.control_plane_name))),
        (format!("{name}/matcher/exact"), json!(options.control_plane_name)),
    ] {
        set(&mut gateway, &pointer, value)?;
    }
    let is_filter = options.service.address.is_none();
    if is_filter && matches!(options.delivery, Delivery::Gateway | Delivery::Lds) {
        let mut ecds = self::filter(options)?;
        let place = Delivery::Ecds.filter(Form::of(&options.module).policy());
        set(&mut ecds, &place, options.delivery.written(&options.policy))?;
        let typed = ecds.pointer("/resources/0/typed_config").cloned().unwrap_or_default();
        set(&mut gateway, &filter, json!({ "name": "zonegate", "typed_config": typed }))?;
    }
    set_probes(&mut gateway, options.probes)?;
    if let Some(service) = options.service.address {
        ask_service(&mut gateway, options.service.protocol.parts(), service.port())?;
    }
    for (pointer, value) in &options.edits {
        match pointer.strip_suffix("/+") {
            Some(list) => insert(&mut gateway, list, value.clone())?,
            None => set(&mut gateway, pointer, value.clone())?,
        }
    }
    Ok(gateway)
}

/// `envoy/gateway.yaml`, or a file like it, with the parts from a file of `envoy/service/`, so that Envoy asks a
/// service.
///
/// # Errors
/// Either file differs from the shipped one in its structure.
pub fn asking_a_service(gateway: &str, parts: &str, port: u16) -> anyhow::Result<Value> {
    let mut gateway = yaml(gateway)?;
    ask_service(&mut gateway, parts, port)?;
    Ok(gateway)
}

/// Puts each of `parts` in its place.
fn ask_service(gateway: &mut Value, parts: &str, port: u16) -> anyhow::Result<()> {
    const MANAGER: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
    const PORT: &str =
        "/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address/socket_address/port_value";
    let mut parts = yaml(parts)?;
    set(&mut parts, &format!("/clusters/0{PORT}"), json!(port))?;
    let mut list = |pointer: &str| {
        let list = parts.pointer_mut(pointer).and_then(Value::as_array_mut).map(std::mem::take);
        list.with_context(|| format!("the parts have no {pointer}"))
    };
    let (filters, clusters) = (list("/http_filters")?, list("/clusters")?);
    let of_gateway = |gateway: &mut Value, pointer: &str| {
        let list = gateway.pointer_mut(pointer).and_then(Value::as_array_mut).map(std::mem::take);
        list.with_context(|| format!("envoy/gateway.yaml has no {pointer}"))
    };
    let place = format!("{MANAGER}/http_filters");
    let before = of_gateway(gateway, &place)?;
    // The filter, and the guard behind it.
    let others = before.into_iter().skip(2);
    let filters: Vec<Value> = filters.into_iter().chain(others).collect();
    set(gateway, &place, json!(filters))?;
    let place = format!("{MANAGER}/route_config/virtual_hosts/0/routes");
    let routes = parts.pointer("/routes").and_then(Value::as_array).cloned().unwrap_or_default();
    let before = of_gateway(gateway, &place)?;
    set(gateway, &place, json!(routes.into_iter().chain(before).collect::<Vec<Value>>()))?;
    let place = "/static_resources/clusters";
    let clusters: Vec<Value> = of_gateway(gateway, place)?.into_iter().chain(clusters).collect();
    set(gateway, place, json!(clusters))?;
    for (field, value) in
        parts.pointer("/access_log").and_then(Value::as_object).into_iter().flatten()
    {
        let log = "access_log/0/typed_config/log_format/json_format";
        set(gateway, &format!("{MANAGER}/{log}/{field}"), value.clone())?;
    }
    Ok(())
}

/// Makes the listener for probes point to the admin interface, whose port must be known then; or removes it and its
/// clusters.
fn set_probes(gateway: &mut Value, probes: bool) -> anyhow::Result<()> {
    if !probes {
        for (list, kept) in [("listeners", "zonegate"), ("clusters", "control-plane")] {
            let list = gateway.pointer_mut(&format!("/static_resources/{list}"));
            let list = list.and_then(Value::as_array_mut).context("no list")?;
            list.retain(|one| one.get("name").and_then(Value::as_str) == Some(kept));
        }
        return Ok(());
    }
    let admin = json!(free_port()?);
    let endpoint = "load_assignment/endpoints/0/lb_endpoints/0/endpoint/address/socket_address";
    set(gateway, "/admin/address/socket_address/port_value", admin.clone())?;
    for cluster in [1, 2] {
        let place = format!("/static_resources/clusters/{cluster}/{endpoint}/port_value");
        set(gateway, &place, admin.clone())?;
    }
    set(gateway, "/static_resources/listeners/1/address/socket_address/port_value", json!(0))
}

/// A certificate has different entries for addresses and for host names, and Envoy compares only one kind.
pub(super) fn san_type(name: &str) -> &'static str {
    match name.parse::<IpAddr>() {
        Ok(_) => "IP_ADDRESS",
        Err(_) => "DNS",
    }
}

pub(super) fn yaml(text: &str) -> anyhow::Result<Value> {
    serde_saphyr::from_str(text).context("reading YAML")
}

/// Replaces an existing value. If the file has changed and lacks the place, that is an error.
pub(super) fn set(file: &mut Value, pointer: &str, value: Value) -> anyhow::Result<()> {
    let place = file.pointer_mut(pointer);
    *place.with_context(|| format!("the configuration has no {pointer}"))? = value;
    Ok(())
}

/// Puts a value first in a list.
fn insert(file: &mut Value, pointer: &str, value: Value) -> anyhow::Result<()> {
    let list = file.pointer_mut(pointer).and_then(Value::as_array_mut);
    list.with_context(|| format!("the configuration has no list {pointer}"))?.insert(0, value);
    Ok(())
}

/// Adds a member to an object.
fn add(object: &mut Value, name: &str, value: Value) -> anyhow::Result<()> {
    let members = object.as_object_mut().with_context(|| format!("no object for {name}"))?;
    members.insert(name.to_owned(), value);
    Ok(())
}
