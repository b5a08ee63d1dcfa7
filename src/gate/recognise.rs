//! Finds the key that signed a token: on the headers if only one key is possible, otherwise when it is known who
//! connects.
//!
//! In: the text of a token, or what is known about it. Out: a [`Credential`], or a verified [`Token`]. Time, revocation
//! and holder are judged elsewhere: [`super::judge`] has the order of checks.

use std::sync::Arc;

use super::verdict::{Credential, UnverifiedToken};
use super::{CredentialSource, Denial, Judge, Refusal};
use crate::credential::{Candidates, IssuerOf, Kind, Token, authenticate};
use crate::token::{Algorithm, CompactToken, SignedToken, TokenError};

impl Judge<'_> {
    /// Reads the text of a token that may be of any of `kinds`, and verifies it if only one key could have signed
    /// it.
    pub(super) fn recognise(
        self,
        text: &[u8],
        source: CredentialSource,
        kinds: impl IntoIterator<Item = Kind> + Clone,
    ) -> Result<Credential, Denial> {
        if text.is_empty() {
            return Err(Refusal::MissingToken(source).into());
        }
        self.policy.judge_length(text.len())?;
        let issuers = &self.policy.issuers;
        let known = self
            .cache
            .and_then(|cache| kinds.clone().into_iter().find_map(|kind| cache.get(kind, text)));
        // This key signed the text, even if other keys have the same kid. So a proxy that comes back is judged on the
        // headers, and a token that is no longer good is not held as a verified one.
        if let Some(token) = known
            && issuers.kind_of_key(&token.identity, kinds.clone().into_iter()) == Some(token.kind())
        {
            return Ok(Credential::Verified(token));
        }
        let allowed = issuers.algorithms(kinds.clone().into_iter());
        let signed =
            self.read_header(text, allowed).map_err(|error| Denial::from(Refusal::Token(error)))?;
        let kid = Arc::clone(signed.kid());
        let error = |error| Denial::of_unverified(error, Arc::clone(&kid));
        match issuers.candidates(&kid, kinds.into_iter()) {
            Candidates::None => Err(error(TokenError::UnknownKid)),
            Candidates::One(kind, keys) => match self.cache {
                Some(cache) => cache.verify(signed, text, kind, keys),
                None => keys
                    .verify(signed)
                    .and_then(|verified| Token::read(kind, verified))
                    .map(Arc::new),
            }
            .map(Credential::Verified)
            .map_err(error),
            Candidates::Several => {
                Ok(Credential::Unverified(UnverifiedToken { text: text.into(), kid }))
            }
        }
    }

    fn read_header<'t>(
        self,
        text: &'t [u8],
        allowed: &[Algorithm],
    ) -> Result<SignedToken<'t>, TokenError> {
        match self.cache {
            Some(cache) => cache.read_header(text, allowed),
            None => CompactToken::parse(text)?.read_header(allowed),
        }
    }

    /// The token of this kind that `credential` is, signed by a key of `issuer`.
    pub(super) fn verify(
        self,
        credential: Credential,
        kind: Kind,
        issuer: IssuerOf<'_>,
    ) -> Result<Arc<Token>, Denial> {
        let UnverifiedToken { text, kid } = match credential {
            Credential::Verified(token) if token.kind() == kind => return Ok(token),
            // When it came, only a key of another kind could have signed it.
            Credential::Verified(token) => {
                let refusal = Refusal::Token(not_of(issuer, &token.identity.kid));
                return Err(Denial { token: Some(token), ..refusal.into() });
            }
            Credential::Unverified(token) => token,
        };
        // Another policy may be in force since it came.
        self.policy.judge_length(text.len())?;
        let error = |error| Denial::of_unverified(error, Arc::clone(&kid));
        let keys = issuer.keys(&kid).ok_or_else(|| error(TokenError::UnknownKid))?;
        match self.cache {
            Some(cache) => cache.authenticate(&text, kind, keys),
            None => authenticate(&text, kind, keys),
        }
        .map_err(error)
    }
}

/// Why a token is refused that the key of this kid of `issuer` did not sign.
pub(super) fn not_of(issuer: IssuerOf<'_>, kid: &str) -> TokenError {
    match issuer.keys(kid) {
        Some(_) => TokenError::InvalidSignature,
        None => TokenError::UnknownKid,
    }
}
