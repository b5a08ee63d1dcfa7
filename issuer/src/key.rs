//! The signing key: an RSA private key, as `kumactl generate signing-key` makes it.
//!
//! In: PEM, `RSA PRIVATE KEY` (PKCS#1, RFC 8017 A.1.2) or `PRIVATE KEY` (PKCS#8, RFC 5208), read by the reader of
//! public keys, or fresh randomness. Out: a [`SigningKey`]. It has no kid, and who may have it is decided elsewhere.
//! Private material is wiped when dropped and never printed.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::rngs::SysRng;
use rsa::pkcs1::{DecodeRsaPrivateKey, EncodeRsaPrivateKey, EncodeRsaPublicKey, LineEnding};
use rsa::pkcs1::{RsaPrivateKeyRef, UintRef};
use rsa::pkcs1v15::Signature;
use rsa::pkcs8::PrivateKeyInfoRef;
use rsa::signature::{RandomizedSigner, SignatureEncoding};
use sha2::Sha256;
use zeroize::Zeroizing;
use zonegate::token::pem::{self, Block};
use zonegate::token::{DerKind, MAX_BITS, MIN_BITS, NotPem, PublicKey};

use super::SigningKeyError;

/// The size that kumactl makes.
pub const DEFAULT_BITS: u32 = 2048;

const PKCS1: &str = "RSA PRIVATE KEY";
const PKCS8: &str = "PRIVATE KEY";
/// The labels in errors about a key in DER.
const PKCS1_DER: &str = "RSA PRIVATE KEY, as DER";
const PKCS8_DER: &str = "PRIVATE KEY, as DER";

/// An RSA private key of a size that Kuma verifies.
pub struct SigningKey {
    signer: rsa::pkcs1v15::SigningKey<Sha256>,
    private_pem: Zeroizing<String>,
    public_pem: String,
    public: PublicKey,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({:?})", self.public)
    }
}

impl SigningKey {
    /// A new key of `bits`; kumactl makes [`DEFAULT_BITS`].
    ///
    /// # Errors
    /// [`SigningKeyError::Size`] or [`SigningKeyError::NotGenerated`].
    pub fn generate(bits: u32) -> Result<Self, SigningKeyError> {
        check_size(bits)?;
        let failed = |error: &dyn fmt::Display| SigningKeyError::NotGenerated(error.to_string());
        let size = usize::try_from(bits).map_err(|error| failed(&error))?;
        let key = rsa::PrivateKey::new(&mut SysRng, size).map_err(|error| failed(&error))?;
        Self::from_rsa(key, PKCS1)
    }

