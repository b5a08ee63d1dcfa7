//! JOSE headers: `kid`, `crit`, and the API server's handling of other members. Algorithms are in
//! [`crate::signatures`].

use serde_json::{Value, json};

use crate::cases::{Base, Draft};
use crate::mint::{Rsa, encode, join, signing_input};

pub(crate) fn drafts(base: &Base<'_>) -> Vec<Draft> {
    [kids(base), members(base), unencoded(base), texts(base)].concat()
}

fn with(base: &Base<'_>, member: &str, value: Value) -> String {
    let mut header = base.keys.header();
    header[member] = value;
    base.keys.token_of(header.to_string(), base.claims.to_string())
}

fn kids(base: &Base<'_>) -> Vec<Draft> {
    let keys = base.keys;
    let make = |name, description: &str, value: Value| {
        Draft::new(name, description, with(base, "kid", value))
    };
    let without = json!({ "alg": "RS256" }).to_string();
    let es256 = json!({ "alg": "ES256" }).to_string();
    let input = signing_input(es256, base.claims.to_string());
    let signature = keys.sign_p256(input.as_bytes());
    vec![
        Draft::new("kid-missing", "no kid", keys.token_of(without, base.claims.to_string())),
        Draft::new(
            "kid-missing-es256",
            "no kid, signed with the second key",
            join(&input, &signature.to_bytes()),
        ),
        make("kid-null", "kid is null", json!(null)),
        make("kid-empty", "kid is empty", json!("")),
        make("kid-number", "kid is a number", json!(1)),
        make("kid-list", "kid is a list", json!([keys.rsa_kid])),
        make("kid-unknown", "a kid that the API server has no key for", json!("unknown")),
        make("kid-other", "the kid of the second key", json!(keys.p256_kid)),
        make("kid-space", "a space after the kid", json!(format!("{} ", keys.rsa_kid))),
        make("kid-capital", "the kid in lower case", json!(keys.rsa_kid.to_lowercase())),
    ]
}

fn members(base: &Base<'_>) -> Vec<Draft> {
    let make = |name, description: &str, member: &str, value: Value| {
        Draft::new(name, description, with(base, member, value))
    };
    let jwk = json!({ "kty": "RSA", "n": "AQAB", "e": "AQAB" });
    vec![
        make("typ-jwt", "typ is JWT", "typ", json!("JWT")),
        make("typ-other", "typ is at+jwt", "typ", json!("at+jwt")),
        make("typ-number", "typ is a number", "typ", json!(1)),
        make("cty-jwt", "cty is JWT", "cty", json!("JWT")),
        make("crit-empty", "crit is an empty list", "crit", json!([])),
        make("crit-null", "crit is null", "crit", json!(null)),
        make("crit-exp", "crit names exp", "crit", json!(["exp"])),
        make("crit-unknown", "crit names something unknown", "crit", json!(["unknown"])),
        make("crit-b64", "crit names b64, which is not there", "crit", json!(["b64"])),
        make("crit-string", "crit is a string", "crit", json!("exp")),
        make("crit-number", "crit is a list with a number", "crit", json!([1])),
        make("zip", "zip is DEF", "zip", json!("DEF")),
        make("enc", "enc is A128GCM", "enc", json!("A128GCM")),
        make("jku", "jku is a link", "jku", json!("https://other.example/keys")),
        make("jwk", "a jwk", "jwk", jwk),
        make("jwk-null", "jwk is null", "jwk", json!(null)),
        make("jwk-private", "a jwk with a secret key", "jwk", json!({ "kty": "oct", "k": "AQAB" })),
        make("jwk-string", "jwk is a string", "jwk", json!("key")),
        make("x5c-empty", "x5c is an empty list", "x5c", json!([])),
        make("x5c-garbage", "x5c is a list with what is no certificate", "x5c", json!(["AQAB"])),
        make("x5c-string", "x5c is a string", "x5c", json!("AQAB")),
        make("x5u", "x5u is a number", "x5u", json!(1)),
        make("nonce", "a nonce", "nonce", json!("1")),
        make("nonce-number", "nonce is a number", "nonce", json!(1)),
        make("header-unknown", "a member that nobody knows", "a", json!({ "b": [null] })),
    ]
}

