//! RSA public keys, from PEM or a JWK.
//!
//! In: PEM, `RSA PUBLIC KEY` (PKCS#1, RFC 8017 A.1.1) or `PUBLIC KEY` (SPKI, RFC 5280 §4.1), as in Kuma's
//! `pkg/util/rsa/pem.go`. Out: a [`PublicKey`] with which Go verifies, or why Go does not. The rules are those of
//! `x509.ParsePKCS1PublicKey`, `x509.ParsePKIXPublicKey` and `rsa.VerifyPKCS1v15` of Go 1.26 together;
//! `tests/differential` compares them with Go. Who may use the key is decided elsewhere.

use std::fmt;

use base64::Engine;
use sha2::{Digest, Sha256};

use super::base64url;
use super::der::{BIT_STRING, INTEGER, SEQUENCE, element, take};
use super::key_error::{KeyError, PKCS1, SPKI};
use super::not_pem::NotPem;
use super::pem::Block;

/// The smallest modulus. Kuma loads smaller keys, but Go's crypto/rsa never verifies with them
/// (`checkKeySize`).
pub const MIN_BITS: u32 = 1024;
/// The largest modulus that crate `rsa` and BoringSSL verify. One verification costs 16 times that of a 2048-bit key.
pub const MAX_BITS: u32 = 8192;

/// `AlgorithmIdentifier` of RSA: rsaEncryption, and the parameters NULL, which Go requires (RFC 3279 §2.3.1;
/// `parsePublicKey` in `crypto/x509/parser.go`).
const RSA_ALGORITHM: &[u8] =
    &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];

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