    /// Reads a key as a GlobalSecret of Kuma holds it (Kuma: `pkg/core/tokens/signing_key.go`): PEM,
    /// or DER, PKCS#8 too; or base64 of either, which is how the API server, kubectl and `generate
    /// signing-key` print it.
    ///
    /// # Errors
    /// See [`SigningKeyError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SigningKeyError> {
        match (Block::first(bytes), DerKind::of(bytes)) {
            (Some(block), _) => Self::from_block(&block),
            (None, Some(kind)) => Self::from_der(bytes, kind),
            (None, None) => match pem::decode(bytes) {
                Some(inner) => Self::from_decoded(&inner, bytes),
                None => Err(not_pem(bytes)),
            },
        }
    }

    /// Reads the first PEM block in `text`.
    ///
    /// # Errors
    /// See [`SigningKeyError`].
    pub fn from_pem(text: &str) -> Result<Self, SigningKeyError> {
        match Block::first(text.as_bytes()) {
            Some(block) => Self::from_block(&block),
            None => Err(not_pem(text.as_bytes())),
        }
    }

    /// Reads the key in a secret of the control plane: PEM, or PKCS#1 DER (Kuma: `keyBytesToRsaPrivateKey` in
    /// `pkg/core/tokens/signing_key.go`, which takes no PKCS#8).
    ///
    /// # Errors
    /// See [`SigningKeyError`].
    pub fn from_secret(bytes: &[u8]) -> Result<Self, SigningKeyError> {
        match (Block::first(bytes), DerKind::of(bytes)) {
            (Some(block), _) if block.label == PKCS8.as_bytes() => {
                Err(SigningKeyError::Pkcs8InSecret)
            }
            (Some(block), _) => Self::from_block(&block),
            (None, Some(DerKind::Pkcs8)) => Err(SigningKeyError::Pkcs8InSecret),
            (None, Some(kind)) => Self::from_der(bytes, kind),
            (None, None) => Err(not_pem(bytes)),
        }
    }

    fn from_decoded(inner: &[u8], outer: &[u8]) -> Result<Self, SigningKeyError> {
        match (Block::first(inner), DerKind::of(inner)) {
            (Some(block), _) => Self::from_block(&block),
            (None, Some(kind)) => Self::from_der(inner, kind),
            // The damage is inside.
            (None, None) if NotPem::of(outer) == NotPem::Base64OfPem => Err(not_pem(inner)),
            (None, None) => Err(not_pem(outer)),
        }
    }

    fn from_block(block: &Block<'_>) -> Result<Self, SigningKeyError> {
        let label = block.label;
        match label {
            b"ENCRYPTED PRIVATE KEY" => Err(SigningKeyError::Encrypted),
            // RFC 1421 §4.6.1.1.
            _ if block.headers.windows(9).any(|word| word == b"ENCRYPTED") => {
                Err(SigningKeyError::Encrypted)
            }
            _ if label == PKCS1.as_bytes() => Self::from_pkcs1(&block.contents, PKCS1),
            _ if label == PKCS8.as_bytes() => Self::from_pkcs8(&block.contents, PKCS8),
            _ if label.ends_with(b"PUBLIC KEY") => Err(SigningKeyError::PublicKey),
            _ if label.ends_with(b"CERTIFICATE") => Err(SigningKeyError::Certificate),
            _ if label.starts_with(b"EC ") || label.starts_with(b"DSA ") => {
                Err(SigningKeyError::NotRsa)
            }
            _ => Err(SigningKeyError::OtherBlock(block.label_text())),
        }
    }

    fn from_der(der: &[u8], kind: DerKind) -> Result<Self, SigningKeyError> {
        match kind {
            DerKind::Pkcs1Private => Self::from_pkcs1(der, PKCS1_DER),
            DerKind::Pkcs8 => Self::from_pkcs8(der, PKCS8_DER),
            DerKind::EncryptedPkcs8 => Err(SigningKeyError::Encrypted),
            DerKind::Spki | DerKind::Pkcs1Public => Err(SigningKeyError::PublicKey),
            DerKind::Pkcs12 => Err(SigningKeyError::Pkcs12),
            DerKind::Certificate => Err(SigningKeyError::Certificate),
        }
    }

    fn from_pkcs8(der: &[u8], label: &'static str) -> Result<Self, SigningKeyError> {
        let info =
            PrivateKeyInfoRef::try_from(der).map_err(|_| SigningKeyError::Malformed { label })?;
        if info.algorithm.oid != rsa::pkcs1::ALGORITHM_OID {
            return Err(SigningKeyError::NotRsa);
        }
        Self::from_pkcs1(info.private_key.as_bytes(), label)
    }

    fn from_pkcs1(der: &[u8], label: &'static str) -> Result<Self, SigningKeyError> {
        let malformed = |_| SigningKeyError::Malformed { label };
        // The size first: crate rsa refuses a small key without saying why.
        check_size(bit_length(&RsaPrivateKeyRef::try_from(der).map_err(malformed)?.modulus))?;
        Self::from_rsa(rsa::PrivateKey::from_pkcs1_der(der).map_err(malformed)?, label)
    }

    fn from_rsa(key: rsa::PrivateKey, label: &'static str) -> Result<Self, SigningKeyError> {
        let malformed = |_| SigningKeyError::Malformed { label };
        let private_pem = key.to_pkcs1_pem(LineEnding::LF).map_err(malformed)?;
        let public_pem = key.as_ref().to_pkcs1_pem(LineEnding::LF).map_err(malformed)?;
        let public =
            PublicKey::from_pem(&public_pem).map_err(|_| SigningKeyError::Malformed { label })?;
        Ok(Self { signer: key.into(), private_pem, public_pem, public })
    }

    /// The key as `RSA PRIVATE KEY`, byte for byte as Go's `pem.Encode` prints it. Secret.
    pub fn to_pem(&self) -> Zeroizing<String> {
        self.private_pem.clone()
    }

    /// The public half, as the gate reads it.
    pub fn public_key(&self) -> PublicKey {
        self.public.clone()
    }

    /// The public half as `RSA PUBLIC KEY`, byte for byte as Go's `pem.Encode` prints it.
    pub fn public_key_pem(&self) -> &str {
        &self.public_pem
    }

    /// A compact JWS (RFC 7515 §7.1) of exactly these bytes, signed with RS256. The bytes are not checked.
    ///
    /// # Panics
    /// If the operating system gives no randomness, which blinds the arithmetic.
    pub fn sign_raw(&self, header: impl AsRef<[u8]>, claims: impl AsRef<[u8]>) -> String {
        let mut token = URL_SAFE_NO_PAD.encode(header);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let signature: Signature = self.signer.sign_with_rng(&mut rand::rng(), token.as_bytes());
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature.to_bytes(), &mut token);
        token
    }
}

