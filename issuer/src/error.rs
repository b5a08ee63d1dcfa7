//! Why a text is not a signing key.
//!
//! In: what the reader of a key met. Out: a sentence for the operator. No part of a key is ever in
//! it; a label is, cut short.

use std::fmt;

use zonegate::token::{MAX_BITS, MIN_BITS};

/// Why there is no signing key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SigningKeyError {
    /// Nothing but white space.
    Empty,
    /// Neither text nor DER.
    NotText,
    /// No PEM block.
    NotPem,
    /// No PEM block, but base64 of one, as `generate signing-key` prints by default.
    Base64OfPem,
    /// The base64 of the block is broken, or its END line is.
    BrokenPem,
    /// A public key: it verifies and cannot sign.
    PublicKey,
    /// A key under a passphrase.
    Encrypted,
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
    /// The operating system gave no randomness, or no key came of it.
    NotGenerated(String),
}

impl fmt::Display for SigningKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it is empty"),
            Self::NotText => f.write_str("it is neither text nor a key in DER"),
            Self::NotPem => {
                f.write_str("no line of it starts with -----BEGIN RSA PRIVATE KEY-----")
            }
            Self::Base64OfPem => {
                f.write_str("this looks like base64 of a PEM: decode it first (base64 -d)")
            }
            Self::BrokenPem => f.write_str("broken PEM: its base64 or its END line is damaged"),
            Self::PublicKey => {
                f.write_str("a public key: signing needs the private one (RSA PRIVATE KEY)")
            }
            Self::Encrypted => {
                f.write_str("the key is encrypted: decrypt it first (openssl rsa -in FILE)")
            }
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
