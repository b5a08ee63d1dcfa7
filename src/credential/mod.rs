//! Tokens as proof of who connects: their kinds, the issuers of each kind, and what a token says about its holder.
//!
//! In: a token, verified or not, and what a connection claims to be. Out: a [`Token`] of a kind, with its [`Identity`];
//! whether the token matches its holder, or a [`Mismatch`].
//! Time, revocation and routes are judged in [`crate::gate`].
//!
//! Each kind has one file, with its claims, what they must agree with, and the errors if they do not. Only this file
//! lists the kinds.
//!
//! ```text
//!                 ┌ zone_token ──────────── Zone, Scope                          one issuer
//! verified token ─┼ dataplane_token ─────── Name, Mesh, Tags, Workload           one issuer for each mesh
//!                 └ service_account_token ─ namespace, pod, service account      one issuer for each cluster
//! ```

mod cache;
mod dataplane_token;
mod go_jose;
mod holder;
mod issuers;
mod mismatch;
mod proxy_type;
mod resource_cache;
mod service_account_token;
mod zone_token;

use std::fmt::Write as _;
use std::sync::Arc;

pub use cache::{CACHE_BYTES, TokenCache};
pub use dataplane_token::{DataplaneClaims, DataplaneIssuers, RequireWorkload};
pub use holder::{Caller, Holder, NodeIdentity, Resource};
pub use issuers::{Candidates, Issuer, IssuerOf, Issuers};
pub use mismatch::Mismatch;
pub use proxy_type::{ProxyType, ProxyTypes, UnknownProxyType};
pub use resource_cache::{RESOURCE_CACHE_BYTES, ResourceCache};
pub use service_account_token::{Cluster, ServiceAccountClaims, ServiceAccountIssuers};
pub use zone_token::{CONTROL_PLANE_SCOPE, ZoneClaims};

use crate::text::push_pair_value;
use crate::token::{
    Algorithm, CompactToken, Fingerprint, KeySet, NumericDate, Registered, TokenError, Unverified,
    VerifiedToken, read_claims,
};

/// A kind of token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// For a zone proxy, or for a zone's control plane.
    ZoneToken,
    /// For a sidecar, a gateway, or a zone proxy of a mesh.
    DataplaneToken,
    /// For any proxy on Kubernetes.
    ServiceAccountToken,
}

/// What a verified token proves. An open stream keeps nothing else of its token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The kind of token.
    pub kind: Kind,
    /// The configured kid of the key that signed the token.
    pub kid: Arc<str>,
    /// The fingerprint of this key. Compare it with the policy in force to see whether the key is still configured.
    pub key: Fingerprint,
    /// The name under which tokens of that key are counted.
    pub key_label: Arc<str>,
    /// `jti`; empty if there is none.
    pub id: Box<str>,
    /// The zone that the token is for; empty means any zone, or a kind without zones.
    pub zone: Box<str>,
    /// The mesh whose keys verified the token; empty for a kind without meshes, or if it is not known yet.
    pub mesh: Box<str>,
    /// The dataplane that the token names; empty means any dataplane, or a kind without names.
    pub name: Box<str>,
    /// `exp`.
    pub expires_at: Option<NumericDate>,
    /// `iat`.
    pub issued_at: Option<NumericDate>,
    /// The fields that people search for, as `name=value`, written once for all streams of the token. See
    /// [`Identity::described`].
    pub pairs: Box<str>,
}

/// A token whose signature was verified and whose claims were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// What it proves.
    pub identity: Arc<Identity>,
    /// `nbf`, or another claim that says when the token becomes valid.
    pub not_before: Option<NumericDate>,
    /// The length of its text, in bytes.
    pub length: usize,
    /// The claims of its kind.
    pub claims: Claims,
}

/// The claims of each kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claims {
    /// Of a zone token.
    Zone(ZoneClaims),
    /// Of a dataplane token.
    Dataplane(DataplaneClaims),
    /// Of a service-account token.
    ServiceAccount(ServiceAccountClaims),
}

/// The value of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimValue<'a> {
    /// A text; empty if the claim is absent.
    Text(&'a str),
    /// Several texts.
    List(Vec<String>),
}

impl Kind {
    /// Every kind, once.
    pub const ALL: [Self; 3] = [Self::ZoneToken, Self::DataplaneToken, Self::ServiceAccountToken];

