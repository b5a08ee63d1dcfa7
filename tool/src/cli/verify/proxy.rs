//! The artificial proxy that connects with a token.
//!
//! In: flags, or the file of a dataplane for kuma-dp, and the token. Out: a [`Proxy`]. Missing flags get the values of
//! the token's unverified claims, and the output names these values. The filter's own code decides whether such a proxy
//! may use the token.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};
use zonegate::credential::{Claims, Kind};
use zonegate::gate::{Admission, DpServer, ProxyType};
use zonegate::text::Quoted;
use zonegate::token::Unverified;

use crate::cli::failure::BadInput;
use crate::cli::inspect::likely_kind;
use crate::cli::{generate, input};
use crate::readers::text;

#[derive(Args)]
pub(super) struct ProxyArgs {
    /// Type of the proxy [default: the types that the token is for; the token passes if one of them may connect]
    #[arg(long, value_name = "TYPE", value_enum)]
    pub(super) proxy_type: Option<ProxyTypeName>,
    /// Name of the proxy, on Kubernetes POD.NAMESPACE [default: from the token]
    #[arg(long)]
    name: Option<String>,
    /// Mesh of the proxy [default: from the token]
    #[arg(long)]
    mesh: Option<String>,
    /// Tag of the proxy's inbounds or gateway, and its values; repeatable [default: from the token]
    #[arg(long, value_name = "TAG=VALUE", value_parser = generate::tags)]
    tag: Vec<Vec<generate::Tag>>,
    /// Label kuma.io/workload of the proxy [default: from the token]
    #[arg(long)]
    workload: Option<String>,
    /// Resource of the proxy, YAML or JSON as kuma-dp takes it, in place of the five flags above
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["proxy_type", "name", "mesh", "tag", "workload"]
    )]
    dataplane_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ProxyTypeName {
    Ingress,
    Egress,
    Dataplane,
}

impl From<ProxyTypeName> for ProxyType {
    fn from(given: ProxyTypeName) -> Self {
        match given {
            ProxyTypeName::Ingress => Self::Ingress,
            ProxyTypeName::Egress => Self::Egress,
            ProxyTypeName::Dataplane => Self::Dataplane,
        }
    }
}

/// A proxy, as far as flags or its file describe it.
pub(super) struct GivenProxy {
    proxy_type: Option<ProxyType>,
    name: Option<String>,
    mesh: Option<String>,
    tags: Option<Tags>,
    workload: Option<String>,
    /// The resource in a file.
    resource: Option<Value>,
}

/// Tags, and the values of each.
type Tags = Vec<(String, Vec<String>)>;

/// A proxy that connects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Proxy {
    pub(super) name: String,
    pub(super) mesh: String,
    pub(super) tags: Tags,
    pub(super) workload: String,
    /// The names of the values that no flag and no file has given.
    pub(super) assumed: Vec<&'static str>,
    /// The whole resource, if a file had it.
    pub(super) resource: Option<Value>,
}

/// The default of Kuma.
const DEFAULT_MESH: &str = "default";
/// The name of a proxy whose name does not matter.
const ANY_NAME: &str = "any";

impl ProxyArgs {
    /// Whether no flag is given.
    pub(super) fn is_empty(&self) -> bool {
        let Self { proxy_type, name, mesh, tag, workload, dataplane_file } = self;
        let texts = [name, mesh, workload].into_iter().all(Option::is_none);
        texts && proxy_type.is_none() && tag.is_empty() && dataplane_file.is_none()
    }

    /// Whether the flags are about a dataplane.
    pub(super) fn is_dataplane(&self) -> bool {
        let of_dataplanes = self.mesh.is_some() || self.workload.is_some() || !self.tag.is_empty();
        match self.proxy_type {
            Some(given) => given == ProxyTypeName::Dataplane,
            None => of_dataplanes || self.dataplane_file.is_some(),
        }
    }

