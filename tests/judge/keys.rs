//! The key that verifies a token: the current key under the token's kid.

use std::cell::Cell;
use std::sync::LazyLock;

use jsonwebtoken::Algorithm;
use jsonwebtoken::crypto::JwtVerifier;
use zonegate::credential::{Kind, TokenCache, authenticate};
use zonegate::token::{KeySet, RSA_CRATE, SignatureBackend, TokenError, Verifier};
use zonegate_issuer::SigningKey;

use crate::request::{KEY, Request, STRANGER};

fn keys(kids: &[(&str, &LazyLock<SigningKey>)]) -> KeySet {
    let mut keys = KeySet::default();
    for (kid, key) in kids {
        keys.insert((*kid).to_owned(), key.public_key()).unwrap();
    }
    keys
}

#[test]
fn a_key_that_is_there_under_its_kid_is_replaced() {
    let [good, forged] =
        ["sotw", "sotw by=stranger"].map(|line| Request::of(line).token().unwrap());
    for (order, good_is, forged_is) in [
        (&[("1", &KEY)][..], true, false),
        (&[("1", &STRANGER), ("1", &KEY)], true, false),
        (&[("1", &KEY), ("1", &STRANGER)], false, true),
        (&[("0", &STRANGER), ("1", &KEY), ("2", &STRANGER), ("1", &KEY)], true, false),
        (&[("2", &KEY), ("0", &KEY), ("1", &KEY), ("1", &STRANGER)], false, true),
    ] {
        let keys = keys(order);
        let kids: Vec<_> = keys.iter().map(|(kid, _)| kid).collect();
        assert!(kids.is_sorted_by(|one, next| one < next), "{kids:?}");
        for (token, is_good) in [(&good, good_is), (&forged, forged_is)] {
            let wanted = if is_good { Ok(()) } else { Err(TokenError::InvalidSignature) };
            let judged = authenticate(token.as_bytes(), Kind::ZoneToken, &keys);
            assert_eq!(judged.as_ref().map(drop).map_err(Clone::clone), wanted, "{kids:?}");
            assert!(
                judged.is_ok_and(|token| keys.holds(&token.identity.kid, token.identity.key))
                    == is_good
            );
        }
    }
}

#[test]
fn a_token_that_is_remembered_needs_its_key_all_the_same() {
    let token = Request::of("sotw").token().unwrap();
    let cache = TokenCache::default();
    let said =
        |keys: &KeySet| cache.authenticate(token.as_bytes(), Kind::ZoneToken, keys).map(drop);
    for _ in 0..2 {
        assert_eq!(said(&keys(&[("1", &KEY)])), Ok(()));
        assert_eq!(said(&keys(&[("1", &STRANGER)])), Err(TokenError::InvalidSignature));
        assert_eq!(said(&keys(&[("2", &KEY)])), Err(TokenError::UnknownKid));
        assert_eq!(said(&keys(&[])), Err(TokenError::UnknownKid));
    }
    assert_eq!(cache.len(), 1);
}

thread_local! {
    static SIGNATURES: Cell<usize> = const { Cell::new(0) };
}

/// Crate `rsa`, with a counter of verified signatures.
static COUNTING: SignatureBackend =
    SignatureBackend::new("counting", |key| Ok(Box::new(Counting(RSA_CRATE.verifier(key)?))));

struct Counting(Verifier);

impl signature::Verifier<Vec<u8>> for Counting {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        SIGNATURES.set(SIGNATURES.get() + 1);
        self.0.verify(message, signature)
    }
}

impl JwtVerifier for Counting {
    fn algorithm(&self) -> Algorithm {
        self.0.algorithm()
    }
}

#[test]
fn the_signature_of_a_token_is_looked_at_once() {
    let [good, forged] =
        ["sotw", "sotw by=stranger"].map(|line| Request::of(line).token().unwrap());
    let mut keys = KeySet::new(&COUNTING);
    keys.insert("1".to_owned(), KEY.public_key()).unwrap();
    let cache = TokenCache::default();
    let looked_at = |token: &str| {
        let before = SIGNATURES.get();
        let _ = cache.authenticate(token.as_bytes(), Kind::ZoneToken, &keys);
        SIGNATURES.get() - before
    };
    assert_eq!(looked_at(&good), 1);
    for _ in 0..3 {
        assert_eq!(looked_at(&good), 0);
        // A token with a bad signature is not cached.
        assert_eq!(looked_at(&forged), 1);
    }
}
