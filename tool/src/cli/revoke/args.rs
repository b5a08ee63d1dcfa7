//! What to revoke: an id, or a token.
//!
//! In: text. Out: an id; for a token also whether one of the keys signed it, and when it expires. A token is never
//! shown. A token that cannot be verified is revoked too, because that does no harm.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{anyhow, bail};
use zonegate::config::Config;
use zonegate::credential::{Claims, Issuers, Kind, authenticate};
use zonegate::revocation::Oddity;
use zonegate::text::Quoted;
use zonegate::token::{KeySet, Registered, TokenError, Unverified};

use crate::cli::inspect::likely_kind;
use crate::plugin_config::RevocationPlace;

/// An id to revoke, or the id of a token to revoke.
pub(super) struct IdOrToken {
    pub(super) id: String,
    pub(super) verified: Verified,
    /// The list for a token; `None` for an id, and for a dataplane token whose mesh is not verified.
    pub(super) place: Option<RevocationPlace>,
    claims: Option<(Registered, Claims)>,
}

/// Whether a token is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verified {
    /// It is an id, not a token.
    NoToken,
    /// A key signed it.
    Yes,
    /// There are no keys to verify it with.
    NoKeys,
    /// No key signed it, for this reason.
    No(String),
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoToken => f.write_str("there is no token"),
            Self::Yes => f.write_str("its signature is verified"),
            Self::NoKeys => f.write_str("its signature is not verified: give --keys"),
            Self::No(why) => write!(f, "its signature is not verified: {why}"),
        }
    }
}

/// Verifies a token of any kind, starting with the likely kind. Returns the list in which its ID belongs. A dataplane
/// token belongs to the mesh that it names, or else to the mesh of the key.
fn verify(
    text: &[u8],
    likely: Kind,
    issuers: &Issuers,
) -> Result<Option<RevocationPlace>, TokenError> {
    let others = Kind::ALL.into_iter().filter(|kind| *kind != likely);
    let kinds = [likely].into_iter().chain(others);
    let mut error = TokenError::UnknownKid;
    for (kind, mesh, keys) in kinds.flat_map(|kind| key_sets(kind, issuers)) {
        match authenticate(text, kind, keys) {
            Ok(token) => {
                let named = Some(&*token.identity.mesh).filter(|mesh| !mesh.is_empty());
                return Ok(match kind {
                    Kind::ZoneToken => Some(RevocationPlace::ZoneTokens),
                    Kind::ServiceAccountToken => Some(RevocationPlace::ServiceAccounts),
                    Kind::DataplaneToken => {
                        named.or(mesh).map(|mesh| RevocationPlace::Mesh(mesh.to_owned()))
                    }
                });
            }
            Err(TokenError::UnknownKid) => {}
            Err(other) => error = other,
        }
    }
    Err(error)
}

/// The key sets of a kind, each with its mesh.
fn key_sets(kind: Kind, issuers: &Issuers) -> Vec<(Kind, Option<&str>, &KeySet)> {
    match kind {
        Kind::ZoneToken => vec![(kind, None, &issuers.zone_token.keys)],
        Kind::ServiceAccountToken => vec![(kind, None, &issuers.service_account_token.issuer.keys)],
        Kind::DataplaneToken => {
            let meshes = issuers.dp_token.by_mesh.iter();
            let meshes = meshes.map(|(mesh, issuer)| (kind, Some(mesh.as_str()), &issuer.keys));
            [(kind, None, &issuers.dp_token.all_meshes)].into_iter().chain(meshes).collect()
        }
    }
}

/// The largest leeway that a gate can have: an expired token may still pass for this long.
const LEEWAY: Duration = Duration::from_secs(300);

