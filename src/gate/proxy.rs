//! Which proxy connects.
//!
//! In: the texts of `dataplane.proxyType` and `dataplane.resource`. Out: a [`ProxyType`], or that
//! there is none such. Whether it may connect is not decided here.

use std::fmt;

use crate::token::{fold_name, members, normalise};

/// The kinds of proxy that Kuma knows (Kuma: `pkg/core/xds/metadata.go`, `api/mesh/v1alpha1`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyType {
    /// A zone ingress.
    Ingress,
    /// A zone egress.
    Egress,
    /// A sidecar or gateway; what an absent type means.
    Dataplane,
}

/// No proxy type of this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownProxyType;

impl ProxyType {
    /// Reads `proxyType`; empty is a dataplane, as in Kuma.
    ///
    /// # Errors
    /// [`UnknownProxyType`].
    pub fn from_name(name: &str) -> Result<Self, UnknownProxyType> {
        match name {
            "ingress" => Ok(Self::Ingress),
            "egress" => Ok(Self::Egress),
            "dataplane" | "" => Ok(Self::Dataplane),
            _ => Err(UnknownProxyType),
        }
    }

    /// Reads the type of the resource in `json`. Kuma lets it overrule `proxyType`, so it must be
    /// there once, under one spelling, and plain: what YAML or Go's folding could read otherwise is
    /// refused.
    pub fn from_resource(json: &str) -> Option<Self> {
        let text = normalise(json.as_bytes()).ok()?;
        let members = members(&text).ok()?;
        if members.iter().any(|(name, _)| name == "<<") {
            return None;
        }
        let mut types = members.iter().filter(|(name, _)| fold_name(name) == "type");
        let (Some((_, value)), None) = (types.next(), types.next()) else { return None };
        match value {
            r#""ZoneIngress""# => Some(Self::Ingress),
            r#""ZoneEgress""# => Some(Self::Egress),
            r#""Dataplane""# => Some(Self::Dataplane),
            _ => None,
        }
    }

    /// The scope that a zone token needs for it; a dataplane has none (Kuma:
    /// `pkg/tokens/builtin/zone/scope.go`).
    pub fn scope(self) -> Option<&'static str> {
        match self {
            Self::Ingress => Some("ingress"),
            Self::Egress => Some("egress"),
            Self::Dataplane => None,
        }
    }
}

impl fmt::Display for ProxyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
            Self::Dataplane => "dataplane",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resource_names_its_type_once_and_plainly() {
        for (json, wanted) in [
            (r#"{"type":"ZoneIngress","name":"a"}"#, Some(ProxyType::Ingress)),
            (r#"{"mesh":"default","type":"Dataplane"}"#, Some(ProxyType::Dataplane)),
            (r#" {"type" : "ZoneEgress" } "#, Some(ProxyType::Egress)),
            (r#"{"type":"ZoneEgress","Type":"ZoneIngress"}"#, None),
            (r#"{"type":"ZoneEgress","type":"ZoneEgress"}"#, None),
            (r#"{"type":"ZoneEgress","<<":{"type":"Dataplane"}}"#, None),
            (r#"{"type":"zoneegress"}"#, None),
            (r#"{"type":"\u005aoneEgress"}"#, None),
            (r#"{"type":null}"#, None),
            ("{}", None),
            ("null", None),
            ("type: ZoneEgress", None),
            (r#"[{"type":"ZoneEgress"}]"#, None),
        ] {
            assert_eq!(ProxyType::from_resource(json), wanted, "{json}");
        }
    }
}
