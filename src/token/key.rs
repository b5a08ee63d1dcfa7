//! Public keys: from PEM to an RSA key that may verify.
//!
//! In: PEM, `RSA PUBLIC KEY` (PKCS#1, RFC 8017 A.1.1) or `PUBLIC KEY` (SPKI, RFC 5280 §4.1), as in
//! Kuma's `pkg/util/rsa/pem.go`. Out: a [`PublicKey`] with which Go verifies, or what keeps Go from it:
//! the rules are those of `x509.ParsePKCS1PublicKey`, `x509.ParsePKIXPublicKey` and
//! `rsa.VerifyPKCS1v15` of Go 1.26, all at once, and held against them by `tests/differential`. Who may
//! use the key is not known here.

use std::fmt;

use base64::Engine;
use sha2::{Digest, Sha256};

use super::der::{BIT_STRING, INTEGER, SEQUENCE, element, take};
use super::key_error::{KeyError, PKCS1, SPKI};
use super::not_pem::NotPem;
use super::pem::Block;

/// The smallest modulus. Kuma loads smaller keys, but Go's crypto/rsa never verifies with them
/// (`checkKeySize`).
pub const MIN_BITS: u32 = 1024;
/// The largest modulus: what crate `rsa` and BoringSSL verify; one verification costs 16 times that of a
/// 2048-bit key.
pub const MAX_BITS: u32 = 8192;

