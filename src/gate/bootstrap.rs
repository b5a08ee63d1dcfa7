//! The body of `POST /bootstrap` (Kuma: `pkg/xds/bootstrap/types/bootstrap_request.go`).
//!
//! In: the whole body. Out: the fields that the gate needs. The token is not read here. All other fields are for the
//! control plane.

use std::sync::Arc;

use super::{ClaimedNode, ProxyType, RequestError, resource};
use crate::go_json::{fold_name, members, normalise};

/// The largest body. Those of kuma-dp take a few KiB. The token is in the body, so the body is held for anyone who
/// connects, and the limit is lower than that of a first message.
pub const MAX_BOOTSTRAP: usize = 128 * 1024;

/// What kuma-dp claims to be.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct BootstrapRequest {
    /// `mesh`.
    pub mesh: String,
    /// `name`.
    pub name: String,
    /// `proxyType`.
    pub proxy_type: String,
    /// `dataplaneResource`, JSON.
    pub resource: String,
    /// `dataplaneToken`, trimmed by kuma-dp.
    pub token: String,
}

impl BootstrapRequest {
    /// Reads `body` as Go's `json.Unmarshal` reads it: names without case, the last duplicate wins,
    /// `null` changes nothing.
    ///
    /// # Errors
    /// The body is no JSON object, or one of the fields is not a string.
    pub fn parse(body: &[u8]) -> Result<Self, RequestError> {
        let text = normalise(body).map_err(RequestError::Json)?;
        let members = members(&text).map_err(RequestError::Json)?;
        let mut request = Self::default();
        for (name, value) in members.iter() {
            match fold_name(name).as_ref() {
                "mesh" => set(&mut request.mesh, value, "mesh")?,
                "name" => set(&mut request.name, value, "name")?,
                "dataplaneresource" => set(&mut request.resource, value, "dataplaneResource")?,
                "proxytype" => set(&mut request.proxy_type, value, "proxyType")?,
                "dataplanetoken" => set(&mut request.token, value, "dataplaneToken")?,
                _ => {}
            }
        }
        Ok(request)
    }

    /// What the proxy claims to be; `None` for a type that Kuma does not know.
    pub fn node(&self) -> Option<ClaimedNode> {
        let proxy_type = ProxyType::from_name(&self.proxy_type).ok()?;
        let says_nothing = self.name.is_empty() && self.resource.is_empty();
        if says_nothing && proxy_type != ProxyType::Dataplane {
            // Kuma answers this request, and later refuses the zone proxy's stream, because its node id has no name.
            return Some(ClaimedNode::nameless(proxy_type));
        }
        // The node id that the control plane makes of these (Kuma: `pkg/xds/bootstrap/generator.go`).
        let id = format!("{}.{}", self.mesh, self.name);
        if self.resource.is_empty() {
            return Some(ClaimedNode::by_id(proxy_type, &id));
        }
        let parsed = resource::parse(&self.resource);
        Some(match parsed.filter(|parsed| parsed.proxy_type == proxy_type) {
            Some(parsed) => ClaimedNode::by_resource(Arc::new(parsed), &id),
            None => ClaimedNode { proxy_type, identity: Err(RequestError::Resource) },
        })
    }
}

fn set(field: &mut String, value: &str, name: &'static str) -> Result<(), RequestError> {
    match serde_json::from_str::<Option<String>>(value) {
        Ok(Some(text)) => *field = text,
        Ok(None) => {}
        Err(_) => return Err(RequestError::FieldType(name)),
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use super::*;
    use crate::go_json::JsonError;

    #[test]
    fn fields_are_read_as_go_reads_them() {
        for (body, proxy_type, token) in [
            (r#"{"proxyType":"ingress","dataplaneToken":"t"}"#, "ingress", "t"),
            (r#"{"PROXYTYPE":"egress","dataplanetoken":"t"}"#, "egress", "t"),
            (r#"{"dataplaneToken":"a","DataplaneToken":"b","dataplaneToken":null}"#, "", "b"),
            (r#"{"data\u017fplaneToken":"a","dataplaneTo\u212aen":"k"}"#, "", "k"),
            (r#"{"metadata":{"dataplaneToken":"no"},"port":1}"#, "", ""),
            ("null", "", ""),
        ] {
            let (proxy_type, token) = (proxy_type.into(), token.into());
            let wanted = BootstrapRequest { proxy_type, token, ..BootstrapRequest::default() };
            assert_eq!(BootstrapRequest::parse(body.as_bytes()), Ok(wanted), "{body}");
        }
    }

    /// A name or a resource is something: only without both is a zone proxy nameless.
    #[test]
    fn a_proxy_is_what_its_name_or_resource_says() {
        let resource = r#"{"type":"ZoneIngress","name":"i"}"#;
        let request = |proxy_type: &str, name: &str, resource: &str| BootstrapRequest {
            proxy_type: proxy_type.into(),
            name: name.into(),
            resource: resource.into(),
            ..BootstrapRequest::default()
        };
        let nameless = Some(ClaimedNode::nameless(ProxyType::Ingress));
        assert_eq!(request("ingress", "", "").node(), nameless);
        for (name, resource) in [("i", ""), ("", resource), ("i", resource)] {
            let node = request("ingress", name, resource).node();
            assert!(node.is_some() && node != nameless, "{name} {resource}");
        }
        assert_eq!(
            request("dataplane", "", "").node(),
            Some(ClaimedNode::by_id(ProxyType::Dataplane, "."))
        );
        assert_eq!(request("other", "i", "").node(), None);
    }

    #[test]
    fn what_go_refuses_is_refused() {
        for (body, wanted) in [
            ("", RequestError::Json(JsonError::Syntax)),
            ("{", RequestError::Json(JsonError::Syntax)),
            ("{} {}", RequestError::Json(JsonError::Syntax)),
            ("[]", RequestError::Json(JsonError::NotAnObject)),
            (r#"{"dataplaneToken":1}"#, RequestError::FieldType("dataplaneToken")),
            (r#"{"proxyType":["ingress"]}"#, RequestError::FieldType("proxyType")),
        ] {
            assert_eq!(BootstrapRequest::parse(body.as_bytes()), Err(wanted), "{body}");
        }
    }
}
