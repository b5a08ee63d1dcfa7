//! Dataplane tokens (Kuma: `pkg/tokens/builtin/issuer`, `pkg/xds/auth/universal`): of sidecars, gateways,
//! and zone proxies of a mesh.
//!
//! In: the claims of a verified token, and who holds it. Out: whether they agree, or a [`Mismatch`]; and
//! the keys that verify the tokens of a mesh. Signature, time and revocation are judged elsewhere.
//!
//! If a proxy sends no resource, only the control plane knows its tags and its workload, and compares them.

use std::collections::BTreeMap;

use super::{ClaimValue, Holder, Issuer, IssuerOf, Mismatch, Resource};
use crate::go_json::members;
use crate::token::{KeySet, PrivateClaims, set_string, string_list};

/// The claims of a dataplane token (Kuma: `pkg/tokens/builtin/issuer/token.go`). A claim that is absent or empty does
/// not restrict the token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DataplaneClaims {
    /// `Name`: of the dataplane.
    pub name: String,
    /// `Mesh`: of the dataplane.
    pub mesh: String,
    /// `Tags`: for each of these tags, the values that the dataplane may have.
    pub tags: BTreeMap<String, Vec<String>>,
    /// `Workload`: its label `kuma.io/workload`.
    pub workload: String,
}

/// The issuers of dataplane tokens: each mesh has its own keys and revocations.
#[derive(Debug, Default)]
pub struct DataplaneIssuers {
    /// Keys that are good for every mesh.
    pub all_meshes: KeySet,
    /// Keys and revocations of one mesh.
    pub by_mesh: BTreeMap<String, Issuer>,
    /// What happens to a token without a workload if the dataplane has one.
    pub require_workload: RequireWorkload,
}

/// What happens to a token without `Workload` if the dataplane has the label `kuma.io/workload`. Kuma refuses such a
/// token if a MeshIdentity makes the proxy's identity of the label. Only the control plane knows this.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RequireWorkload {
    /// The control plane decides.
    #[default]
    Never,
    /// The token is refused.
    WhenLabelled,
}

impl PrivateClaims for DataplaneClaims {
    fn set(&mut self, name: &str, value: &str) -> Result<(), &'static str> {
        match name {
            "name" => set_string(&mut self.name, value).ok_or("Name"),
            "mesh" => set_string(&mut self.mesh, value).ok_or("Mesh"),
            "tags" => self.set_tags(value).ok_or("Tags"),
            "workload" => set_string(&mut self.workload, value).ok_or("Workload"),
            // Only its type is checked, as in Kuma.
            "type" => set_string(&mut String::new(), value).ok_or("Type"),
            _ => Ok(()),
        }
    }
}

impl DataplaneClaims {
    /// A Go map: `null` clears it, and a second object adds to it.
    fn set_tags(&mut self, value: &str) -> Option<()> {
        if value == "null" {
            self.tags.clear();
        }
        for (tag, values) in members(value).ok()? {
            self.tags.insert(tag.into_owned(), string_list(values.get())?);
        }
        Some(())
    }

    /// In Kuma's order (`pkg/xds/auth/universal/authenticator.go`).
    pub(super) fn judge(
        &self,
        holder: Holder<'_>,
        issuers: &DataplaneIssuers,
    ) -> Result<(), Mismatch> {
        let Holder::Proxy(node) = holder else {
            return Err(Mismatch::Scope { scope: Vec::new(), caller: Some(holder.caller()) });
        };
        if !self.name.is_empty() && self.name != node.name {
            let (token, proxy) = (self.name.clone(), node.name.clone());
            return Err(Mismatch::Name { token, proxy });
        }
        if !self.mesh.is_empty() && self.mesh != node.mesh {
            let (token, proxy) = (self.mesh.clone(), node.mesh.clone());
            return Err(Mismatch::Mesh { token, proxy });
        }
        let Some(resource) = &node.resource else { return Ok(()) };
        self.judge_tags(resource)?;
        self.judge_workload(resource, issuers.require_workload)
    }

