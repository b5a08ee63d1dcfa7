//! Keys that are made once, and the control planes that have them.
//!
//! Most tokens are signed with a small key, because that is quick.

use std::sync::LazyLock;

use rsa::PrivateKey;
use rsa::pkcs1::{DecodeRsaPrivateKey, EncodeRsaPublicKey, LineEnding};
use rsa::pkcs1v15::SigningKey;
use rsa::signature::{SignatureEncoding, Signer};
use rsa::traits::PublicKeyParts;
use sha2::{Sha256, Sha512};

/// The `publicKeys` of a control plane, in order.
#[derive(Debug)]
pub(crate) struct Ring {
    /// Pairs of kid and name of the key.
    pub(crate) keys: &'static [(&'static str, &'static str)],
    /// The index of the key that signs a good token.
    pub(super) good: usize,
}

const fn ring(keys: &'static [(&'static str, &'static str)], good: usize) -> Ring {
    Ring { keys, good }
}

/// The control planes. The first is the simplest.
pub(crate) static RINGS: &[Ring] = &[
    ring(&[("1", "a")], 0),
    ring(&[("1", "a"), ("2", "b")], 0),
    ring(&[("2", "b"), ("1", "a")], 0),
    ring(&[("1", "b")], 0),
    ring(&[("key-1", "a")], 0),
    ring(&[("K", "a"), ("k", "b")], 1),
    ring(&[("\u{FFFD}", "a")], 0),
    ring(&[("ключ.\"1\"", "a")], 0),
    ring(&[("1", "a-spki")], 0),
    ring(&[("1", "c")], 0),
    ring(&[("1", "d")], 0),
    ring(&[("1", "e")], 0),
    ring(&[("1", "f")], 0),
    // The gate refuses each of these configurations as a whole.
    ring(&[("1", "b"), ("1", "a")], 1),
    ring(&[("1", "a"), ("2", "small")], 0),
    ring(&[("1", "a"), ("2", "huge")], 0),
];

/// Private keys by name.
const PRIVATE: [(&str, &str); 6] = [
    ("a", include_str!("../../../data/differential/a-1024.pem")),
    ("b", include_str!("../../../data/differential/b-1024.pem")),
    ("c", include_str!("../../../data/differential/c-1536.pem")),
    ("d", include_str!("../../../data/differential/d-2048.pem")),
    ("e", include_str!("../../../data/differential/e-3072.pem")),
    ("f", include_str!("../../../data/differential/f-4096.pem")),
];

/// Keys without a private half: 512 bits, 8200 bits, and `a` in its other form.
const PUBLIC: [(&str, &str); 3] = [
    ("small", include_str!("../../../data/differential/small.pub.pem")),
    ("huge", include_str!("../../../data/differential/huge.pub.pem")),
    ("a-spki", include_str!("../../../data/differential/a-1024.spki.pem")),
];

/// How a token is signed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scheme {
    /// RS256.
    Sha256,
    /// RS512, whatever algorithm the header names.
    Sha512,
    /// The digest without the identifier of its algorithm.
    NoPrefix,
}

/// One private key, ready for all schemes.
struct Signers {
    name: &'static str,
    sha256: SigningKey<Sha256>,
    sha512: SigningKey<Sha512>,
    no_prefix: SigningKey<Sha256>,
    public_pem: String,
    modulus: Vec<u8>,
}

static SIGNERS: LazyLock<Vec<Signers>> = LazyLock::new(|| PRIVATE.map(signers).into());

fn signers((name, pem): (&'static str, &str)) -> Signers {
    let key = PrivateKey::from_pkcs1_pem(pem).unwrap();
    let public = key.as_public_key();
    Signers {
        name,
        public_pem: public.to_pkcs1_pem(LineEnding::LF).unwrap(),
        modulus: public.n_bytes().to_vec(),
        sha256: SigningKey::new(key.clone()),
        sha512: SigningKey::new(key.clone()),
        no_prefix: SigningKey::new_unprefixed(key),
    }
}

fn of(name: &str) -> &'static Signers {
    let name = name.split('-').next().unwrap();
    SIGNERS.iter().find(|signers| signers.name == name).unwrap()
}

/// Every public key by name.
pub(crate) fn public_keys() -> Vec<(&'static str, &'static str)> {
    let private = SIGNERS.iter().map(|signers| (signers.name, signers.public_pem.as_str()));
    private.chain(PUBLIC).collect()
}

/// The public key of this name, PEM.
pub(crate) fn public_key(name: &str) -> &'static str {
    public_keys().into_iter().find(|(other, _)| *other == name).unwrap().1
}

/// Signs `text` with the key of this name.
pub(super) fn sign(name: &str, scheme: Scheme, text: &[u8]) -> Vec<u8> {
    let signers = of(name);
    match scheme {
        Scheme::Sha256 => signers.sha256.sign(text).to_vec(),
        Scheme::Sha512 => signers.sha512.sign(text).to_vec(),
        Scheme::NoPrefix => signers.no_prefix.sign(text).to_vec(),
    }
}

/// `signature` plus the modulus: arithmetic without a range check treats both as the same number.
pub(super) fn plus_modulus(name: &str, signature: &[u8]) -> Vec<u8> {
    let mut carry = 0_u16;
    let pairs = signature.iter().rev().zip(of(name).modulus.iter().rev());
    let mut sum: Vec<u8> = pairs
        .map(|(a, b)| {
            let sum = u16::from(*a) + u16::from(*b) + carry;
            carry = sum >> 8;
            u8::try_from(sum & 0xFF).unwrap()
        })
        .collect();
    if carry > 0 {
        sum.push(1);
    }
    sum.reverse();
    sum
}