/// Why `text` has no PEM block for a signing key.
fn not_pem(text: &[u8]) -> SigningKeyError {
    match NotPem::of(text) {
        NotPem::Ssh => SigningKeyError::PublicKey,
        what => SigningKeyError::NotPem(what),
    }
}

fn check_size(bits: u32) -> Result<(), SigningKeyError> {
    match bits {
        MIN_BITS..=MAX_BITS => Ok(()),
        _ => Err(SigningKeyError::Size(bits)),
    }
}

fn bit_length(number: &UintRef<'_>) -> u32 {
    let bytes = number.as_bytes();
    let spare = bytes.first().map_or(0, |first| first.leading_zeros());
    u32::try_from(bytes.len()).unwrap_or(u32::MAX).saturating_mul(8).saturating_sub(spare)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::string_slice)] // a test may panic
mod tests {
    use std::time::Instant;

    use base64::engine::general_purpose::STANDARD;
    use zonegate::credential::{Kind, authenticate};
    use zonegate::token::KeySet;

    use super::*;

    #[test]
    fn a_generated_key_signs_what_its_public_half_verifies() {
        let start = Instant::now();
        let key = SigningKey::generate(DEFAULT_BITS).unwrap();
        println!("generated in {:?}", start.elapsed());
        let mut keys = KeySet::default();
        keys.insert("1".into(), key.public_key()).unwrap();
        let token = key.sign_raw(r#"{"alg":"RS256","kid":"1"}"#, r#"{"Zone":"z"}"#);
        assert_eq!(
            authenticate(token.as_bytes(), Kind::ZoneToken, &keys).unwrap().claims.zone(),
            "z"
        );
        assert_eq!(key.public_key().bits(), DEFAULT_BITS);
    }

    #[test]
    fn every_spelling_of_a_key_is_the_same_key() {
        let key = SigningKey::generate(1024).unwrap();
        let pem = key.to_pem();
        let base64 = STANDARD.encode(pem.as_bytes());
        let der = Block::first(pem.as_bytes()).unwrap().contents.to_vec();
        for text in [
            pem.to_string(),
            pem.replace('\n', "\r\n"),
            format!("some words\n{}more", *pem),
            pem.trim_end().to_owned(),
            base64.clone(),
            format!("{}\n{}\n", &base64[..76], &base64[76..]),
            STANDARD.encode(&der),
        ] {
            assert_eq!(*SigningKey::from_bytes(text.as_bytes()).unwrap().to_pem(), *pem, "{text}");
        }
        assert_eq!(*SigningKey::from_bytes(&der).unwrap().to_pem(), *pem);
        let not_pem = SigningKeyError::NotPem;
        assert_eq!(SigningKey::from_pem(&base64).unwrap_err(), not_pem(NotPem::Base64OfPem));
    }

    #[test]
    fn debug_shows_the_fingerprint_and_nothing_private() {
        let key = SigningKey::generate(1024).unwrap();
        let fingerprint = key.public_key().fingerprint();
        assert_eq!(format!("{key:?}"), format!("SigningKey(PublicKey(RSA 1024, {fingerprint}))"));
    }

    #[test]
    fn texts_that_are_no_signing_key_are_refused_with_the_reason() {
        let pem = SigningKey::generate(1024).unwrap();
        let relabelled = |label: &str| pem.to_pem().replace(PKCS1, label);
        let block = |label: &str, body: &str| {
            format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
        };
        let encrypted = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA";
        let malformed = |label| SigningKeyError::Malformed { label };
        let not_pem = SigningKeyError::NotPem;
        let (der, pkcs8) = ([0x30, 6, 2, 1, 0, 2, 1, 7], [0x30, 5, 2, 1, 0, 0x30, 0]);
        for (text, wanted) in [
            (" \n".to_owned(), not_pem(NotPem::Empty)),
            ("hello".to_owned(), not_pem(NotPem::Other)),
            (format!("  {}", &*pem.to_pem()), not_pem(NotPem::Indented)),
            (pem.to_pem().replace("-----END", "----END"), not_pem(NotPem::EndLine)),
            (block(PKCS1, "AA*A"), not_pem(NotPem::Base64)),
            (pem.public_key_pem().to_owned(), SigningKeyError::PublicKey),
            (block("PUBLIC KEY", "AAAA"), SigningKeyError::PublicKey),
            (block(PKCS1, encrypted), SigningKeyError::Encrypted),
            (block("ENCRYPTED PRIVATE KEY", "AAAA"), SigningKeyError::Encrypted),
            (block("EC PRIVATE KEY", "AAAA"), SigningKeyError::NotRsa),
            (relabelled("CERTIFICATE"), SigningKeyError::Certificate),
            (relabelled("CERTIFICATE X"), SigningKeyError::OtherBlock("CERTIFICATE X".into())),
            ("ssh-rsa AAAA me".to_owned(), SigningKeyError::PublicKey),
            (relabelled(PKCS8), malformed(PKCS8)),
            (block(PKCS1, "AAAA"), malformed(PKCS1)),
            (block(PKCS1, ""), malformed(PKCS1)),
            (STANDARD.encode(der), malformed(PKCS1_DER)),
            (STANDARD.encode(pkcs8), malformed(PKCS8_DER)),
            (STANDARD.encode("hello"), not_pem(NotPem::Other)),
        ] {
            let error = SigningKey::from_bytes(text.as_bytes()).unwrap_err();
            assert_eq!(error, wanted, "{text}");
        }
        for (bytes, wanted) in [
            (&der[..], malformed(PKCS1_DER)),
            (&pkcs8, malformed(PKCS8_DER)),
            (&[0x30, 6, 2, 1, 3, 0x30, 1, 0], SigningKeyError::Pkcs12),
            (&[0x30, 4, 0x30, 0, 3, 0], SigningKeyError::PublicKey),
            (&[0x30, 4, 0x30, 0, 4, 0], SigningKeyError::Encrypted),
            (&[0x30, 4, 0x30, 0, 0x30, 0], SigningKeyError::Certificate),
            (&[0xff], not_pem(NotPem::Binary)),
        ] {
            assert_eq!(SigningKey::from_bytes(bytes).unwrap_err(), wanted);
        }
    }

    #[test]
    fn sizes_that_kuma_does_not_verify_are_refused() {
        for bits in [0, 512, 1023, 8193] {
            assert_eq!(SigningKey::generate(bits).unwrap_err(), SigningKeyError::Size(bits));
        }
    }
}