/// RFC 7797: claims that are signed as plain text, not as base64url.
fn unencoded(base: &Base<'_>) -> Vec<Draft> {
    let keys = base.keys;
    let claims = base.claims.to_string();
    let raw = |header: Value| {
        let header = header.to_string();
        let input = format!("{}.{claims}", encode(&header));
        let signature = keys.sign_rsa(Rsa::Rs256, input.as_bytes());
        join(&signing_input(&header, &claims), &signature)
    };
    let header = |b64: Value, crit: Value| json!({ "alg": "RS256", "kid": keys.rsa_kid, "b64": b64, "crit": crit });
    let crit = json!(["b64"]);
    vec![
        Draft::new("b64-true", "b64 is true", with(base, "b64", json!(true))),
        Draft::new(
            "b64-false",
            "b64 is false, signed as if it were not there",
            with(base, "b64", json!(false)),
        ),
        Draft::new("b64-null", "b64 is null", with(base, "b64", json!(null))),
        Draft::new("b64-string", "b64 is a string", with(base, "b64", json!("false"))),
        Draft::new(
            "b64-false-crit",
            "b64 is false and crit names it, signed as if it were not there",
            keys.token_of(header(json!(false), crit.clone()).to_string(), &claims),
        ),
        Draft::new(
            "b64-false-raw",
            "b64 is false and crit names it, signed so",
            raw(header(json!(false), crit)),
        ),
        Draft::new(
            "b64-false-raw-no-crit",
            "b64 is false, signed so, no crit",
            raw(json!({ "alg": "RS256", "kid": keys.rsa_kid, "b64": false })),
        ),
    ]
}

fn texts(base: &Base<'_>) -> Vec<Draft> {
    let header = base.keys.header().to_string();
    let kid = &base.keys.rsa_kid;
    let make = |name, description: &str, header: String| {
        Draft::new(name, description, base.keys.token_of(header, base.claims.to_string()))
    };
    let with = |members: &str| format!("{},{members}}}", &header[..header.len() - 1]);
    vec![
        make(
            "header-space",
            "white space around the header and in it",
            format!(" \r\n{}\t", header.replace(':', " : ")),
        ),
        make("header-trailing-text", "text after the header", format!("{header}x")),
        make("header-array", "a list with the header", format!("[{header}]")),
        make("header-null", "null in place of the header", "null".to_owned()),
        make("header-empty-object", "an empty header", "{}".to_owned()),
        make("header-empty", "nothing in place of the header", String::new()),
        make("header-alg-twice", "alg twice, the same", with("\"alg\":\"RS256\"")),
        make("header-alg-none-too", "alg twice, none after RS256", with("\"alg\":\"none\"")),
        make("header-kid-twice", "kid twice, the same", with(&format!("\"kid\":{kid:?}"))),
        make("header-unknown-twice", "a member that nobody knows, twice", with("\"a\":1,\"a\":1")),
        make(
            "header-unknown-twice-inside",
            "a member twice, inside one that nobody knows",
            with("\"a\":{\"b\":1,\"b\":1}"),
        ),
        make("header-alg-capital", "Alg in place of alg", header.replace("\"alg\"", "\"Alg\"")),
        make("header-alg-capital-none", "Alg none, beside alg", with("\"Alg\":\"none\"")),
        make("header-kid-capital", "Kid in place of kid", header.replace("\"kid\"", "\"Kid\"")),
        make("header-number-huge", "1e999 in a member that nobody knows", with("\"a\":1e999")),
        make(
            "header-escape",
            "an escape in the name of alg",
            header.replace("\"alg\"", "\"\\u0061lg\""),
        ),
        make("header-bom", "a byte order mark before the header", format!("\u{feff}{header}")),
        make(
            "header-nested-100",
            "lists in lists, 100 deep",
            with(&format!("\"a\":{}{}", "[".repeat(100), "]".repeat(100))),
        ),
        make(
            "header-nested-11000",
            "lists in lists, 11,000 deep",
            with(&format!("\"a\":{}{}", "[".repeat(11_000), "]".repeat(11_000))),
        ),
    ]
}
