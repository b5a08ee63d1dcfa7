//! The keys that may have signed a token, by kid.
//!
//! In: a [`CompactToken`], then the [`SignedToken`] that it is. Out: a [`VerifiedToken`], whose payload
//! was signed by the key it names. One key is tried, the one of that kid; a token cannot make the gate
//! try them all.

use std::fmt;
use std::rc::Rc;

use jsonwebtoken::crypto::{CryptoProvider, JwtVerifier};

use super::header::LastHeader;
use super::{
    Claims, CompactToken, PROVIDER, PublicKey, Segment, SignedToken, TokenError, VerifiedTokens,
    ZoneToken, base64url, verifier,
};

/// The configured keys, each prepared for verifying.
#[derive(Default)]
pub struct KeySet {
    /// Sorted by kid.
    keys: Vec<Key>,
    verification: Verification,
    /// Depends on no key; it is here to live as long.
    last_header: LastHeader,
}

/// How tokens are verified.
#[derive(Clone)]
pub struct Verification {
    /// Whose arithmetic it is.
    pub provider: &'static CryptoProvider,
    /// Where verified tokens are remembered, if they are. Several key sets may share it.
    pub verified: Option<Rc<VerifiedTokens>>,
}

struct Key {
    kid: String,
    public: Rc<PublicKey>,
    verifier: Box<dyn JwtVerifier>,
}

/// A token whose signature was verified; its claims are not read yet.
#[derive(Debug)]
pub struct VerifiedToken<'a> {
    kid: Rc<str>,
    claims: &'a [u8],
}

/// By crate `rsa`, and nothing is remembered.
impl Default for Verification {
    fn default() -> Self {
        Self { provider: &PROVIDER, verified: None }
    }
}

impl KeySet {
    /// No keys yet.
    pub fn new(verification: Verification) -> Self {
        Self { verification, ..Self::default() }
    }

    /// Adds a key.
    ///
    /// # Errors
    /// The text of the provider's error, where it cannot use the key.
    pub fn insert(&mut self, kid: String, public: PublicKey) -> Result<(), String> {
        let verifier = verifier(self.verification.provider, &public);
        let verifier = verifier.map_err(|error| error.to_string())?;
        let place = self.place(&kid);
        let key = Key { kid, public: Rc::new(public), verifier };
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
        self.key(kid).map(|key| &*key.public)
    }

    /// The kids and their keys, in the order of the kids.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &PublicKey)> {
        self.keys.iter().map(|key| (key.kid.as_str(), &*key.public))
    }

    /// The token that `text` was when it was verified, if its key is still the one of its kid.
    pub(super) fn recall(&self, text: &[u8]) -> Option<Rc<ZoneToken>> {
        let (token, key) = self.verification.verified.as_ref()?.find(text)?;
        let known = &self.key(&token.kid)?.public;
        (Rc::ptr_eq(known, &key) || *known == key).then_some(token)
    }

    /// Remembers that `text` was verified here and says `token`.
    pub(super) fn remember(&self, text: &[u8], token: &Rc<ZoneToken>) {
        if let Some(verified) = &self.verification.verified
            && let Some(key) = self.key(&token.kid)
        {
            verified.insert(text, token, &key.public);
        }
    }

    /// Reads the header of `token`.
    ///
    /// # Errors
    /// As [`CompactToken::read_header`].
    pub fn read_header<'a>(&self, token: CompactToken<'a>) -> Result<SignedToken<'a>, TokenError> {
        self.last_header.read(token)
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
        Ok(VerifiedToken { kid, claims: compact.claims })
    }

    fn key(&self, kid: &str) -> Option<&Key> {
        self.place(kid).ok().and_then(|place| self.keys.get(place))
    }

    /// Where the key of this kid is, or would be.
    fn place(&self, kid: &str) -> Result<usize, usize> {
        self.keys.binary_search_by(|key| key.kid.as_str().cmp(kid))
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
        Ok(ZoneToken { kid: (*self.kid).to_owned(), claims: Claims::parse(&payload)? })
    }
}
