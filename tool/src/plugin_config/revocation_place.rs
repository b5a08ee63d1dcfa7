//! The places of revoked ids in a plugin configuration: each kind of token has a list, and dataplane tokens have one
//! for each mesh.
//!
//! In: a plugin configuration. Out: its lists, each by its place, and the configuration with another list in one of
//! them. The contents of a list are not judged.

use std::fmt;

use serde_json::{Map, Value};
use zonegate::credential::{Issuers, Kind};
use zonegate::revocation::RevocationList;

use super::Revocations;

/// A list of revoked ids.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum RevocationPlace {
    /// The list of zone tokens.
    ZoneTokens,
    /// The list of the dataplane tokens of this mesh.
    Mesh(String),
    /// The list of service-account tokens.
    ServiceAccounts,
}

const REVOCATIONS: &str = "revocations";
const DP_TOKEN: &str = "dpToken";
const SERVICE_ACCOUNT_TOKEN: &str = "serviceAccountToken";

impl RevocationPlace {
    /// The lists of `json`. The lists of zone tokens and of service-account tokens are always among them.
    pub fn all(json: &Value) -> Vec<Self> {
        let meshes = json.pointer("/dpToken/revocations").and_then(Value::as_object);
        let meshes = meshes.into_iter().flat_map(Map::keys).cloned().map(Self::Mesh);
        [Self::ZoneTokens].into_iter().chain(meshes).chain([Self::ServiceAccounts]).collect()
    }

    /// The names of the fields that lead to it.
    pub fn fields(&self) -> Vec<&str> {
        match self {
            Self::ZoneTokens => vec![REVOCATIONS],
            Self::Mesh(mesh) => vec![DP_TOKEN, REVOCATIONS, mesh],
            Self::ServiceAccounts => vec![SERVICE_ACCOUNT_TOKEN, REVOCATIONS],
        }
    }

    /// The kind of token in the list.
    pub fn kind(&self) -> Kind {
        match self {
            Self::ZoneTokens => Kind::ZoneToken,
            Self::Mesh(_) => Kind::DataplaneToken,
            Self::ServiceAccounts => Kind::ServiceAccountToken,
        }
    }

    /// The secret that has the list in Kuma; `None` for service-account tokens, because Kubernetes has no such list.
    pub fn secret(&self) -> Option<String> {
        match self {
            Self::ZoneTokens => Some("zone-token-revocations".to_owned()),
            Self::Mesh(mesh) => Some(format!("dataplane-token-revocations-{mesh}")),
            Self::ServiceAccounts => None,
        }
    }

    /// The value at this place, if there is one.
    pub fn value<'a>(&self, json: &'a Value) -> Option<&'a Value> {
        let mut fields = self.fields().into_iter();
        fields.try_fold(json, |value, name| value.get(name)).filter(|value| !value.is_null())
    }

    /// The list; empty if there is no value.
    pub fn revocations(&self, json: &Value) -> Revocations {
        self.value(json).cloned().map_or(Revocations::Text(String::new()), Revocations::of)
    }

    /// Sets the value to `list`; `None` if a parent is not an object.
    pub fn set(&self, json: &mut Value, list: Value) -> Option<()> {
        let mut place = json;
        for name in self.fields() {
            if place.is_null() {
                *place = Value::Object(Map::new());
            }
            place = place.as_object_mut()?.entry(name).or_insert(Value::Null);
        }
        *place = list;
        Some(())
    }

    /// The list, as the filter reads it.
    pub fn list<'a>(&self, issuers: &'a Issuers) -> Option<&'a RevocationList> {
        match self {
            Self::ZoneTokens => Some(&issuers.zone_token.revocations),
            Self::Mesh(mesh) => {
                issuers.dp_token.by_mesh.get(mesh).map(|issuer| &issuer.revocations)
            }
            Self::ServiceAccounts => Some(&issuers.service_account_token.issuer.revocations),
        }
    }
}

/// The path, as in the filter's errors.
impl fmt::Display for RevocationPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fields().join("."))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_list_is_read_from_its_place_and_put_there() {
        let mut json = json!({ "dpToken": { "revocations": { "a": "1,2" } } });
        assert_eq!(
            RevocationPlace::all(&json).iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["revocations", "dpToken.revocations.a", "serviceAccountToken.revocations"]
        );
        let a = RevocationPlace::Mesh("a".into());
        assert_eq!(a.revocations(&json), Revocations::Text("1,2".into()));
        for place in [RevocationPlace::Mesh("b".into()), RevocationPlace::ServiceAccounts] {
            assert_eq!(place.value(&json), None);
            place.set(&mut json, json!("x")).unwrap();
            assert_eq!(place.value(&json), Some(&json!("x")));
        }
        assert_eq!(a.revocations(&json), Revocations::Text("1,2".into()));
        assert_eq!(RevocationPlace::ZoneTokens.set(&mut json!("no object"), json!("")), None);
    }
}