    /// Its name in configurations, logs and access logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ZoneToken => "zoneToken",
            Self::DataplaneToken => "dpToken",
            Self::ServiceAccountToken => "serviceAccountToken",
        }
    }

    /// The algorithms for its tokens. Each list includes every shorter list.
    pub fn algorithms(self) -> &'static [Algorithm] {
        match self {
            Self::ZoneToken | Self::DataplaneToken => &[Algorithm::Rs256],
            Self::ServiceAccountToken => service_account_token::ALGORITHMS,
        }
    }

    /// Checks the header and the spelling of a token whose signature was verified.
    fn judge_envelope(self, verified: &VerifiedToken<'_>) -> Result<(), TokenError> {
        match self {
            Self::ZoneToken | Self::DataplaneToken => Ok(()),
            Self::ServiceAccountToken => go_jose::judge_envelope(verified),
        }
    }

    /// Reads the claims in `payload`.
    fn read(self, payload: &[u8]) -> Result<(Registered, Claims), TokenError> {
        Ok(match self {
            Self::ZoneToken => {
                let (registered, claims) = read_claims(payload)?;
                (registered, Claims::Zone(claims))
            }
            Self::DataplaneToken => {
                let (registered, claims) = read_claims(payload)?;
                (registered, Claims::Dataplane(claims))
            }
            Self::ServiceAccountToken => {
                let (registered, claims) = ServiceAccountClaims::read(payload)?;
                (registered, Claims::ServiceAccount(claims))
            }
        })
    }

    /// Reads the claims of an unverified token, to show them.
    ///
    /// # Errors
    /// They are not base64url or JSON, or have the wrong type. `None` if there are none.
    pub fn read_unverified(
        self,
        token: Unverified<'_>,
    ) -> Option<Result<(Registered, Claims), TokenError>> {
        let payload = token.payload()?;
        Some(payload.and_then(|payload| self.read(&payload)))
    }
}

impl Claims {
    /// The zone that they name; empty is any, or none.
    pub fn zone(&self) -> &str {
        match self {
            Self::Zone(claims) => &claims.zone,
            Self::Dataplane(_) | Self::ServiceAccount(_) => "",
        }
    }

    /// The mesh that they name; empty is any, or none.
    pub fn mesh(&self) -> &str {
        match self {
            Self::Dataplane(claims) => &claims.mesh,
            Self::Zone(_) | Self::ServiceAccount(_) => "",
        }
    }

    /// The dataplane that they name; empty is any, or none.
    fn dataplane(&self) -> &str {
        match self {
            Self::Dataplane(claims) => &claims.name,
            Self::Zone(_) | Self::ServiceAccount(_) => "",
        }
    }

    /// Each claim with its name, to show them.
    pub fn members(&self) -> Vec<(&'static str, ClaimValue<'_>)> {
        match self {
            Self::Zone(claims) => claims.members(),
            Self::Dataplane(claims) => claims.members(),
            Self::ServiceAccount(claims) => claims.members(),
        }
    }

    /// About how many bytes they take.
    fn bytes(&self) -> usize {
        match self {
            Self::Zone(claims) => claims.bytes(),
            Self::Dataplane(claims) => claims.bytes(),
            Self::ServiceAccount(claims) => claims.bytes(),
        }
    }
}

impl Identity {
    /// The same, with [`Self::pairs`] of what it says now: kind, kid and jti, and zone, mesh, name and exp where
    /// there are any.
    #[must_use]
    pub fn described(mut self) -> Self {
        let Self { kind, kid, id, zone, mesh, name, expires_at, .. } = &self;
        const ROOM: usize = 160;
        let mut pairs = String::with_capacity(ROOM);
        pairs.push_str("kind=");
        pairs.push_str(kind.as_str());
        for (label, value, is_shown) in [
            (" kid=", &**kid, true),
            (" jti=", id, true),
            (" zone=", zone, !zone.is_empty()),
            (" mesh=", mesh, !mesh.is_empty()),
            (" name=", name, !name.is_empty()),
        ] {
            if is_shown {
                pairs.push_str(label);
                push_pair_value(&mut pairs, value);
            }
        }
        if let Some(NumericDate(seconds)) = expires_at {
            // Writing to a String does not fail.
            let _ = write!(pairs, " exp={seconds}");
        }
        self.pairs = pairs.into();
        self
    }
}

impl Token {
    /// The kind of token.
    pub fn kind(&self) -> Kind {
        self.identity.kind
    }

    /// Reads the claims of a verified token as those of `kind`.
    ///
    /// # Errors
    /// They are not base64url or JSON, or have the wrong type.
    pub fn read(kind: Kind, verified: VerifiedToken<'_>) -> Result<Self, TokenError> {
        kind.judge_envelope(&verified)?;
        let (registered, claims) = kind.read(&verified.payload()?)?;
        let Registered { id, expires_at, not_before, issued_at } = registered;
        let identity = Identity {
            kind,
            kid: verified.kid,
            key: verified.key,
            key_label: verified.key_label,
            id: id.into(),
            zone: claims.zone().into(),
            mesh: claims.mesh().into(),
            name: claims.dataplane().into(),
            expires_at,
            issued_at,
            pairs: Box::default(),
        };
        let identity = Arc::new(identity.described());
        Ok(Self { identity, not_before, length: verified.length, claims })
    }