    pub(super) fn read(self) -> anyhow::Result<GivenProxy> {
        if let Some(path) = &self.dataplane_file {
            return GivenProxy::from_file(path);
        }
        let proxy_type = match self.is_dataplane() {
            true => Some(ProxyType::Dataplane),
            false => self.proxy_type.map(Into::into),
        };
        if let Some(mesh) = self.mesh.as_deref().filter(|mesh| !is_mesh(mesh)) {
            bail!(BadInput(format!("--mesh: {}: no mesh has this name", Quoted(mesh))));
        }
        if self.name.as_deref() == Some("") {
            bail!(BadInput("--name: must not be empty".to_owned()));
        }
        let mut by_name: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (tag, values) in self.tag.into_iter().flatten() {
            by_name.entry(tag).or_default().extend(values);
        }
        let tags = by_name.into_iter();
        let tags: Tags = tags.map(|(tag, values)| (tag, values.into_iter().collect())).collect();
        let tags = (!tags.is_empty()).then_some(tags);
        let Self { name, mesh, workload, .. } = self;
        Ok(GivenProxy { proxy_type, name, mesh, tags, workload, resource: None })
    }
}

/// A mesh has no dot in its name, because the node id is `mesh.name`, split at the first dot.
fn is_mesh(name: &str) -> bool {
    !name.is_empty() && !name.contains('.')
}

/// Resources of dataplanes have a few KiB.
const MAX_RESOURCE: usize = 1024 * 1024;

impl GivenProxy {
    fn from_file(path: &Path) -> anyhow::Result<Self> {
        let bytes = input::public(path, MAX_RESOURCE, "dataplane")?;
        let bad = || BadInput(format!("{}: not a dataplane", input::name(path)));
        if bytes.windows(2).any(|two| two == b"{{") {
            bail!(BadInput(format!(
                "{}: a template: put values in the place of {{{{ … }}}} first, as kuma-dp does",
                input::name(path)
            )));
        }
        let (resource, _) = text::value(&bytes).with_context(bad)?;
        let field = |name: &'static str| {
            let field = resource.get(name).and_then(Value::as_str).map(str::to_owned);
            field.with_context(|| format!("{name} is missing, or is not text")).with_context(bad)
        };
        let kind = field("type")?;
        let proxy_type = ProxyType::from_resource_type(&kind)
            .with_context(|| {
                format!("a {}, none of Dataplane, ZoneIngress, ZoneEgress", Quoted(&kind))
            })
            .with_context(bad)?;
        let name = Some(field("name")?);
        let mesh = match proxy_type {
            ProxyType::Dataplane => Some(field("mesh")?),
            ProxyType::Ingress | ProxyType::Egress => Some(String::new()),
        };
        let proxy_type = Some(proxy_type);
        Ok(Self { proxy_type, name, mesh, tags: None, workload: None, resource: Some(resource) })
    }

    /// The types of proxy to judge: the given type, or the types that the token is for.
    pub(super) fn types(&self, server: &DpServer, token: Unverified<'_>) -> Vec<ProxyType> {
        if let Some(given) = self.proxy_type {
            return vec![given];
        }
        let zone_proxies = vec![ProxyType::Ingress, ProxyType::Egress];
        let types = |is_it: &dyn Fn(Kind) -> bool| -> Vec<ProxyType> {
            let admits = |proxy: &ProxyType| match server.proxies.admission(*proxy) {
                Admission::Token(kind) => is_it(kind),
                Admission::Pass | Admission::Deny => false,
            };
            ProxyType::ALL.into_iter().filter(admits).collect()
        };
        let (found, otherwise) = match likely_kind(token) {
            Some(Kind::ZoneToken) => return zone_proxies,
            Some(Kind::DataplaneToken) => return vec![ProxyType::Dataplane],
            Some(Kind::ServiceAccountToken) => {
                (types(&|kind| kind == Kind::ServiceAccountToken), ProxyType::ALL.to_vec())
            }
            None if types(&|kind| kind == Kind::ZoneToken).is_empty() => {
                (types(&|_| true), zone_proxies)
            }
            None => return zone_proxies,
        };
        if found.is_empty() { otherwise } else { found }
    }

    /// The proxy. Missing values come from the token.
    pub(super) fn with_assumptions(&self, token: Unverified<'_>) -> Proxy {
        let claims = likely_kind(token).and_then(|kind| kind.read_unverified(token));
        let claimed = match claims {
            Some(Ok((_, claims))) => holder_of(claims),
            Some(Err(_)) | None => Proxy::default(),
        };
        if self.resource.is_some() {
            let (name, mesh) = (self.name.clone(), self.mesh.clone());
            return Proxy {
                name: name.unwrap_or_default(),
                mesh: mesh.unwrap_or_default(),
                resource: self.resource.clone(),
                ..Proxy::default()
            };
        }
        let mut assumed = Vec::new();
        let mut text = |given: &Option<String>, claimed: String, name, otherwise: &str| match given
        {
            Some(given) => given.clone(),
            None if claimed.is_empty() && otherwise.is_empty() => claimed,
            None => {
                assumed.push(name);
                if claimed.is_empty() { otherwise.to_owned() } else { claimed }
            }
        };
        let name = text(&self.name, claimed.name, "name", ANY_NAME);
        let mesh = Some(claimed.mesh).filter(|mesh| is_mesh(mesh)).unwrap_or_default();
        let mesh = text(&self.mesh, mesh, "mesh", DEFAULT_MESH);
        let workload = text(&self.workload, claimed.workload, "workload", "");
        if self.tags.is_none() && !claimed.tags.is_empty() {
            assumed.push("tags");
        }
        let tags = self.tags.clone().unwrap_or(claimed.tags);
        Proxy { name, mesh, tags, workload, assumed, resource: None }
    }
}