impl PublicKey {
    /// Reads the first PEM block in `text`, as Go's `pem.Decode` finds it: see [`Block`].
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        Self::from_pem_bytes(text.as_bytes())
    }

    /// Reads the first PEM block in a file. The bytes around it need not be text.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn from_pem_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let block = Block::first(bytes).ok_or_else(|| KeyError::of_no_pem(NotPem::of(bytes)))?;
        let der = block.contents.as_slice();
        match block.label {
            label if label == PKCS1.as_bytes() => Self::from_pkcs1_der(der),
            label if label == SPKI.as_bytes() => Self::from_spki_der(der),
            label if label.ends_with(b"PRIVATE KEY") => Err(KeyError::PrivateKey),
            label if label.ends_with(b"CERTIFICATE") => Err(KeyError::Certificate),
            label if label.starts_with(b"EC ") => Err(KeyError::NotRsa),
            _ => Err(KeyError::OtherBlock(block.label_text())),
        }
    }

    /// Reads a PKCS#1 `RSAPublicKey`, DER (Go: `x509.ParsePKCS1PublicKey`).
    ///
    /// # Errors
    /// `der` is not such a key, or Go never verifies with it.
    pub fn from_pkcs1_der(der: &[u8]) -> Result<Self, KeyError> {
        match Numbers::of_pkcs1(der) {
            Some(numbers) => numbers.check(),
            None => Err(KeyError::Malformed {
                label: PKCS1,
                other_label_fits: spki_contents(der).is_some(),
            }),
        }
    }

    /// Reads a `SubjectPublicKeyInfo`, DER (Go: `x509.ParsePKIXPublicKey`).
    ///
    /// # Errors
    /// `der` is not such a key, or Go never verifies with it.
    fn from_spki_der(der: &[u8]) -> Result<Self, KeyError> {
        let contents = spki_contents(der).ok_or_else(|| KeyError::of_spki(der))?;
        let mut contents = contents.as_slice();
        // Go ignores bytes behind the key.
        let numbers = take(&mut contents, SEQUENCE).and_then(Numbers::of_sequence);
        numbers.ok_or(KeyError::Malformed { label: SPKI, other_label_fits: false })?.check()
    }

    /// Makes a key of the members `n` and `e` of a JWK (RFC 7518 §6.3.1).
    ///
    /// # Errors
    /// They are not base64url of whole numbers, or Go never verifies with the key.
    pub fn from_jwk(modulus: &str, exponent: &str) -> Result<Self, KeyError> {
        let number = |text: &str| {
            let digits = base64url::decode(text.as_bytes())?;
            let start = digits.iter().position(|byte| *byte != 0)?;
            let digits = digits.get(start..)?;
            // An INTEGER is signed, so a zero precedes digits that begin with a set bit.
            let sign: &[u8] =
                if digits.first().is_some_and(|first| *first >= 0x80) { &[0] } else { &[] };
            Some([sign, digits].concat())
        };
        match (number(modulus), number(exponent)) {
            (Some(modulus), Some(exponent)) => {
                Numbers { modulus: &modulus, exponent: &exponent }.check()
            }
            _ => Err(KeyError::JwkNumber),
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

/// Modulus and exponent, each the contents of an INTEGER in its shortest form, above zero.
#[derive(Clone, Copy)]
struct Numbers<'a> {
    modulus: &'a [u8],
    exponent: &'a [u8],
}

impl<'a> Numbers<'a> {
    fn of_pkcs1(mut der: &'a [u8]) -> Option<Self> {
        let sequence = take(&mut der, SEQUENCE)?;
        if der.is_empty() { Self::of_sequence(sequence) } else { None }
    }

    /// Go ignores further elements: `encoding/asn1` allows longer SEQUENCEs.
    fn of_sequence(mut sequence: &'a [u8]) -> Option<Self> {
        let modulus = positive(take(&mut sequence, INTEGER)?)?;
        let exponent = positive(take(&mut sequence, INTEGER)?)?;
        Some(Self { modulus, exponent })
    }

    /// Checks what `rsa.VerifyPKCS1v15` requires of a key (`checkKeySize` in `crypto/rsa/rsa.go`, `checkPublicKey` in
    /// `crypto/internal/fips140/rsa`). `ParsePKCS1PublicKey` checks some of it earlier.
    fn check(self) -> Result<PublicKey, KeyError> {
        let bits = self.bits();
        if !(MIN_BITS..=MAX_BITS).contains(&bits) {
            return Err(KeyError::Size(bits));
        }
        if !is_odd(self.modulus) {
            return Err(KeyError::EvenModulus);
        }
        if !self.has_usable_exponent() {
            return Err(KeyError::Exponent);
        }
        let numbers = [self.modulus, self.exponent].map(|number| element(INTEGER, &[number]));
        let pkcs1_der = element(SEQUENCE, &numbers.each_ref().map(Vec::as_slice));
        let algorithm = element(SEQUENCE, &[RSA_ALGORITHM]);
        let key = element(BIT_STRING, &[&[0], &pkcs1_der]);
        let spki_der = element(SEQUENCE, &[&algorithm, &key]);
        Ok(PublicKey { pkcs1_der, spki_der, bits })
    }

    fn bits(self) -> u32 {
        let digits = self.modulus.strip_prefix(&[0]).unwrap_or(self.modulus);
        let spare = digits.first().map_or(0, |first| first.leading_zeros());
        u32::try_from(digits.len()).unwrap_or(u32::MAX).saturating_mul(8).saturating_sub(spare)
    }

    /// Odd, from 3 to 2³¹ − 1.
    fn has_usable_exponent(self) -> bool {
        match self.exponent {
            [1] => false,
            [_, _, _, _, _, ..] => false,
            exponent => is_odd(exponent),
        }
    }
}

fn is_odd(number: &[u8]) -> bool {
    number.last().is_some_and(|last| last & 1 == 1)
}

/// `integer`, the contents of an INTEGER, if it is in its shortest form and above zero.
fn positive(integer: &[u8]) -> Option<&[u8]> {
    match integer {
        [] | [0] | [0x80..=0xff, ..] | [0, 0..=0x7f, ..] => None,
        _ => Some(integer),
    }
}

/// The contents of the BIT STRING in a `SubjectPublicKeyInfo` of an RSA key. Like Go, it ignores bytes behind the
/// parameters and behind the BIT STRING.
fn spki_contents(mut der: &[u8]) -> Option<Vec<u8>> {
    let mut info = take(&mut der, SEQUENCE).filter(|_| der.is_empty())?;
    let algorithm = take(&mut info, SEQUENCE)?;
    let bits = take(&mut info, BIT_STRING)?;
    algorithm.starts_with(RSA_ALGORITHM).then(|| right_aligned(bits)).flatten()
}

/// The bytes of a BIT STRING, shifted right by the number of its unused bits, which must be zero (Go: `parseBitString`
/// and `RightAlign` in `encoding/asn1`).
fn right_aligned(bit_string: &[u8]) -> Option<Vec<u8>> {
    let (unused, bytes) = bit_string.split_first()?;
    let spare = (1_u8.checked_shl(u32::from(*unused))?).wrapping_sub(1);
    if *unused > 0 && bytes.last().is_none_or(|last| last & spare != 0) {
        return None;
    }
    let mut above = 0_u8;
    let shifted = bytes.iter().map(|byte| {
        let both = u16::from_be_bytes([above, *byte]) >> unused;
        above = *byte;
        both.to_be_bytes()[1]
    });
    Some(shifted.collect())
}

#[cfg(test)]
mod tests;
