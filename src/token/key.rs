//! Public keys: from PEM to an RSA key that may verify.
//!
//! In: PEM, `RSA PUBLIC KEY` (PKCS#1, RFC 8017 A.1.1) or `PUBLIC KEY` (SPKI, RFC 5280 §4.1), as in
//! Kuma's `pkg/util/rsa/pem.go`. Out: a [`PublicKey`]. Who may use the key is not known here.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rsa::pkcs1::{DecodeRsaPublicKey, EncodeRsaPublicKey};
use rsa::pkcs8::{DecodePublicKey, EncodePublicKey};
use rsa::traits::PublicKeyParts;
use sha2::{Digest, Sha256};

/// The smallest modulus. Kuma loads smaller keys, but Go's crypto/rsa never verifies with them.
pub const MIN_BITS: u32 = 1024;
/// The largest modulus: what crate `rsa` verifies; one verification costs 16 times that of a
/// 2048-bit key.
pub const MAX_BITS: u32 = 8192;

/// An RSA public key of a size that may verify.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    pkcs1_der: Vec<u8>,
    spki_der: Vec<u8>,
    bits: u32,
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey(RSA {}, {})", self.bits, self.fingerprint())
    }
}

/// Why a text is not a public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyError {
    /// No PEM block.
    NotPem,
    /// No PEM block, but base64 of one, as `generate signing-key` prints by default.
    Base64OfPem,
    /// The base64 or the armour of the block is broken.
    BrokenPem,
    /// A private key, which must not leave the issuer.
    PrivateKey,
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
    /// Fewer bits than [`MIN_BITS`] or more than [`MAX_BITS`]; how many.
    Size(u32),
}

const PKCS1: &str = "RSA PUBLIC KEY";
const SPKI: &str = "PUBLIC KEY";

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPem => write!(f, "not PEM: no line -----BEGIN {PKCS1}----- in it"),
            Self::Base64OfPem => {
                f.write_str("this looks like base64 of a PEM: decode it first (base64 -d)")
            }
            Self::BrokenPem => f.write_str("broken PEM: its base64 or its END line is damaged"),
            Self::PrivateKey => f.write_str(
                "a private key: give the public one (zonegate generate public-key), and consider \
                 this key exposed",
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
            Self::Size(bits) if *bits < MIN_BITS => {
                write!(f, "an RSA key of {bits} bits: Kuma verifies with {MIN_BITS} or more")
            }
            Self::Size(bits) => write!(f, "an RSA key of {bits} bits: at most {MAX_BITS}"),
        }
    }
}

impl std::error::Error for KeyError {}

impl PublicKey {
    /// Reads the first PEM block in `text`. Text around it, CRLF, PEM headers and one long line are
    /// fine, as in Go's `pem.Decode`.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let block = first_block(text)?;
        let der = block.contents();
        let key = match block.tag() {
            PKCS1 => rsa::PublicKey::from_pkcs1_der(der).map_err(|_| KeyError::Malformed {
                label: PKCS1,
                other_label_fits: rsa::PublicKey::from_public_key_der(der).is_ok(),
            }),
            SPKI => rsa::PublicKey::from_public_key_der(der).map_err(|_| spki_error(der)),
            label if label.ends_with("PRIVATE KEY") => Err(KeyError::PrivateKey),
            label => Err(KeyError::OtherBlock(label.chars().take(40).collect())),
        }?;
        Self::from_rsa(&key)
    }

    /// Reads a PKCS#1 `RSAPublicKey`, DER.
    ///
    /// # Errors
    /// It is none, or of a size that may not verify.
    pub fn from_pkcs1_der(der: &[u8]) -> Result<Self, KeyError> {
        let key = rsa::PublicKey::from_pkcs1_der(der)
            .map_err(|_| KeyError::Malformed { label: PKCS1, other_label_fits: false })?;
        Self::from_rsa(&key)
    }

    fn from_rsa(key: &rsa::PublicKey) -> Result<Self, KeyError> {
        let bits = key.n().bit_width_vartime();
        if !(MIN_BITS..=MAX_BITS).contains(&bits) {
            return Err(KeyError::Size(bits));
        }
        let malformed = KeyError::Malformed { label: PKCS1, other_label_fits: false };
        match (key.to_pkcs1_der(), key.to_public_key_der()) {
            (Ok(pkcs1), Ok(spki)) => {
                Ok(Self { pkcs1_der: pkcs1.into_vec(), spki_der: spki.into_vec(), bits })
            }
            _ => Err(malformed),
        }
    }

    /// PKCS#1 `RSAPublicKey`, DER.
    pub fn pkcs1_der(&self) -> &[u8] {
        &self.pkcs1_der
    }

    /// `SubjectPublicKeyInfo`, DER.
    pub fn spki_der(&self) -> &[u8] {
        &self.spki_der
    }

    /// Bits of the modulus.
    pub fn bits(&self) -> u32 {
        self.bits
    }

    /// `SHA256:` and base64 of the SHA-256 of the SPKI, as ssh writes fingerprints.
    pub fn fingerprint(&self) -> String {
        let digest = Sha256::digest(&self.spki_der);
        format!("SHA256:{}", base64::engine::general_purpose::STANDARD_NO_PAD.encode(digest))
    }
}

fn first_block(text: &str) -> Result<pem::Pem, KeyError> {
    let Some(start) = text.find("-----BEGIN ") else {
        return Err(if is_base64_of_pem(text) { KeyError::Base64OfPem } else { KeyError::NotPem });
    };
    // Go wants the armour at the start of a line; an indented block is no PEM to it.
    let before = text.get(..start).unwrap_or_default();
    if !before.is_empty() && !before.ends_with('\n') {
        return Err(KeyError::NotPem);
    }
    pem::parse(text).map_err(|_| KeyError::BrokenPem)
}

fn is_base64_of_pem(text: &str) -> bool {
    let packed: String = text.split_whitespace().collect();
    STANDARD.decode(packed).is_ok_and(|bytes| bytes.starts_with(b"-----BEGIN "))
}

fn spki_error(der: &[u8]) -> KeyError {
    if rsa::PublicKey::from_pkcs1_der(der).is_ok() {
        return KeyError::Malformed { label: SPKI, other_label_fits: true };
    }
    match rsa::pkcs8::SubjectPublicKeyInfoRef::try_from(der) {
        Ok(info) if info.algorithm.oid != rsa::pkcs1::ALGORITHM_OID => KeyError::NotRsa,
        _ => KeyError::Malformed { label: SPKI, other_label_fits: false },
    }
}
