//! Service-account tokens of Kubernetes (Kuma: `pkg/xds/auth/k8s/authenticator.go`; Kubernetes:
//! `pkg/serviceaccount/claims.go`): of any proxy there.
//!
//! In: the claims of a verified token, and who holds it. Out: whether they agree, or a [`Mismatch`].
//! Signature, time and revocation are not looked at here. Whether pod and account still exist, and which
//! account the pod really has, is known to the API server alone, which the control plane asks.

use std::collections::{BTreeMap, BTreeSet};

use super::{ClaimValue, Holder, Identity, Issuer, Mismatch};
use crate::go_json::{members, normalise};
use crate::token::{MistypedClaim, NumericDate, Registered, TokenError, set_string};

/// What only a service-account token says. An absent string is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceAccountClaims {
    /// `iss`: the cluster.
    pub issuer: String,
    /// `aud`: for whom the token is.
    pub audiences: Vec<String>,
    /// `namespace` in `kubernetes.io`.
    pub namespace: String,
    /// `serviceaccount.name` in `kubernetes.io`.
    pub service_account: String,
    /// `pod.name` in `kubernetes.io`; `None` for a token that is bound to no pod.
    pub pod: Option<String>,
}

/// Who signs service-account tokens: each cluster has an issuer and keys of its own.
#[derive(Debug, Default)]
pub struct ServiceAccountIssuers {
    /// The keys of all clusters, and the revoked IDs: Kubernetes has no list of its own.
    pub issuer: Issuer,
    /// The clusters.
    pub clusters: Vec<Cluster>,
    /// The accounts that may connect, as `namespace/name`; `None` is all of them.
    pub allowed: Option<BTreeSet<String>>,
}

/// What the tokens of a cluster have in common.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cluster {
    /// `iss` of its tokens.
    pub issuer: String,
    /// The audiences of which a token must have one.
    pub audiences: Vec<String>,
    /// The kids of its keys.
    pub kids: BTreeSet<String>,
}

impl ServiceAccountClaims {
    /// Reads the claims in `payload`. Names count with their case, and none may be there twice: the API
    /// server's reader (go-jose) refuses a name that is.
    pub(super) fn read(payload: &[u8]) -> Result<(Registered, Self), TokenError> {
        let text = normalise(payload).map_err(TokenError::ClaimsJson)?;
        let (mut registered, mut claims) = (Registered::default(), Self::default());
        for (name, value) in unique(&text)? {
            let set = match name.as_str() {
                "jti" => set_string(&mut registered.id, value).ok_or("jti"),
                "exp" => date(value).map(|date| registered.expires_at = date).ok_or("exp"),
                "nbf" => date(value).map(|date| registered.not_before = date).ok_or("nbf"),
                "iat" => date(value).map(drop).ok_or("iat"),
                "iss" => set_string(&mut claims.issuer, value).ok_or("iss"),
                "sub" => set_string(&mut String::new(), value).ok_or("sub"),
                "aud" => audiences(value).map(|all| claims.audiences = all).ok_or("aud"),
                "kubernetes.io" => {
                    claims.set_kubernetes(value)?;
                    Ok(())
                }
                _ => Ok(()),
            };
            set.map_err(wrong_type)?;
        }
        Ok((registered, claims))
    }

