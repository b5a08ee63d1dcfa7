//! Tokens.
//!
//! In: the text of a token; or, if the first byte is a brace, a header on the first line and claims behind it, which
//! are signed here. Out: a panic, unless
//!
//! - only a signed text verifies, and only with the key that signed it;
//! - the gate and the reader for people read the same header and the same claims;
//! - claims that were read mean the same once they are written and read again;
//! - a policy with a cache of tokens judges as a policy without one.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_json::{Value, json};
use zonegate::config::Config;
use zonegate::credential::{Claims, Kind, Token, TokenCache, authenticate};
use zonegate::gate::{ADS_SOTW, Head, Judge, Now, Policy, UnixTime};
use zonegate::token::{
    Algorithm, CompactToken, KeySet, NumericDate, RSA_CRATE, Registered, TokenError, Unverified,
    VerificationKey,
};

use crate::stand_in::{RECORDED, STAND_IN, key, key_set, pem, sign};

/// The recorded keys, with real verification.
static REAL: LazyLock<KeySet> = LazyLock::new(|| key_set(&RSA_CRATE, ["1", "2"]));
static KEYS: LazyLock<KeySet> = LazyLock::new(|| key_set(&STAND_IN, ["1", "2"]));
/// The same keys under each other's kids.
static EXCHANGED: LazyLock<KeySet> = LazyLock::new(|| key_set(&STAND_IN, ["2", "1"]));
static KEY: LazyLock<VerificationKey> = LazyLock::new(|| key("1"));
/// All texts that were ever signed with the recorded keys.
static SIGNED: LazyLock<BTreeSet<Vec<u8>>> = LazyLock::new(|| {
    let vectors = RECORDED["vectors"].as_array().unwrap().iter();
    let texts = vectors.filter_map(|vector| vector["authorization"][0].as_str());
    texts.filter_map(|text| Some(text.rsplit_once('.')?.0.as_bytes().to_vec())).collect()
});
static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    let keys = json!([{ "kid": "1", "key": pem("1") }, { "kid": "2", "key": pem("2") }]);
    let config = json!({
        "zone": "zone-1", "publicKeys": keys, "dpToken": { "publicKeys": keys },
        "proxies": { "dataplane": "dpToken" }, "revocations": "id-1",
    });
    Config::from_host(config.to_string().into_bytes(), &STAND_IN).unwrap().policy
});
/// The time of the recorded vectors.
const NOW: Now = Now(Some(UnixTime::from_secs(1_800_000_000)));

/// See the module.
pub fn token(bytes: &[u8]) {
    match bytes {
        [b'{', ..] => {
            let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
            let (header, claims) = bytes.split_at(end);
            signed(header, claims.get(1..).unwrap_or_default());
        }
        _ => any_text(bytes),
    }
}

fn any_text(text: &[u8]) {
    let segments = Unverified::new(text).segments();
    assert_eq!(CompactToken::parse(text).is_ok(), segments == 3);
    let by = |allowed| Unverified::new(text).kid(allowed);
    let [rs256, both] = [&[Algorithm::Rs256][..], &[Algorithm::Rs256, Algorithm::Es256]].map(by);
    if rs256.is_ok() {
        assert_eq!(rs256, both);
    }
    for kind in Kind::ALL {
        assert!(authenticate(text, kind, &KEYS).is_err(), "nobody signed this");
        let Ok(token) = authenticate(text, kind, &REAL) else { continue };
        let end = text.iter().rposition(|byte| *byte == b'.').unwrap();
        assert!(SIGNED.contains(&text[..end]), "nobody signed this");
        assert_eq!(&*token.identity.kid, rs256.as_ref().unwrap());
    }
    judged(text);
}

fn signed(header: &[u8], claims: &[u8]) {
    let text = sign(&KEY, header, claims);
    let text = text.as_bytes();
    for kind in Kind::ALL {
        let read = Unverified::new(text).kid(kind.algorithms());
        let shown = kind.read_unverified(Unverified::new(text)).unwrap();
        match authenticate(text, kind, &KEYS) {
            Ok(token) => {
                assert_eq!(read.as_deref(), Ok("1"));
                assert_eq!(token.claims, shown.unwrap().1);
                assert_means_the_same(kind, &token);
                assert_eq!(authenticate(text, kind, &EXCHANGED), Err(TokenError::InvalidSignature));
                assert_no_other_text_verifies(text, kind);
            }
            Err(TokenError::InvalidSignature) => assert_eq!(read.as_deref(), Ok("2")),
            Err(TokenError::UnknownKid) => assert!(!["1", "2"].contains(&read.unwrap().as_str())),
            Err(TokenError::OtherAlgorithm) => {}
            Err(error) => {
                assert!(read.is_ok() || read.as_ref() == Err(&error), "{error}");
                // For service-account tokens, the header and the spelling of the segments are judged as well.
                let is_of_claims = read.is_ok() && kind != Kind::ServiceAccountToken;
                assert!(!is_of_claims || shown.as_ref() == Err(&error), "{error}");
            }
        }
    }
    judged(text);
}

/// Another character in the text makes another token, which nobody signed.
fn assert_no_other_text_verifies(text: &[u8], kind: Kind) {
    let end = text.iter().rposition(|byte| *byte == b'.').unwrap();
    for at in [0, end / 3, end - 1, end + 1] {
        let mut altered = text.to_vec();
        altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
        assert!(authenticate(&altered, kind, &KEYS).is_err(), "altered at {at}");
    }
}

/// Writes the claims that were read, and reads them again.
fn assert_means_the_same(kind: Kind, token: &Token) {
    let Some(mut claims) = written(&token.claims) else { return };
    let Token { identity, not_before, .. } = token;
    claims["jti"] = json!(identity.id);
    let dates = [("exp", identity.expires_at), ("nbf", *not_before), ("iat", identity.issued_at)];
    // Dates are read as float64: a date beyond 2^53 may differ from the text.
    let is_exact = |date: NumericDate| date.0.unsigned_abs() < 1 << 53;
    if !dates.iter().all(|(_, date)| date.is_none_or(is_exact)) {
        return;
    }
    for (name, date) in dates {
        claims[name] = json!(date.map(|date| date.0));
    }
    let text = sign(&KEY, br#"{"alg":"RS256","kid":"1"}"#, claims.to_string().as_bytes());
    let again = kind.read_unverified(Unverified::new(text.as_bytes())).unwrap().unwrap();
    let registered = Registered {
        id: identity.id.to_string(),
        expires_at: identity.expires_at,
        not_before: *not_before,
        issued_at: identity.issued_at,
    };
    assert_eq!(again, (registered, token.claims.clone()));
}

fn written(claims: &Claims) -> Option<Value> {
    match claims {
        Claims::Zone(claims) => Some(json!({ "Zone": claims.zone, "Scope": claims.scope })),
        Claims::Dataplane(claims) => Some(json!({
            "Name": claims.name, "Mesh": claims.mesh, "Tags": claims.tags, "Workload": claims.workload,
        })),
        // Its dates depend on more than one claim.
        Claims::ServiceAccount(_) => None,
    }
}

/// Judges with and without a cache of tokens.
fn judged(text: &[u8]) {
    let head = Head {
        method: b"POST",
        path: ADS_SOTW.as_bytes(),
        content_type: vec![b"application/grpc"],
        authorization: vec![text],
        client_id: Vec::new(),
    };
    let cache = TokenCache::default();
    let verdict = POLICY.judge(&head, NOW);
    for _ in 0..2 {
        assert_eq!(Judge::new(&POLICY, &cache).headers(&head, NOW), verdict);
    }
}
