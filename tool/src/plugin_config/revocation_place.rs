//! Where revoked ids stand in a plugin configuration: each kind of token has a list, dataplane tokens one for
//! each mesh.
//!
//! In: a plugin configuration. Out: its lists, each by its place, and the configuration with another list in one
//! of them. What a list says is not looked at.

use std::fmt;

use serde_json::{Map, Value};
use zonegate::credential::{Issuers, Kind};
use zonegate::revocation::RevocationList;

use super::Revocations;

/// A list of revoked ids.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum RevocationPlace {
    /// Of zone tokens.
    ZoneTokens,
    /// Of the dataplane tokens of this mesh.
    Mesh(String),
    /// Of service-account tokens.
    ServiceAccounts,
}

const REVOCATIONS: &str = "revocations";
const DP_TOKEN: &str = "dpToken";
const SERVICE_ACCOUNT_TOKEN: &str = "serviceAccountToken";

impl RevocationPlace {
    /// Those of `json`, and those of zone tokens and of service-account tokens in any case.
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

    /// Whose ids are in it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::ZoneTokens => Kind::ZoneToken,
            Self::Mesh(_) => Kind::DataplaneToken,
            Self::ServiceAccounts => Kind::ServiceAccountToken,
        }
    }

    /// The secret in which Kuma has it; Kubernetes has no such list.
    pub fn secret(&self) -> Option<String> {
        match self {
            Self::ZoneTokens => Some("zone-token-revocations".to_owned()),
            Self::Mesh(mesh) => Some(format!("dataplane-token-revocations-{mesh}")),
            Self::ServiceAccounts => None,
        }
    }

    /// What stands there, if anything does.
    pub fn value<'a>(&self, json: &'a Value) -> Option<&'a Value> {
        let mut fields = self.fields().into_iter();
        fields.try_fold(json, |value, name| value.get(name)).filter(|value| !value.is_null())
    }

    /// The list, which is empty where nothing stands there.
    pub fn revocations(&self, json: &Value) -> Revocations {
        self.value(json).cloned().map_or(Revocations::Text(String::new()), Revocations::of)
    }

    /// Puts `list` there; `None` where something that is no object is in the way.
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

    /// The list as the filter has it.
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

/// As the filter names it in its errors.
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
