//! What the operator wants revoked: an id, or a token.
//!
//! In: text. Out: an id; of a token also whether one of the keys signed it, and when it expires. A token is
//! never shown. One that cannot be verified is revoked all the same: it does no harm.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{anyhow, bail};
use zonegate::config::Config;
use zonegate::credential::{Claims, Issuers, Kind, authenticate};
use zonegate::revocation::Oddity;
use zonegate::text::Quoted;
use zonegate::token::{Registered, TokenError, Unverified};

/// What shall be revoked.
pub(super) struct IdOrToken {
    pub(super) id: String,
    pub(super) verified: Verified,
    claims: Option<(Registered, Claims)>,
}

/// Whether a token is one of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verified {
    /// It is no token, but an id.
    NoToken,
    /// A key signed it.
    Yes,
    /// There are no keys to verify it with.
    NoKeys,
    /// No key did; why.
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

/// What every kind of token says, of a token that is not verified.
fn read_unverified(text: &str) -> Option<Result<(Registered, Claims), TokenError>> {
    Kind::ZoneToken.read_unverified(Unverified::new(text.as_bytes()))
}

/// Verifies a token of any kind: whether some configured key signed it.
fn verify(text: &[u8], issuers: &Issuers) -> Result<(), TokenError> {
    let sets =
        Kind::ALL.into_iter().flat_map(|kind| issuers.key_sets(kind).map(move |keys| (kind, keys)));
    let mut error = TokenError::UnknownKid;
    for (kind, keys) in sets {
        match authenticate(text, kind, keys) {
            Ok(_) => return Ok(()),
            Err(TokenError::UnknownKid) => {}
            Err(other) => error = other,
        }
    }
    Err(error)
}

/// The largest leeway that a gate may have: until then an expired token may still pass.
const LEEWAY: Duration = Duration::from_secs(300);

impl IdOrToken {
    /// Takes `text` for a token where it looks like one.
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
            return Ok(Self { id, verified: Verified::NoToken, claims: None });
        }
        let claims = match read_unverified(text) {
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
        let verified = match config.map(|config| verify(text.as_bytes(), &config.policy.issuers)) {
            None => Verified::NoKeys,
            Some(Ok(())) => Verified::Yes,
            Some(Err(error)) => Verified::No(error.to_string()),
        };
        Ok(Self { id: claims.0.id.clone(), verified, claims: Some(claims) })
    }

    /// Whether it is a token that no gate takes any more.
    pub(super) fn is_expired(&self) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = i64::try_from(now.saturating_sub(LEEWAY).as_secs()).unwrap_or_default();
        self.claims
            .as_ref()
            .and_then(|(registered, _)| registered.expires_at)
            .is_some_and(|expires_at| expires_at.0 < now)
    }

    /// Whether its id need not be on the list: it has expired, and nobody made that up.
    pub(super) fn may_be_dropped(&self) -> bool {
        self.verified == Verified::Yes && self.is_expired()
    }

    /// Why it may not be an ID that tokens have.
    pub(super) fn oddity(&self) -> Option<Oddity> {
        match self.verified {
            Verified::NoToken => Oddity::of(&self.id),
            _ => None,
        }
    }

    /// What is known of it; nothing of a mere id.
    pub(super) fn describe(&self) -> String {
        let Some((_, claims)) = &self.claims else { return String::new() };
        let zone = match claims.zone() {
            "" => "for any zone".to_owned(),
            zone => format!("for zone {}", Quoted(zone)),
        };
        format!("of a token {zone}; {}", self.verified)
    }
}

/// Whether a word in a file can be an id or a token. A file of another kind has other characters, and its
/// words are not to be revoked.
pub(super) fn is_plain(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte))
}

/// Two dots and a header that decodes.
fn is_a_token(text: &str) -> bool {
    Oddity::of(text) == Some(Oddity::Token)
}

/// What is left of a token that was cut off, or was pasted with something before it: no ID is so long and has
/// the start of a JWT in it. It is not to be taken for an ID, and not to be shown.
fn is_a_broken_token(text: &str) -> bool {
    const LONGER_THAN_IDS: usize = 80;
    let dots = text.matches('.').count();
    (dots == 2 && text.starts_with("eyJ"))
        || (dots > 0 && text.contains("eyJ") && text.len() > LONGER_THAN_IDS)
}