    /// Whether the token may be used in this zone, whoever holds it.
    ///
    /// # Errors
    /// It is for another zone.
    pub fn judge_place(&self, zone: &str) -> Result<(), Mismatch> {
        match &self.claims {
            Claims::Zone(claims) => claims.judge_zone(zone),
            Claims::Dataplane(_) | Claims::ServiceAccount(_) => Ok(()),
        }
    }

    /// The types of proxy that can use the token, at least one.
    ///
    /// # Errors
    /// No type can.
    pub fn usable_by(&self) -> Result<ProxyTypes, Mismatch> {
        match &self.claims {
            Claims::Zone(claims) => claims.usable_by(),
            Claims::Dataplane(_) => Ok(ProxyTypes::from_iter([ProxyType::Dataplane])),
            Claims::ServiceAccount(_) => Ok(ProxyTypes::from_iter(ProxyType::ALL)),
        }
    }

    /// Whether the token alone says which keys and revocations apply to it.
    pub fn names_its_issuer(&self) -> bool {
        match &self.claims {
            Claims::Zone(_) | Claims::ServiceAccount(_) => true,
            Claims::Dataplane(claims) => !claims.mesh.is_empty(),
        }
    }

    /// Whether `holder` may use the token, at the server of `zone`.
    ///
    /// # Errors
    /// The claim that does not match.
    pub fn judge_holder(
        &self,
        holder: Holder<'_>,
        zone: Option<&str>,
        issuers: &Issuers,
    ) -> Result<(), Mismatch> {
        match &self.claims {
            Claims::Zone(claims) => claims.judge(holder, zone),
            Claims::Dataplane(claims) => claims.judge(holder, &issuers.dp_token),
            Claims::ServiceAccount(claims) => {
                claims.judge(holder, &self.identity, &issuers.service_account_token)
            }
        }
    }

    /// What the token proves of `holder`.
    pub fn identity_of(&self, holder: Holder<'_>) -> Arc<Identity> {
        match holder {
            Holder::Proxy(node) => self.identity_in(&node.mesh),
            Holder::ControlPlane(_) => Arc::clone(&self.identity),
        }
    }

    /// What the token proves of a holder in `mesh`.
    pub fn identity_in(&self, mesh: &str) -> Arc<Identity> {
        match &self.claims {
            Claims::Dataplane(_) if *self.identity.mesh != *mesh => {
                Arc::new(Identity { mesh: mesh.into(), ..(*self.identity).clone() }.described())
            }
            Claims::Dataplane(_) | Claims::Zone(_) | Claims::ServiceAccount(_) => {
                Arc::clone(&self.identity)
            }
        }
    }

    /// About how many bytes the token takes.
    fn bytes(&self) -> usize {
        let Identity { kid, id, zone, mesh, name, pairs, .. } = &*self.identity;
        let texts = [kid.len(), id.len(), zone.len(), mesh.len(), name.len(), pairs.len()];
        texts.into_iter().fold(self.claims.bytes(), usize::saturating_add)
    }
}

/// Reads and verifies `text` (the value of `authorization`, without any scheme) as a token of `kind`.
///
/// # Errors
/// The first rule of RFC 7515, RFC 7519 or Kuma's validator that the token breaks.
pub fn authenticate(text: &[u8], kind: Kind, keys: &KeySet) -> Result<Arc<Token>, TokenError> {
    let signed = CompactToken::parse(text)?.read_header(kind.algorithms())?;
    Token::read(kind, keys.verify(signed)?).map(Arc::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(zone: &str, mesh: &str, name: &str) -> Identity {
        Identity {
            kind: Kind::DataplaneToken,
            kid: "1".into(),
            key: Fingerprint::default(),
            key_label: "label".into(),
            id: "id1".into(),
            zone: zone.into(),
            mesh: mesh.into(),
            name: name.into(),
            expires_at: None,
            issued_at: Some(NumericDate(1)),
            pairs: Box::default(),
        }
    }

    #[test]
    fn an_identity_is_described_by_what_it_says_and_by_nothing_empty() {
        let all = Identity { expires_at: Some(NumericDate(2)), ..identity("east", "m", "web") };
        for (identity, wanted) in [
            (identity("", "", ""), "kind=dpToken kid=1 jti=id1"),
            (identity("east", "", ""), "kind=dpToken kid=1 jti=id1 zone=east"),
            (identity("", "m", ""), "kind=dpToken kid=1 jti=id1 mesh=m"),
            (identity("", "", "web"), "kind=dpToken kid=1 jti=id1 name=web"),
            (all, "kind=dpToken kid=1 jti=id1 zone=east mesh=m name=web exp=2"),
        ] {
            assert_eq!(&*identity.described().pairs, wanted);
        }
    }
}
