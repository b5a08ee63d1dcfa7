//! The keys that may have signed a token, by kid.
//!
//! In: a [`SignedToken`]. Out: a [`VerifiedToken`], whose payload was signed by the key that the token names. Only the
//! key of that kid is tried, so a token cannot make the gate try all keys.

use std::fmt;
use std::sync::Arc;

use super::{
    Fingerprint, RSA_CRATE, Segment, SignatureBackend, SignedToken, TokenError, VerificationKey,
    Verifier, base64url,
};

/// The configured keys, each prepared for verifying.
pub struct KeySet {
    /// Sorted by kid.
    keys: Vec<Key>,
    backend: &'static SignatureBackend,
    label_prefix: String,
}

struct Key {
    kid: Arc<str>,
    label: Arc<str>,
    public: VerificationKey,
    fingerprint: Fingerprint,
    verifier: Verifier,
}

/// A token whose signature was verified; its claims are not read yet.
#[derive(Debug)]
pub struct VerifiedToken<'a> {
    /// The configured kid of the key that signed it.
    pub kid: Arc<str>,
    /// The fingerprint of that key.
    pub key: Fingerprint,
    /// The name under which tokens of that key are counted.
    pub key_label: Arc<str>,
    /// The length of its text, in bytes.
    pub length: usize,
    header: &'a [u8],
    claims: &'a [u8],
}

/// No keys. Added keys verify by crates `rsa` and `p256`.
impl Default for KeySet {
    fn default() -> Self {
        Self::new(&RSA_CRATE)
    }
}

impl KeySet {
    /// A set without keys. Added keys verify by `backend`.
    pub fn new(backend: &'static SignatureBackend) -> Self {
        Self::with_label_prefix(backend, String::new())
    }

    /// As [`Self::new`]. The tokens of a key are counted under `label_prefix` followed by its kid.
    pub fn with_label_prefix(backend: &'static SignatureBackend, label_prefix: String) -> Self {
        Self { keys: Vec::new(), backend, label_prefix }
    }

    /// Adds a key. It replaces a key of the same kid.
    ///
    /// # Errors
    /// The text of the backend's error, if it cannot use the key.
    pub fn insert(
        &mut self,
        kid: String,
        public: impl Into<VerificationKey>,
    ) -> Result<(), String> {
        let public = public.into();
        let verifier = self.backend.verifier(&public).map_err(|error| error.to_string())?;
        let place = self.place(&kid);
        let fingerprint = public.fingerprint();
        let kid: Arc<str> = kid.into();
        let label = match self.label_prefix.as_str() {
            "" => Arc::clone(&kid),
            prefix => format!("{prefix}{kid}").into(),
        };
        let key = Key { kid, label, public, fingerprint, verifier };
        match place {
            Ok(there) => self.keys.splice(there..=there, [key]).for_each(drop),
            Err(free) => self.keys.insert(free, key),
        }
        Ok(())
    }

    /// Whether there is a key of this kid.
    pub fn contains(&self, kid: &str) -> bool {
        self.key(kid).is_some()
    }

    /// The key of this kid.
    pub fn get(&self, kid: &str) -> Option<&VerificationKey> {
        self.key(kid).map(|key| &key.public)
    }

    /// Whether the key of this kid has this fingerprint.
    pub fn holds(&self, kid: &str, fingerprint: Fingerprint) -> bool {
        self.fingerprint(kid) == Some(fingerprint)
    }

    /// The fingerprint of the key of this kid.
    pub fn fingerprint(&self, kid: &str) -> Option<Fingerprint> {
        self.key(kid).map(|key| key.fingerprint)
    }

    /// The kids and their keys, in the order of the kids.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &VerificationKey)> {
        self.keys.iter().map(|key| (&*key.kid, &key.public))
    }

    /// The keys, each with the label under which its tokens are counted.
    pub fn labelled(&self) -> impl Iterator<Item = (&str, &VerificationKey)> {
        self.keys.iter().map(|key| (&*key.label, &key.public))
    }

    /// Verifies the signature of `token` with the key that it names.
    ///
    /// # Errors
    /// [`TokenError::UnknownKid`], [`TokenError::OtherAlgorithm`], [`TokenError::Base64`] of the
    /// signature, or [`TokenError::InvalidSignature`].
    pub fn verify<'a>(&self, token: SignedToken<'a>) -> Result<VerifiedToken<'a>, TokenError> {
        let SignedToken { compact, kid, algorithm } = token;
        let key = self.key(&kid).ok_or(TokenError::UnknownKid)?;
        if key.public.algorithm() != algorithm {
            return Err(TokenError::OtherAlgorithm);
        }
        let signature =
            base64url::decode(compact.signature).ok_or(TokenError::Base64(Segment::Signature))?;
        key.verifier
            .verify(compact.signing_input, &signature)
            .map_err(|_| TokenError::InvalidSignature)?;
        Ok(VerifiedToken {
            kid: Arc::clone(&key.kid),
            key: key.fingerprint,
            key_label: Arc::clone(&key.label),
            length: compact.len(),
            header: compact.header,
            claims: compact.claims,
        })
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
    /// The header, decoded.
    ///
    /// # Errors
    /// It is not base64url.
    pub(crate) fn header(&self) -> Result<Vec<u8>, TokenError> {
        base64url::decode(self.header).ok_or(TokenError::Base64(Segment::Header))
    }

    /// Whether a signed segment is the text that an encoder makes of its bytes. The signature itself is not signed:
    /// always true.
    pub(crate) fn is_usual_spelling(&self, segment: Segment) -> bool {
        match segment {
            Segment::Header => base64url::is_usual(self.header),
            Segment::Claims => base64url::is_usual(self.claims),
            Segment::Signature => true,
        }
    }

    /// The claims, decoded and not yet read.
    ///
    /// # Errors
    /// They are not base64url.
    pub fn payload(&self) -> Result<Vec<u8>, TokenError> {
        base64url::decode(self.claims).ok_or(TokenError::Base64(Segment::Claims))
    }
}
