//! Why a text is not a signing key.
//!
//! In: what the reader of keys found. Out: a sentence for the operator. The sentence may contain the label of a block,
//! cut short, but no part of a key.

use std::fmt;

use zonegate::token::{MAX_BITS, MIN_BITS, NotPem};

/// Why there is no signing key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SigningKeyError {
    /// Go sees no PEM block. The value says what the text is.
    NotPem(NotPem),
    /// A public key: it verifies and cannot sign.
    PublicKey,
    /// A certificate.
    Certificate,
    /// A key that is encrypted with a passphrase.
    Encrypted,
    /// A PKCS#12 file.
    Pkcs12,
    /// A key of another algorithm.
    NotRsa,
    /// PKCS#8 in a secret of the control plane, which Kuma does not read there.
    Pkcs8InSecret,
    /// A PEM block of another kind; its label.
    OtherBlock(String),
    /// The block does not hold what its label says, or its numbers do not fit together.
    Malformed {
        /// The block's label.
        label: &'static str,
    },
    /// Fewer bits than [`MIN_BITS`] or more than [`MAX_BITS`]; how many.
    Size(u32),
    /// The operating system gave no randomness, or the generation of a key failed.
    NotGenerated(String),
}

impl fmt::Display for SigningKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPem(what) => what.fmt(f),
            Self::PublicKey => {
                f.write_str("a public key: signing needs the private one (RSA PRIVATE KEY)")
            }
            Self::Certificate => {
                f.write_str("a certificate: signing needs the private key (RSA PRIVATE KEY)")
            }
            Self::Encrypted => {
                f.write_str("the key is encrypted: decrypt it first (openssl rsa -in FILE)")
            }
            Self::Pkcs12 => f.write_str(
                "a PKCS#12 file: take the key out of it (openssl pkcs12 -nocerts -nodes -in FILE)",
            ),
            Self::NotRsa => f.write_str("not an RSA key: zone tokens are signed with RS256"),
            Self::Pkcs8InSecret => f.write_str(
                "PEM block \"PRIVATE KEY\": from a secret Kuma reads \"RSA PRIVATE KEY\" only",
            ),
            Self::OtherBlock(label) => {
                write!(f, "PEM block {label:?}: expected \"RSA PRIVATE KEY\" or \"PRIVATE KEY\"")
            }
            Self::Malformed { label } => {
                write!(f, "PEM block {label:?} does not hold a whole RSA private key")
            }
            Self::Size(bits) if *bits < MIN_BITS => {
                write!(f, "an RSA key of {bits} bits: Kuma verifies with {MIN_BITS} or more")
            }
            Self::Size(bits) => write!(f, "an RSA key of {bits} bits: at most {MAX_BITS}"),
            Self::NotGenerated(reason) => write!(f, "no key could be generated: {reason}"),
        }
    }
}

impl std::error::Error for SigningKeyError {}