impl IdOrToken {
    /// Reads `text` as a token if it looks like one, or else as an id.
    pub(super) fn read(text: &str, config: Option<&Config>) -> anyhow::Result<Self> {
        let text = text.trim();
        let text = text.strip_prefix("Bearer ").unwrap_or(text).trim_start();
        if !is_a_token(text) {
            if is_a_broken_token(text) {
                bail!(
                    "a token that cannot be read: it is cut off, or something else stands before it"
                );
            }
            let id = text.to_owned();
            return Ok(Self { id, verified: Verified::NoToken, place: None, claims: None });
        }
        let token = Unverified::new(text.as_bytes());
        let likely = likely_kind(token).unwrap_or(Kind::ZoneToken);
        let claims = match likely.read_unverified(token) {
            Some(Ok(claims)) => claims,
            Some(Err(error)) => bail!("a token that cannot be read: {error}"),
            None => bail!("a token that cannot be read: parts of it are missing"),
        };
        if claims.0.id.is_empty() {
            return Err(anyhow!(
                "a token without an ID (jti): it cannot be revoked by one. Remove the key that signed \
                 it, or put an empty entry into the list, which revokes every token without an ID"
            ));
        }
        let verdict = config.map(|config| verify(text.as_bytes(), likely, &config.policy.issuers));
        // An unverified token does no harm in a list that does not depend on its claims.
        let unverified = match likely {
            Kind::ZoneToken => Some(RevocationPlace::ZoneTokens),
            Kind::ServiceAccountToken => Some(RevocationPlace::ServiceAccounts),
            Kind::DataplaneToken => None,
        };
        let (verified, place) = match verdict {
            None => (Verified::NoKeys, unverified),
            Some(Ok(place)) => (Verified::Yes, place),
            Some(Err(error)) => (Verified::No(error.to_string()), unverified),
        };
        Ok(Self { id: claims.0.id.clone(), verified, place, claims: Some(claims) })
    }

    /// Whether it is a token that no gate accepts any more.
    pub(super) fn is_expired(&self) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = i64::try_from(now.saturating_sub(LEEWAY).as_secs()).unwrap_or_default();
        self.claims
            .as_ref()
            .and_then(|(registered, _)| registered.expires_at)
            .is_some_and(|expires_at| expires_at.0 < now)
    }

    /// Whether its id can be removed from the list: the token is verified and has expired.
    pub(super) fn may_be_dropped(&self) -> bool {
        self.verified == Verified::Yes && self.is_expired()
    }

    /// Why it may not be the ID of a token.
    pub(super) fn oddity(&self) -> Option<Oddity> {
        match self.verified {
            Verified::NoToken => Oddity::of(&self.id),
            _ => None,
        }
    }

    /// A description of the token; empty for an id.
    pub(super) fn describe(&self) -> String {
        let Some((_, claims)) = &self.claims else { return String::new() };
        let of = match claims {
            Claims::Zone(claims) if claims.zone.is_empty() => "a token for any zone".to_owned(),
            Claims::Zone(claims) => format!("a token for zone {}", Quoted(&claims.zone)),
            Claims::Dataplane(claims) if claims.mesh.is_empty() => {
                "a dataplane token for any mesh".to_owned()
            }
            Claims::Dataplane(claims) => {
                format!("a dataplane token for mesh {}", Quoted(&claims.mesh))
            }
            Claims::ServiceAccount(claims) => {
                let account = format!("{}/{}", claims.namespace, claims.service_account);
                format!("a token of service account {}", Quoted(&account))
            }
        };
        format!("of {of}; {}", self.verified)
    }
}

/// Whether a word in a file can be an id or a token. Other kinds of files have other characters, and their words must
/// not be revoked.
pub(super) fn is_plain(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte))
}

/// A token has two dots and a header that decodes.
fn is_a_token(text: &str) -> bool {
    Oddity::of(text) == Some(Oddity::Token)
}

/// Whether the text is part of a token, or a token with something before it: no ID is so long and contains the start of
/// a JWT. Such a text must not be revoked as an ID, and not be shown.
fn is_a_broken_token(text: &str) -> bool {
    const LONGER_THAN_IDS: usize = 80;
    let dots = text.matches('.').count();
    (dots == 2 && text.starts_with("eyJ"))
        || (dots > 0 && text.contains("eyJ") && text.len() > LONGER_THAN_IDS)
}
