//! Why a text is not a public key.
//!
//! In: what the reader of keys found. Out: a sentence for the operator, with the command that helps if there is one.
//! The sentence may contain the label of a block, cut short, but no part of a key.

use std::fmt;

use super::der::{OID, SEQUENCE, take};
use super::key::{MAX_BITS, MIN_BITS, PublicKey};
use super::not_pem::NotPem;

pub(super) const PKCS1: &str = "RSA PUBLIC KEY";
pub(super) const SPKI: &str = "PUBLIC KEY";

/// `1.2.840.113549.1.1.1` and `.10`, without tag and length.
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const RSA_PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a];

/// Why a text is not a public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyError {
    /// Go sees no PEM block. The value says what the text is.
    NotPem(NotPem),
    /// A private key, which must not leave the issuer.
    PrivateKey,
    /// A certificate.
    Certificate,
    /// A PEM block of another kind; its label.
    OtherBlock(String),
    /// The block does not hold what its label says, or has bytes left over.
    Malformed {
        /// The block's label.
        label: &'static str,
        /// Whether it would be right under the other label.
        other_label_fits: bool,
    },
    /// A key of another algorithm.
    NotRsa,
    /// A key for RSA-PSS, which Go's `x509` does not read.
    RsaPss,
    /// An RSA key without the parameters NULL, which Go requires.
    NoParameters,
    /// Fewer bits than [`MIN_BITS`] or more than [`MAX_BITS`]; how many.
    Size(u32),
    /// The modulus is even, so it is not the product of two large primes.
    EvenModulus,
    /// The exponent is even, 1, or above 2³¹ − 1.
    Exponent,
    /// `n` or `e` of a JWK is not base64url of a whole number above zero (RFC 7518 §6.3.1).
    JwkNumber,
    /// `x` or `y` of a JWK is not base64url of 32 bytes (RFC 7518 §6.2.1).
    JwkCoordinate,
    /// `x` and `y` of a JWK are not a point on P-256.
    NotOnCurve,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::JwkNumber => f.write_str("n or e is not base64url of a whole number above zero"),
            Self::JwkCoordinate => f.write_str("x or y is not base64url of 32 bytes"),
            Self::NotOnCurve => f.write_str("x and y are not a point on P-256"),
            Self::NotPem(what) => {
                write!(f, "not PEM: {what}; kuma-cp would crash at its start with it")
            }
            Self::PrivateKey => f.write_str(
                "a private key: give the public one (zonegate generate public-key), and consider \
                 this key exposed",
            ),
            Self::Certificate => f.write_str(
                "a certificate: take the key out of it (openssl x509 -noout -pubkey -in FILE)",
            ),
            Self::OtherBlock(label) => {
                write!(f, "PEM block {label:?}: expected {PKCS1:?} or {SPKI:?}")
            }
            Self::Malformed { label, other_label_fits: true } => {
                let right = if *label == PKCS1 { SPKI } else { PKCS1 };
                write!(f, "PEM block {label:?} holds a {right:?}: correct its BEGIN and END lines")
            }
            Self::Malformed { label, .. } => {
                write!(f, "PEM block {label:?} does not hold an RSA public key, or more than one")
            }
            Self::NotRsa => f.write_str("not an RSA key: zone tokens are signed with RS256"),
            Self::RsaPss => f.write_str(
                "an RSA-PSS key: zone tokens are signed with RS256, and Kuma does not read it; make \
                 another key (zonegate generate signing-key)",
            ),
            Self::NoParameters => f.write_str(
                "an RSA key without the parameters NULL, which Kuma does not read: write it anew \
                 (openssl rsa -pubin -in FILE)",
            ),
            Self::Size(bits) if *bits < MIN_BITS => {
                write!(f, "an RSA key of {bits} bits: Kuma verifies with {MIN_BITS} or more")
            }
            Self::Size(bits) => write!(f, "an RSA key of {bits} bits: at most {MAX_BITS}"),
            Self::EvenModulus => {
                f.write_str("an RSA key with an even modulus: Kuma never verifies with such a key")
            }
            Self::Exponent => f.write_str(
                "an RSA key with an exponent that Kuma does not verify with: it must be odd, and \
                 from 3 to 2147483647",
            ),
        }
    }
}

impl std::error::Error for KeyError {}

impl KeyError {
    pub(super) fn of_no_pem(what: NotPem) -> Self {
        if what.is_private_key() { Self::PrivateKey } else { Self::NotPem(what) }
    }

    /// Why `der` is not a `SubjectPublicKeyInfo` of an RSA key.
    pub(super) fn of_spki(der: &[u8]) -> Self {
        let is_pkcs1 =
            !matches!(PublicKey::from_pkcs1_der(der), Err(Self::Malformed { label: PKCS1, .. }));
        match algorithm(der) {
            _ if is_pkcs1 => Self::Malformed { label: SPKI, other_label_fits: true },
            Some(RSA_PSS) => Self::RsaPss,
            Some(RSA) => match has_null(der) {
                Some(false) => Self::NoParameters,
                _ => Self::Malformed { label: SPKI, other_label_fits: false },
            },
            Some(_) => Self::NotRsa,
            None => Self::Malformed { label: SPKI, other_label_fits: false },
        }
    }
}

fn identifier(mut der: &[u8]) -> Option<&[u8]> {
    take(&mut take(&mut der, SEQUENCE)?, SEQUENCE)
}

fn algorithm(der: &[u8]) -> Option<&[u8]> {
    take(&mut identifier(der)?, OID)
}

fn has_null(der: &[u8]) -> Option<bool> {
    let mut identifier = identifier(der)?;
    take(&mut identifier, OID)?;
    Some(identifier.starts_with(&[5, 0]))
}