/// `AlgorithmIdentifier` of RSA: rsaEncryption, and NULL as parameters, which Go wants to be there
/// (RFC 3279 §2.3.1; `parsePublicKey` in `crypto/x509/parser.go`).
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

    /// Reads the first PEM block in a file. What stands around it need not be text.
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
    /// It is none, or Go never verifies with it.
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
    /// It is none, or Go never verifies with it.
    fn from_spki_der(der: &[u8]) -> Result<Self, KeyError> {
        let contents = spki_contents(der).ok_or_else(|| KeyError::of_spki(der))?;
        let mut contents = contents.as_slice();
        // What stands behind the key is left unread by Go.
        let numbers = take(&mut contents, SEQUENCE).and_then(Numbers::of_sequence);
        numbers.ok_or(KeyError::Malformed { label: SPKI, other_label_fits: false })?.check()
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
    pub(super) fn of_pkcs1(mut der: &'a [u8]) -> Option<Self> {
        let sequence = take(&mut der, SEQUENCE)?;
        if der.is_empty() { Self::of_sequence(sequence) } else { None }
    }

    /// What stands behind the two is left unread by Go: `encoding/asn1` lets a SEQUENCE grow.
    fn of_sequence(mut sequence: &'a [u8]) -> Option<Self> {
        let modulus = positive(take(&mut sequence, INTEGER)?)?;
        let exponent = positive(take(&mut sequence, INTEGER)?)?;
        Some(Self { modulus, exponent })
    }

    /// What `rsa.VerifyPKCS1v15` asks of a key (`checkKeySize` in `crypto/rsa/rsa.go`, `checkPublicKey`
    /// in `crypto/internal/fips140/rsa`). `ParsePKCS1PublicKey` refuses some of it earlier.
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

/// What the BIT STRING of a `SubjectPublicKeyInfo` of an RSA key holds. As in Go, what stands behind the
/// parameters and behind the BIT STRING is left unread.
fn spki_contents(mut der: &[u8]) -> Option<Vec<u8>> {
    let mut info = take(&mut der, SEQUENCE).filter(|_| der.is_empty())?;
    let algorithm = take(&mut info, SEQUENCE)?;
    let bits = take(&mut info, BIT_STRING)?;
    algorithm.starts_with(RSA_ALGORITHM).then(|| right_aligned(bits)).flatten()
}

/// The bytes of a BIT STRING, moved to the right by as many bits as it does not use at its end, which must
/// be zero (Go: `parseBitString` and `RightAlign` in `encoding/asn1`).
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
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)] // a test may panic
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    const GOOD: &str = include_str!("../../tests/data/key-1.pub.pem");
    const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];

    fn pem(label: &str, der: &[u8]) -> String {
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
    }

    fn pkcs1(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
        let numbers = [modulus, exponent].map(|number| element(INTEGER, &[number]));
        element(SEQUENCE, &numbers.each_ref().map(Vec::as_slice))
    }

    fn spki(algorithm: &[u8], bits: &[u8]) -> Vec<u8> {
        let algorithm = element(SEQUENCE, &[algorithm]);
        element(SEQUENCE, &[&algorithm, &element(BIT_STRING, &[bits])])
    }

    /// An odd number of so many bits.
    fn modulus(bits: usize) -> Vec<u8> {
        let mut number = vec![0xA5; bits.div_ceil(8)];
        number[0] = 1 << ((bits - 1) % 8);
        [vec![0; usize::from(number[0] >= 0x80)], number].concat()
    }

    #[test]
    fn every_spelling_of_a_key_is_the_same_key() {
        let key = PublicKey::from_pem(GOOD).unwrap();
        for text in [
            pem(PKCS1, key.pkcs1_der()),
            pem(SPKI, key.spki_der()),
            pem(SPKI, &spki(&[RSA_ALGORITHM, &[1, 2]].concat(), &[&[0], key.pkcs1_der()].concat())),
            pem(SPKI, &spki(RSA_ALGORITHM, &[&[0], key.pkcs1_der(), &[7]].concat())),
        ] {
            assert_eq!(PublicKey::from_pem(&text), Ok(key.clone()), "{text}");
        }
    }

    #[test]
    fn what_go_does_not_verify_with_is_refused_by_name() {
        let n = modulus(2048);
        let even = [&n[..256], &[0xA4]].concat();
        let good = pkcs1(&n, &[1, 0, 1]);
        let malformed = |label| KeyError::Malformed { label, other_label_fits: false };
        let swapped = |label| KeyError::Malformed { label, other_label_fits: true };
        let key = |exponent: &[u8]| pem(PKCS1, &pkcs1(&n, exponent));
        let size = |bits| pem(PKCS1, &pkcs1(&modulus(bits), &[3]));
        let algorithm = |oid: &[u8], rest: &[u8]| {
            pem(
                SPKI,
                &spki(&[&element(6, &[oid]), rest].concat(), &[&[0], good.as_slice()].concat()),
            )
        };
        let rsa = &RSA_ALGORITHM[2..11];
        let pss = [&rsa[..8], &[0x0a]].concat();
        for (text, wanted) in [
            (size(512), KeyError::Size(512)),
            (size(1023), KeyError::Size(1023)),
            (size(8193), KeyError::Size(8193)),
            (pem(PKCS1, &pkcs1(&even, &[3])), KeyError::EvenModulus),
            (key(&[1]), KeyError::Exponent),
            (key(&[2]), KeyError::Exponent),
            (key(&[1, 0, 0]), KeyError::Exponent),
            (key(&[0, 0x80, 0, 0, 1]), KeyError::Exponent),
            (key(&[1, 0, 0, 0, 1]), KeyError::Exponent),
            (key(&[0]), malformed(PKCS1)),
            (key(&[0xFF]), malformed(PKCS1)),
            (key(&[0, 3]), malformed(PKCS1)),
            (pem(PKCS1, &pkcs1(&[&[0x81], n.as_slice()].concat(), &[3])), malformed(PKCS1)),
            (pem(PKCS1, &[good.as_slice(), &[0]].concat()), malformed(PKCS1)),
            (pem(SPKI, &good), swapped(SPKI)),
            (pem(PKCS1, &spki(RSA_ALGORITHM, &[&[0], good.as_slice()].concat())), swapped(PKCS1)),
            (algorithm(&pss, &[5, 0]), KeyError::RsaPss),
            (algorithm(EC, &[6, 1, 1]), KeyError::NotRsa),
            (algorithm(rsa, &[]), KeyError::NoParameters),
            (algorithm(rsa, &[0x30, 0]), KeyError::NoParameters),
            (pem("CERTIFICATE", &[]), KeyError::Certificate),
            (pem("EC PUBLIC KEY", &[]), KeyError::NotRsa),
            (pem("PRIVATE KEY", &[]), KeyError::PrivateKey),
            (pem("X", &[]), KeyError::OtherBlock("X".to_owned())),
            (STANDARD.encode([0x30, 6, 2, 1, 0, 2, 1, 7]), KeyError::PrivateKey),
        ] {
            assert_eq!(PublicKey::from_pem(&text), Err(wanted), "{text}");
        }
    }

    #[test]
    fn the_bits_of_a_bit_string_are_moved_to_the_right() {
        assert_eq!(right_aligned(&[0, 0x12, 0x34]), Some(vec![0x12, 0x34]));
        assert_eq!(right_aligned(&[4, 0x12, 0x30]), Some(vec![0x01, 0x23]));
        assert_eq!(right_aligned(&[1, 0x60, 0x02]), Some(vec![0x30, 0x01]));
        assert_eq!(right_aligned(&[0]), Some(vec![]));
        for bad in [&[][..], &[1], &[1, 1], &[7, 0x40], &[8, 0], &[255, 0]] {
            assert_eq!(right_aligned(bad), None, "{bad:?}");
        }
    }
}
