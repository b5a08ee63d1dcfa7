#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may panic
#![allow(clippy::arithmetic_side_effects)]

use base64::engine::general_purpose::STANDARD;

use super::*;

const GOOD: &str = include_str!("../../../tests/data/key-1.pub.pem");
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

/// An odd number of this many bits.
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
fn keys_that_go_does_not_verify_with_are_refused_with_the_reason() {
    let n = modulus(2048);
    let even = [&n[..256], &[0xA4]].concat();
    let good = pkcs1(&n, &[1, 0, 1]);
    let malformed = |label| KeyError::Malformed { label, other_label_fits: false };
    let swapped = |label| KeyError::Malformed { label, other_label_fits: true };
    let key = |exponent: &[u8]| pem(PKCS1, &pkcs1(&n, exponent));
    let size = |bits| pem(PKCS1, &pkcs1(&modulus(bits), &[3]));
    let algorithm = |oid: &[u8], rest: &[u8]| {
        pem(SPKI, &spki(&[&element(6, &[oid]), rest].concat(), &[&[0], good.as_slice()].concat()))
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
        (pem(SPKI, &spki(RSA_ALGORITHM, &[1, 0x81])), malformed(SPKI)),
        (pem(SPKI, &spki(RSA_ALGORITHM, &[0, 0x30, 0])), malformed(SPKI)),
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

#[test]
fn a_key_has_from_1024_to_8192_bits() {
    for bits in [1024, 1025, 8191, 8192] {
        let key = PublicKey::from_pem(&pem(PKCS1, &pkcs1(&modulus(bits), &[3])));
        assert_eq!(key.map(|key| key.bits() as usize), Ok(bits));
    }
}
