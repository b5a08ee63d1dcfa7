//! P-256 public keys, from a JWK.
//!
//! In: the members `x` and `y` of a JWK of type EC and curve P-256 (RFC 7518 §6.2.1). Out: a [`P256Key`], a point on
//! the curve. Who may use the key is decided elsewhere.

use std::fmt;

use p256::ecdsa::VerifyingKey;

use super::{Fingerprint, KeyError, base64url};

/// The bytes before the point in a `SubjectPublicKeyInfo` of a P-256 key (RFC 5480 §2). They are the same for every
/// key.
const SPKI_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// The first byte of a point with both coordinates (SEC 1 §2.3.3).
const UNCOMPRESSED: u8 = 0x04;

/// A P-256 public key.
#[derive(Clone, PartialEq, Eq)]
pub struct P256Key {
    key: VerifyingKey,
    spki_der: Vec<u8>,
}

impl fmt::Debug for P256Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "P256Key({})", Fingerprint::of(&self.spki_der))
    }
}

impl P256Key {
    /// Bits of the curve's field.
    pub const BITS: u32 = 256;

    /// Makes a key of the members `x` and `y` of a JWK.
    ///
    /// # Errors
    /// They are not base64url of 32 bytes each, or no point on the curve.
    pub fn from_jwk(x: &str, y: &str) -> Result<Self, KeyError> {
        let coordinate = |text: &str| -> Option<[u8; 32]> {
            base64url::decode(text.as_bytes())?.try_into().ok()
        };
        let (Some(x), Some(y)) = (coordinate(x), coordinate(y)) else {
            return Err(KeyError::JwkCoordinate);
        };
        let point = [&[UNCOMPRESSED][..], &x, &y].concat();
        let key = VerifyingKey::from_sec1_bytes(&point).map_err(|_| KeyError::NotOnCurve)?;
        Ok(Self { key, spki_der: [&SPKI_PREFIX[..], &point].concat() })
    }

    /// `SubjectPublicKeyInfo`, DER.
    pub fn spki_der(&self) -> &[u8] {
        &self.spki_der
    }

    pub(super) fn verifying_key(&self) -> &VerifyingKey {
        &self.key
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::signature::{KNOWN_X, KNOWN_Y};

    #[test]
    fn a_key_is_a_point_on_the_curve_with_coordinates_of_full_length() {
        assert!(P256Key::from_jwk(KNOWN_X, KNOWN_Y).is_ok());
        let one = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE";
        // The order of the field, which is too large for a coordinate.
        let order = "_____wAAAAEAAAAAAAAAAAAAAAD_______________8";
        for (x, y, wanted) in [
            (KNOWN_Y, KNOWN_X, KeyError::NotOnCurve),
            (KNOWN_X, KNOWN_X, KeyError::NotOnCurve),
            (KNOWN_X, one, KeyError::NotOnCurve),
            (one, one, KeyError::NotOnCurve),
            (order, KNOWN_Y, KeyError::NotOnCurve),
            ("", KNOWN_Y, KeyError::JwkCoordinate),
            (KNOWN_X, "", KeyError::JwkCoordinate),
            ("AQ", KNOWN_Y, KeyError::JwkCoordinate),
            (&format!("AA{KNOWN_X}"), KNOWN_Y, KeyError::JwkCoordinate),
            (&format!("{KNOWN_X}="), KNOWN_Y, KeyError::JwkCoordinate),
        ] {
            assert_eq!(P256Key::from_jwk(x, y), Err(wanted), "{x} {y}");
        }
    }
}
