//! Service-account tokens of Kubernetes (Kuma: `pkg/xds/auth/k8s/authenticator.go`; Kubernetes:
//! `pkg/serviceaccount/claims.go`): of any proxy there.
//!
//! In: the claims of a verified token, and who holds it. Out: whether they agree, or a [`Mismatch`].
//! Signature, time and revocation are judged elsewhere. Only the API server, which the control plane asks, knows
//! whether pod and account still exist, and which account the pod really has.

use std::collections::BTreeSet;

use super::go_jose::{audiences, date, unique};
use super::{ClaimValue, Holder, Identity, Issuer, Mismatch};
use crate::go_json::{fold_name, members, normalise};
use crate::token::{Algorithm, MistypedClaim, Registered, TokenError, set_string};

/// An API server signs with RS256, or with ES256 if its key is on P-256.
pub(super) const ALGORITHMS: &[Algorithm] = &[Algorithm::Rs256, Algorithm::Es256];

/// The claims of a service-account token. An absent string is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceAccountClaims {
    /// `iss`: the cluster.
    pub issuer: String,
    /// `aud`: the audiences of the token.
    pub audiences: Vec<String>,
    /// `namespace` in `kubernetes.io`.
    pub namespace: String,
    /// `serviceaccount.name` in `kubernetes.io`.
    pub service_account: String,
    /// `pod.name` in `kubernetes.io`; `None` for a token that is bound to no pod.
    pub pod: Option<String>,
    /// Whether `iss` in another case, or none, stands against `iss`.
    pub has_two_issuers: bool,
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
    /// Reads the claims in `payload`. A token is not good before it was issued, either: the API server
    /// refuses it then, as golang-jwt does not.
    pub(super) fn read(payload: &[u8]) -> Result<(Registered, Self), TokenError> {
        let text = normalise(payload).map_err(TokenError::ClaimsJson)?;
        let (mut registered, mut claims) = (Registered::default(), Self::default());
        let mut issued_at = None;
        for (name, value) in unique(&text)? {
            let set = match name.as_ref() {
                "jti" => set_string(&mut registered.id, value).ok_or("jti"),
                "exp" => date(value).map(|date| registered.expires_at = date).ok_or("exp"),
                "nbf" => date(value).map(|date| registered.not_before = date).ok_or("nbf"),
                "iat" => date(value).map(|date| issued_at = date).ok_or("iat"),
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
        registered.issued_at = issued_at;
        registered.not_before = registered.not_before.max(issued_at);
        let looked_up = issuer_without_case(&text)?;
        if looked_up != claims.issuer {
            claims.issuer = looked_up;
            claims.has_two_issuers = true;
        }
        Ok((registered, claims))
    }

    fn set_kubernetes(&mut self, value: &str) -> Result<(), TokenError> {
        for (name, value) in unique(value)? {
            match name.as_ref() {
                "namespace" => {
                    let set = set_string(&mut self.namespace, value);
                    set.ok_or_else(|| wrong_type("namespace"))?;
                }
                "serviceaccount" => {
                    let name = bound_to(value, ["serviceaccount.name", "serviceaccount.uid"])?;
                    self.service_account = name.unwrap_or_default();
                }
                "pod" => self.pod = bound_to(value, ["pod.name", "pod.uid"])?,
                // Whether it is there, the API server knows.
                "secret" => drop(bound_to(value, ["secret.name", "secret.uid"])?),
                // Not looked at there either, apart from its type.
                "node" => match bound_to(value, ["node.name", "node.uid"]) {
                    Ok(_) | Err(TokenError::MissingClaim(_)) => {}
                    Err(error) => return Err(error),
                },
                "warnafter" => drop(date(value).ok_or_else(|| wrong_type("warnafter"))?),
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
            _ if self.service_account.is_empty() => {
                Err(Mismatch::ServiceAccount { token: account })
            }
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
            cluster.issuer == self.issuer
                && !self.has_two_issuers
                && cluster.kids.contains(&*identity.kid)
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

/// An object that a token is bound to, by its name; `None` where `value` is `null`. The UID is compared
/// with the object's by the API server, so that one without is good for none.
fn bound_to(value: &str, whole: [&'static str; 2]) -> Result<Option<String>, TokenError> {
    if value == "null" {
        return Ok(None);
    }
    let members = unique(value)?;
    let [name, uid] = ["name", "uid"].map(|member| {
        let mut text = String::new();
        let set = members.get(member).is_none_or(|value| set_string(&mut text, value).is_some());
        set.then_some(text).ok_or_else(|| wrong_type(member))
    });
    let (name, uid) = (name?, uid?);
    let is_there = [&name, &uid].map(|text| !text.is_empty());
    match whole.into_iter().zip(is_there).find(|(_, is_there)| !is_there) {
        Some((missing, _)) => Err(TokenError::MissingClaim(missing)),
        None => Ok(Some(name)),
    }
}

/// `iss` as the API server looks for it before all else, by Go's `encoding/json`: without case, and the last
/// one counts (Kubernetes: `hasCorrectIssuer` in `pkg/serviceaccount/jwt.go`).
fn issuer_without_case(text: &str) -> Result<String, TokenError> {
    let mut issuer = String::new();
    let members = members(text).map_err(TokenError::ClaimsJson)?;
    for (name, value) in members.iter().filter(|(name, _)| fold_name(name) == "iss") {
        set_string(&mut issuer, value).ok_or_else(|| {
            TokenError::ClaimType(MistypedClaim { claim: "iss", spelled: name.to_owned() })
        })?;
    }
    Ok(issuer)
}

fn wrong_type(claim: &'static str) -> TokenError {
    TokenError::ClaimType(MistypedClaim { claim, spelled: claim.to_owned() })
}
