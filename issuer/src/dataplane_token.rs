//! Dataplane tokens, byte for byte as kumactl issues them (Kuma: `pkg/tokens/builtin/issuer/`, `token.go` and
//! `issuer.go`).
//!
//! In: the proxies that may use the token, the time and the key. Out: the token. Not checked: whether such a proxy or
//! its mesh exists, and whether a control plane knows the kid.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::token::{Life, Registered, sign};
use super::{IssueError, SigningKey};

/// The kind of proxy that a dataplane token names; no control plane compares it with anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ProxyType {
    /// A sidecar or gateway.
    Dataplane,
    /// A zone ingress.
    Ingress,
    /// A zone egress.
    Egress,
}

/// The contents of a dataplane token. An empty field does not restrict the token.
#[derive(Debug, Clone)]
pub struct DataplaneTokenRequest {
    /// The name of the one proxy that may use it.
    pub name: String,
    /// The mesh of the proxies that may use it.
    pub mesh: String,
    /// Tags that a proxy must have, each with the values that it may have. A tag without values is left out.
    pub tags: BTreeMap<String, BTreeSet<String>>,
    /// The kind of proxy.
    pub proxy_type: Option<ProxyType>,
    /// The label `kuma.io/workload` that a proxy must have.
    pub workload: String,
    /// How long the token is valid.
    pub valid_for: Duration,
    /// The kid under which the verifiers know the key.
    pub kid: String,
    /// The time of issue.
    pub now: SystemTime,
    /// The start of validity, if it is not the time of issue; then `valid_for` counts from this time.
    pub not_before: Option<SystemTime>,
    /// The ID by which the token can be revoked; kumactl makes a random UUID.
    pub id: String,
}

/// The claims in the order of Kuma's `DataplaneClaims`. Empty claims are written too.
#[derive(Serialize)]
struct Claims<'a> {
    #[serde(rename = "Name")]
    name: &'a str,
    #[serde(rename = "Mesh")]
    mesh: &'a str,
    /// Names and values in the order of their bytes, as Go sorts them.
    #[serde(rename = "Tags")]
    tags: BTreeMap<&'a str, &'a BTreeSet<String>>,
    #[serde(rename = "Type")]
    proxy_type: Type,
    #[serde(rename = "Workload")]
    workload: &'a str,
    #[serde(flatten)]
    registered: Registered<'a>,
}

/// `None` is written as an empty text.
struct Type(Option<ProxyType>);

impl Serialize for Type {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(proxy_type) => proxy_type.serialize(serializer),
            None => serializer.serialize_str(""),
        }
    }
}

impl DataplaneTokenRequest {
    /// Issues the token.
    ///
    /// # Errors
    /// A date does not fit; see [`IssueError`].
    ///
    /// # Panics
    /// As [`SigningKey::sign_raw`].
    pub fn issue(&self, key: &SigningKey) -> Result<String, IssueError> {
        Ok(sign(key, &self.kid, &self.claims()?))
    }

    fn claims(&self) -> Result<Claims<'_>, IssueError> {
        let Self { valid_for, now, not_before, .. } = *self;
        let tags = self.tags.iter().filter(|(_, values)| !values.is_empty());
        Ok(Claims {
            name: &self.name,
            mesh: &self.mesh,
            tags: tags.map(|(tag, values)| (tag.as_str(), values)).collect(),
            proxy_type: Type(self.proxy_type),
            workload: &self.workload,
            registered: Registered::new(Life { now, not_before, valid_for }, &self.id)?,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::token::go_json;

    fn request() -> DataplaneTokenRequest {
        DataplaneTokenRequest {
            name: String::new(),
            mesh: "default".into(),
            tags: BTreeMap::new(),
            proxy_type: None,
            workload: String::new(),
            valid_for: Duration::from_secs(60),
            kid: "1".into(),
            now: UNIX_EPOCH.checked_add(Duration::from_millis(1_000_900)).unwrap(),
            not_before: None,
            id: "id-1".into(),
        }
    }

    fn claims(request: &DataplaneTokenRequest) -> String {
        go_json(&request.claims().unwrap())
    }

    #[test]
    fn claims_are_in_kumas_order_and_empty_ones_are_written() {
        let wanted = concat!(
            r#"{"Name":"","Mesh":"default","Tags":{},"Type":"","Workload":"","exp":1060,"nbf":995,"#,
            r#""iat":995,"jti":"id-1"}"#
        );
        assert_eq!(claims(&request()), wanted);
    }

    #[test]
    fn tags_are_sorted_and_one_without_values_is_left_out() {
        let tags =
            [("b", vec!["y", "x", "y"]), ("a", vec!["<"]), ("B", vec!["z"]), ("none", vec![])];
        let tags =
            tags.map(|(tag, values)| (tag.into(), values.into_iter().map(Into::into).collect()));
        let bound = DataplaneTokenRequest {
            name: "dp-1".into(),
            tags: tags.into(),
            proxy_type: Some(ProxyType::Ingress),
            workload: "w".into(),
            ..request()
        };
        let wanted = concat!(
            r#"{"Name":"dp-1","Mesh":"default","Tags":{"B":["z"],"a":["\u003c"],"b":["x","y"]},"#,
            r#""Type":"ingress","Workload":"w","exp":1060,"nbf":995,"iat":995,"jti":"id-1"}"#
        );
        assert_eq!(claims(&bound), wanted);
    }

    #[test]
    fn a_later_beginning_and_a_date_that_does_not_fit_are_heeded() {
        let from = |seconds| {
            let not_before = UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
            let request = DataplaneTokenRequest { not_before, ..request() };
            request.claims().map(|claims| go_json(&claims))
        };
        assert!(from(2_000).unwrap().contains(r#""exp":2060,"nbf":2000,"iat":995,"#));
        assert_eq!(from(940), Err(IssueError::Over));
    }
}
