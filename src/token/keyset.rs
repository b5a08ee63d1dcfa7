//! The keys that may have signed a token, by kid.
//!
//! In: a [`CompactToken`], then the [`SignedToken`] that it is. Out: a [`VerifiedToken`], whose payload
//! was signed by the key it names. One key is tried, the one of that kid; a token cannot make the gate
//! try them all.

use std::fmt;
use std::sync::Arc;

use super::{
    Claims, Fingerprint, PublicKey, RSA_CRATE, Segment, SignatureBackend, SignedToken, TokenError,
    Verifier, ZoneToken, base64url,
};

/// The configured keys, each prepared for verifying.
pub struct KeySet {
    /// Sorted by kid.
    keys: Vec<Key>,
    backend: &'static SignatureBackend,
}

struct Key {
    kid: Arc<str>,
    public: PublicKey,
    fingerprint: Fingerprint,
    verifier: Verifier,
}

/// A token whose signature was verified; its claims are not read yet.
#[derive(Debug)]
pub struct VerifiedToken<'a> {
    kid: Arc<str>,
    key: Fingerprint,
    length: usize,
    claims: &'a [u8],
}

/// No keys, and those that are added verify by crate `rsa`.
impl Default for KeySet {
    fn default() -> Self {
        Self::new(&RSA_CRATE)
    }
}

impl KeySet {
    /// No keys yet; those that are added verify by `backend`.
    pub fn new(backend: &'static SignatureBackend) -> Self {
        Self { keys: Vec::new(), backend }
    }

    /// Adds a key. One that is there under its kid is replaced.
    ///
    /// # Errors
    /// The text of the backend's error, where it cannot use the key.
    pub fn insert(&mut self, kid: String, public: PublicKey) -> Result<(), String> {
        let verifier = self.backend.verifier(&public).map_err(|error| error.to_string())?;
        let place = self.place(&kid);
        let (kid, fingerprint) = (kid.into(), Fingerprint::of(public.spki_der()));
        let key = Key { kid, public, fingerprint, verifier };
        match place {
            Ok(there) => self.keys.splice(there..=there, [key]).for_each(drop),
            Err(free) => self.keys.insert(free, key),
        }
        Ok(())
    }

    /// Whether a key of this kid is there.
    pub fn contains(&self, kid: &str) -> bool {
        self.key(kid).is_some()
    }

    /// The key of this kid.
    pub fn get(&self, kid: &str) -> Option<&PublicKey> {
        self.key(kid).map(|key| &key.public)
    }

    /// Whether the key that signed `token` is here, under the same kid.
    pub fn holds(&self, token: &ZoneToken) -> bool {
        self.holds_key(&token.kid, token.key)
    }

    /// Whether the key of this kid is the one of this fingerprint.
    pub fn holds_key(&self, kid: &str, fingerprint: Fingerprint) -> bool {
        self.key(kid).is_some_and(|key| key.fingerprint == fingerprint)
    }

    /// The kids and their keys, in the order of the kids.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &PublicKey)> {
        self.keys.iter().map(|key| (&*key.kid, &key.public))
    }

    /// Verifies the signature of `token` with the key that it names.
    ///
    /// # Errors
    /// [`TokenError::UnknownKid`], [`TokenError::Base64`] of the signature, or
    /// [`TokenError::InvalidSignature`].
    pub fn verify<'a>(&self, token: SignedToken<'a>) -> Result<VerifiedToken<'a>, TokenError> {
        let SignedToken { compact, kid } = token;
        let key = self.key(&kid).ok_or(TokenError::UnknownKid)?;
        let signature =
            base64url::decode(compact.signature).ok_or(TokenError::Base64(Segment::Signature))?;
        key.verifier
            .verify(compact.signing_input, &signature)
            .map_err(|_| TokenError::InvalidSignature)?;
        let (kid, key) = (Arc::clone(&key.kid), key.fingerprint);
        Ok(VerifiedToken { kid, key, length: compact.len(), claims: compact.claims })
    }

    fn key(&self, kid: &str) -> Option<&Key> {
        self.place(kid).ok().and_then(|place| self.keys.get(place))
    }

    /// Where the key of this kid is, or would be.
    fn place(&self, kid: &str) -> Result<usize, usize> {
        self.keys.binary_search_by(|key| (*key.kid).cmp(kid))
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl VerifiedToken<'_> {
    /// Reads the claims.
    ///
    /// # Errors
    /// They are not base64url or JSON, or have the wrong type.
    pub fn read_claims(self) -> Result<ZoneToken, TokenError> {
        let payload = base64url::decode(self.claims).ok_or(TokenError::Base64(Segment::Claims))?;
        let Self { kid, key, length, claims: _ } = self;
        Ok(ZoneToken { kid, key, length, claims: Claims::parse(&payload)? })
    }
}