    fn judge_tags(&self, resource: &Resource) -> Result<(), Mismatch> {
        // A tag with an empty list does not count (Kuma: `MultiValueTagSetFrom` in `api/mesh/v1alpha1`).
        for (tag, allowed) in self.tags.iter().filter(|(_, allowed)| !allowed.is_empty()) {
            let mut values = resource.tags.iter().filter(|(name, _)| name == tag).peekable();
            if values.peek().is_none() {
                return Err(Mismatch::MissingTag { tag: tag.clone() });
            }
            if let Some((_, value)) = values.find(|(_, value)| !allowed.contains(value)) {
                let (tag, value, allowed) = (tag.clone(), value.clone(), allowed.clone());
                return Err(Mismatch::Tag { tag, value, allowed });
            }
        }
        Ok(())
    }

    fn judge_workload(
        &self,
        resource: &Resource,
        require: RequireWorkload,
    ) -> Result<(), Mismatch> {
        match (self.workload.as_str(), resource.workload.as_deref(), require) {
            ("", None, _) | ("", _, RequireWorkload::Never) => Ok(()),
            // An empty label counts as present, as in Kuma.
            ("", Some(workload), RequireWorkload::WhenLabelled) => {
                Err(Mismatch::UnboundWorkload { proxy: workload.to_owned() })
            }
            (token, Some(workload), _) if token == workload => Ok(()),
            (token, workload, _) => {
                let (token, proxy) = (token.to_owned(), workload.unwrap_or_default().to_owned());
                Err(Mismatch::Workload { token, proxy })
            }
        }
    }

    pub(super) fn members(&self) -> Vec<(&'static str, ClaimValue<'_>)> {
        let tags = self.tags.iter().map(|(tag, values)| format!("{tag}={}", values.join(",")));
        vec![
            ("name", ClaimValue::Text(&self.name)),
            ("mesh", ClaimValue::Text(&self.mesh)),
            ("tags", ClaimValue::List(tags.collect())),
            ("workload", ClaimValue::Text(&self.workload)),
        ]
    }

    pub(super) fn bytes(&self) -> usize {
        const ENTRY: usize = 96;
        let tags = self.tags.iter().flat_map(|(tag, values)| {
            let values = values.iter().map(|value| value.len().saturating_add(size_of::<String>()));
            values.chain([tag.len().saturating_add(ENTRY)])
        });
        let own = [self.name.len(), self.mesh.len(), self.workload.len()];
        tags.chain(own).fold(0, usize::saturating_add)
    }
}

impl DataplaneIssuers {
    /// The keys and revocations for `mesh`. If a kid has a key for every mesh and a key for this mesh, the key for
    /// every mesh counts, as in Kuma (`pkg/core/tokens/signing_key_accessor.go`).
    pub fn of_mesh(&self, mesh: &str) -> IssuerOf<'_> {
        let own = self.by_mesh.get(mesh);
        IssuerOf::new(
            [Some(&self.all_meshes), own.map(|issuer| &issuer.keys)],
            own.map(|issuer| &issuer.revocations),
        )
    }

    /// All keys, those for every mesh first.
    pub fn key_sets(&self) -> impl Iterator<Item = &KeySet> {
        [&self.all_meshes].into_iter().chain(self.by_mesh.values().map(|issuer| &issuer.keys))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use super::*;
    use crate::token::read_claims;

    fn tags(payload: &str) -> String {
        let read = read_claims::<DataplaneClaims>(payload.as_bytes());
        read.map_or_else(|error| error.to_string(), |(_, claims)| format!("{:?}", claims.tags))
    }

    #[test]
    fn tags_are_read_as_go_reads_a_map() {
        for (payload, wanted) in [
            (r#"{"Tags":{"a":["1","2"]}}"#, r#"{"a": ["1", "2"]}"#),
            (r#"{"Tags":{"a":["1"],"a":["2"]}}"#, r#"{"a": ["2"]}"#),
            (r#"{"Tags":{"a":["1"]},"tags":{"b":["2"]}}"#, r#"{"a": ["1"], "b": ["2"]}"#),
            (r#"{"Tags":{"a":["1"]},"TAGS":null}"#, "{}"),
            (r#"{"Tags":{"a":null,"b":[null]}}"#, r#"{"a": [], "b": [""]}"#),
            (r#"{"Tags":{"a":"1"}}"#, "its claim Tags has the wrong type"),
            (r#"{"Tags":["a"]}"#, "its claim Tags has the wrong type"),
            (r#"{"Tags":{"a":[1]}}"#, "its claim Tags has the wrong type"),
        ] {
            assert_eq!(tags(payload), wanted, "{payload}");
        }
    }
}