    fn set_kubernetes(&mut self, value: &str) -> Result<(), TokenError> {
        for (name, value) in unique(value)? {
            match name.as_str() {
                "namespace" => {
                    set_string(&mut self.namespace, value)
                        .ok_or_else(|| wrong_type("namespace"))?;
                }
                "serviceaccount" => self.service_account = name_in(value)?.unwrap_or_default(),
                "pod" => self.pod = name_in(value)?,
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn judge(
        &self,
        holder: Holder<'_>,
        identity: &Identity,
        issuers: &ServiceAccountIssuers,
    ) -> Result<(), Mismatch> {
        let Holder::Proxy(node) = holder else {
            return Err(Mismatch::Scope { scope: Vec::new(), caller: Some(holder.caller()) });
        };
        self.judge_cluster(identity, issuers)?;
        // Kuma: the name of a resource on Kubernetes is `pod.namespace`, split at the last dot.
        let (pod, namespace) = node.name.rsplit_once('.').unwrap_or((&node.name, ""));
        if self.namespace != namespace || self.namespace.is_empty() {
            let (token, proxy) = (self.namespace.clone(), namespace.to_owned());
            return Err(Mismatch::Namespace { token, proxy });
        }
        if let Some(bound) = self.pod.as_deref().filter(|bound| *bound != pod) {
            let (token, proxy) = (bound.to_owned(), pod.to_owned());
            return Err(Mismatch::Pod { token, proxy });
        }
        let account = format!("{}/{}", self.namespace, self.service_account);
        match &issuers.allowed {
            Some(allowed) if !allowed.contains(&account) => {
                Err(Mismatch::ServiceAccount { token: account })
            }
            _ => Ok(()),
        }
    }

    /// A key that several clusters have says nothing of which one it was.
    fn judge_cluster(
        &self,
        identity: &Identity,
        issuers: &ServiceAccountIssuers,
    ) -> Result<(), Mismatch> {
        let is_here = |cluster: &&Cluster| {
            cluster.issuer == self.issuer && cluster.kids.contains(&*identity.kid)
        };
        let Some(cluster) = issuers.clusters.iter().find(is_here) else {
            return Err(Mismatch::TokenIssuer { token: self.issuer.clone() });
        };
        match self.audiences.iter().any(|audience| cluster.audiences.contains(audience)) {
            true => Ok(()),
            false => {
                let (token, gate) = (self.audiences.clone(), cluster.audiences.clone());
                Err(Mismatch::Audience { token, gate })
            }
        }
    }

    pub(super) fn members(&self) -> Vec<(&'static str, ClaimValue<'_>)> {
        vec![
            ("issuer", ClaimValue::Text(&self.issuer)),
            ("audiences", ClaimValue::List(self.audiences.clone())),
            ("namespace", ClaimValue::Text(&self.namespace)),
            ("serviceAccount", ClaimValue::Text(&self.service_account)),
            ("pod", ClaimValue::Text(self.pod.as_deref().unwrap_or_default())),
        ]
    }

    pub(super) fn bytes(&self) -> usize {
        let pod = self.pod.as_ref().map_or(0, String::len);
        let own = [self.issuer.len(), self.namespace.len(), self.service_account.len(), pod];
        let audiences = self.audiences.iter().map(|one| one.len().saturating_add(32));
        audiences.chain(own).fold(0, usize::saturating_add)
    }
}

/// The members of an object, each of them there once; `null` has none.
fn unique(text: &str) -> Result<BTreeMap<String, &str>, TokenError> {
    let mut all = BTreeMap::new();
    for (name, value) in members(text).map_err(TokenError::ClaimsJson)? {
        if all.contains_key(&name) {
            return Err(TokenError::RepeatedClaim(name));
        }
        all.insert(name, value.get());
    }
    Ok(all)
}

/// The name of an object that a token is bound to; `None` where `value` is `null`.
fn name_in(value: &str) -> Result<Option<String>, TokenError> {
    if value == "null" {
        return Ok(None);
    }
    let mut name = String::new();
    match unique(value)?.get("name") {
        None => Ok(Some(name)),
        Some(value) => {
            set_string(&mut name, value).map(|()| Some(name)).ok_or_else(|| wrong_type("name"))
        }
    }
}

/// A date as a number; `null` is none. The outer `None` is the wrong type.
fn date(value: &str) -> Option<Option<NumericDate>> {
    match value {
        "null" => Some(None),
        text if text.starts_with('"') => None,
        number => NumericDate::from_json(number).map(Some),
    }
}

/// A string, a list of strings, or `null`.
fn audiences(value: &str) -> Option<Vec<String>> {
    match serde_json::from_str::<Option<String>>(value) {
        Ok(one) => Some(one.into_iter().collect()),
        Err(_) => serde_json::from_str(value).ok(),
    }
}

fn wrong_type(claim: &'static str) -> TokenError {
    TokenError::ClaimType(MistypedClaim { claim, spelled: claim.to_owned() })
}