/// The proxy for which a token was issued.
fn holder_of(claims: Claims) -> Proxy {
    match claims {
        Claims::Zone(_) => Proxy::default(),
        Claims::Dataplane(claims) => {
            // One value of each tag is enough.
            let first = |values: Vec<String>| values.into_iter().take(1).collect();
            Proxy {
                name: claims.name,
                mesh: claims.mesh,
                tags: claims.tags.into_iter().map(|(tag, all)| (tag, first(all))).collect(),
                workload: claims.workload,
                ..Proxy::default()
            }
        }
        Claims::ServiceAccount(claims) => {
            let pod = claims.pod.as_deref().filter(|pod| !pod.is_empty()).unwrap_or(ANY_NAME);
            Proxy { name: format!("{pod}.{}", claims.namespace), ..Proxy::default() }
        }
    }
}

impl Proxy {
    /// `dataplane.resource` as kuma-dp would send it; `None` if no token depends on the resource of this type.
    pub(super) fn resource(&self, proxy: ProxyType) -> Option<String> {
        match (&self.resource, proxy) {
            (Some(resource), _) => Some(resource.to_string()),
            (None, ProxyType::Dataplane) => Some(self.made_up().to_string()),
            (None, ProxyType::Ingress | ProxyType::Egress) => None,
        }
    }

    fn made_up(&self) -> Value {
        // An inbound has one value of each tag, so the tag with the most values gives the number of inbounds.
        let count = self.tags.iter().map(|(_, values)| values.len()).max().unwrap_or_default();
        let inbound = |index: usize| {
            let tags = self.tags.iter();
            let tags: Map<String, Value> = tags
                .filter_map(|(tag, values)| Some((tag.clone(), values.get(index)?.as_str().into())))
                .collect();
            json!({ "tags": tags })
        };
        let inbounds: Vec<Value> = (0..count).map(inbound).collect();
        let mut resource = json!({
            "type": "Dataplane",
            "mesh": self.mesh,
            "name": self.name,
            "networking": { "inbound": inbounds },
        });
        if let (false, Some(fields)) = (self.workload.is_empty(), resource.as_object_mut()) {
            let labels = json!({ "kuma.io/workload": self.workload });
            fields.insert("labels".to_owned(), labels);
        }
        resource
    }

    /// The values of the proxy, each with its name.
    pub(super) fn members(&self) -> Vec<(&'static str, String)> {
        let tags: Vec<String> =
            self.tags.iter().map(|(tag, values)| format!("{tag}={}", values.join(","))).collect();
        [
            ("name", &self.name),
            ("mesh", &self.mesh),
            ("tags", &tags.join(" ")),
            ("workload", &self.workload),
        ]
        .into_iter()
        .filter(|(_, text)| !text.is_empty())
        .map(|(name, text)| (name, text.clone()))
        .collect()
    }
}
