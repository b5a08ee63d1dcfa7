//! A public key in the forms that other programs read.
//!
//! In: a [`PublicKey`]. Out: `PUBLIC KEY` as PEM (RFC 5280 §4.1, RFC 7468 §13), or a JSON Web Key (RFC 7517,
//! RFC 7518 §6.3.1). Who may use the key is decided elsewhere.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pem::{EncodeConfig, LineEnding, Pem};
use rsa::pkcs1::{RsaPublicKey, UintRef};
use serde::Serialize;
use zonegate::token::PublicKey;

/// The members in the order in which RFC 7517 shows them.
#[derive(Serialize)]
struct Jwk<'a> {
    kty: &'static str,
    n: String,
    e: String,
    alg: &'static str,
    r#use: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<&'a str>,
}

/// `key` as `PUBLIC KEY`, byte for byte as openssl prints it.
pub fn spki_pem(key: &PublicKey) -> String {
    let config = EncodeConfig::new().set_line_ending(LineEnding::LF);
    pem::encode_config(&Pem::new("PUBLIC KEY", key.spki_der()), config)
}

/// `key` as a JSON Web Key on one line; never `None`, because every [`PublicKey`] is an RSA key.
pub fn jwk(key: &PublicKey, kid: Option<&str>) -> Option<String> {
    let RsaPublicKey { modulus, public_exponent } = RsaPublicKey::try_from(key.pkcs1_der()).ok()?;
    let [n, e] =
        [modulus, public_exponent].map(|it: UintRef<'_>| URL_SAFE_NO_PAD.encode(it.as_bytes()));
    let jwk = Jwk { kty: "RSA", n, e, alg: "RS256", r#use: "sig", kid };
    serde_json::to_string(&jwk).ok()
}
