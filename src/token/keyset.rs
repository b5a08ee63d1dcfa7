//! The keys that may have signed a token, by kid.
//!
//! In: a [`SignedToken`]. Out: a [`VerifiedToken`], whose payload was signed by the key it names.
//! One key is tried, the one of that kid; a token cannot make the gate try them all.

use std::collections::BTreeMap;
use std::fmt;

use jsonwebtoken::crypto::JwtVerifier;

use super::{Claims, PublicKey, Segment, SignedToken, TokenError, ZoneToken, base64url, verifier};

/// The configured keys, each prepared for verifying.
#[derive(Default)]
pub struct KeySet(BTreeMap<String, Key>);

struct Key {
    public: PublicKey,
    verifier: Box<dyn JwtVerifier>,
}

/// A token whose signature was verified; its claims are not read yet.
#[derive(Debug)]
pub struct VerifiedToken<'a> {
    kid: String,
    claims: &'a [u8],
}

impl KeySet {
    /// Adds a key.
    ///
    /// # Errors
    /// The text of the provider's error, where it cannot use the key.
    pub fn insert(&mut self, kid: String, public: PublicKey) -> Result<(), String> {
        let verifier = verifier(&public).map_err(|error| error.to_string())?;
        self.0.insert(kid, Key { public, verifier });
        Ok(())
    }

    /// Whether a key of this kid is there.
    pub fn contains(&self, kid: &str) -> bool {
        self.0.contains_key(kid)
    }

    /// The key of this kid.
    pub fn get(&self, kid: &str) -> Option<&PublicKey> {
        self.0.get(kid).map(|key| &key.public)
    }

    /// The kids and their keys, in the order of the kids.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &PublicKey)> {
        self.0.iter().map(|(kid, key)| (kid.as_str(), &key.public))
    }

    /// Verifies the signature of `token` with the key that it names.
    ///
    /// # Errors
    /// [`TokenError::UnknownKid`], [`TokenError::Base64`] of the signature, or
    /// [`TokenError::InvalidSignature`].
    pub fn verify<'a>(&self, token: SignedToken<'a>) -> Result<VerifiedToken<'a>, TokenError> {
        let SignedToken { compact, kid } = token;
        let key = self.0.get(&kid).ok_or(TokenError::UnknownKid)?;
        let signature =
            base64url::decode(compact.signature).ok_or(TokenError::Base64(Segment::Signature))?;
        key.verifier
            .verify(compact.signing_input, &signature)
            .map_err(|_| TokenError::InvalidSignature)?;
        Ok(VerifiedToken { kid, claims: compact.claims })
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
        Ok(ZoneToken { kid: self.kid, claims: Claims::parse(&payload)? })
    }
}
