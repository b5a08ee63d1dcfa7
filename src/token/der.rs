//! DER as far as keys need it, by the rules that Go's `encoding/asn1` and `cryptobyte` share.
//!
//! In: bytes. Out: elements, each with its contents; or a guess at what a file is. Tags of one byte, definite lengths
//! in their shortest form (X.690 §10.1); an element ends within its input. The contents are not interpreted.

pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
pub(super) const OID: u8 = 0x06;
pub(super) const SEQUENCE: u8 = 0x30;

/// The kind of a file in DER, guessed from its shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DerKind {
    /// `SubjectPublicKeyInfo` (RFC 5280 §4.1).
    Spki,
    /// `RSAPublicKey` (RFC 8017 A.1.1).
    Pkcs1Public,
    /// `RSAPrivateKey` (RFC 8017 A.1.2).
    Pkcs1Private,
    /// `PrivateKeyInfo` (RFC 5208).
    Pkcs8,
    /// `EncryptedPrivateKeyInfo` (RFC 5208).
    EncryptedPkcs8,
    /// `PFX` (RFC 7292).
    Pkcs12,
    /// `Certificate` (RFC 5280), or a request for one.
    Certificate,
}

impl DerKind {
    /// The kind of `der`, if it is one element of a known shape and nothing else.
    pub fn of(mut der: &[u8]) -> Option<Self> {
        let mut inner = take(&mut der, SEQUENCE).filter(|_| der.is_empty())?;
        let (first, second) = (next(&mut inner)?, next(&mut inner)?.0);
        Some(match (first, second) {
            ((SEQUENCE, _), BIT_STRING) => Self::Spki,
            ((SEQUENCE, _), OCTET_STRING) => Self::EncryptedPkcs8,
            ((SEQUENCE, _), SEQUENCE) => Self::Certificate,
            ((INTEGER, [0 | 1]), INTEGER) => Self::Pkcs1Private,
            ((INTEGER, [0 | 1]), SEQUENCE) => Self::Pkcs8,
            ((INTEGER, [3]), SEQUENCE) => Self::Pkcs12,
            ((INTEGER, _), INTEGER) => Self::Pkcs1Public,
            _ => return None,
        })
    }

    /// Whether a file of this kind holds a private key.
    pub fn is_private(self) -> bool {
        matches!(self, Self::Pkcs1Private | Self::Pkcs8 | Self::EncryptedPkcs8)
    }
}

/// The contents of the element that `input` begins with, if it has this tag; then `input` is moved behind the element.
pub(super) fn take<'a>(input: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    let mut rest = *input;
    let (found, contents) = next(&mut rest)?;
    if found != tag {
        return None;
    }
    *input = rest;
    Some(contents)
}

fn next<'a>(input: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (tag, rest) = input.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        _ => long_length(usize::from(first & 0x7f), rest)?,
    };
    let (contents, rest) = rest.split_at_checked(length)?;
    *input = rest;
    Some((*tag, contents))
}

/// A length of `count` bytes. More than four are refused: no input is that long.
fn long_length(count: usize, rest: &[u8]) -> Option<(usize, &[u8])> {
    let (bytes, rest) = rest.split_at_checked(count)?;
    let is_shortest = match bytes {
        [byte] => *byte >= 0x80,
        [first, _] | [first, _, _] | [first, _, _, _] => *first > 0,
        _ => false,
    };
    let length = bytes.iter().fold(0_u32, |length, byte| length.wrapping_shl(8) | u32::from(*byte));
    is_shortest.then_some((usize::try_from(length).ok()?, rest))
}

/// Encodes an element of this tag with the contents `parts`.
pub(super) fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length = parts.iter().fold(0_usize, |sum, part| sum.saturating_add(part.len()));
    let mut der = vec![tag];
    match u8::try_from(length) {
        Ok(short @ 0..=0x7f) => der.push(short),
        _ => {
            let zeros = usize::try_from(length.leading_zeros() / 8).unwrap_or_default();
            let bytes = length.to_be_bytes();
            let bytes = bytes.get(zeros..).unwrap_or_default();
            der.push(0x80 | u8::try_from(bytes.len()).unwrap_or_default());
            der.extend_from_slice(bytes);
        }
    }
    parts.iter().for_each(|part| der.extend_from_slice(part));
    der
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use super::*;

    #[test]
    fn an_element_is_read_as_it_was_written() {
        for length in [0, 1, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x1_0000] {
            let contents = vec![7; length];
            let der = element(INTEGER, &[&contents]);
            let mut rest = der.as_slice();
            assert_eq!(take(&mut rest, INTEGER), Some(contents.as_slice()), "{length}");
            assert!(rest.is_empty());
            assert_eq!(take(&mut der.as_slice(), SEQUENCE), None);
        }
    }

    /// The types of the first two elements by which each definition begins; see [`DerKind`].
    #[test]
    fn a_kind_is_told_by_its_first_two_elements() {
        use DerKind::*;
        let (zero, one, three) = (&[2, 1, 0][..], &[2, 1, 1][..], &[2, 1, 3][..]);
        let (sequence, bits, octets) = (&[0x30, 0][..], &[3, 1, 0][..], &[4, 1, 0][..]);
        for (first, second, wanted) in [
            (sequence, bits, Some((Spki, false))),
            (&[2, 2, 0, 0x81], three, Some((Pkcs1Public, false))),
            (zero, one, Some((Pkcs1Private, true))),
            (one, one, Some((Pkcs1Private, true))),
            (zero, sequence, Some((Pkcs8, true))),
            (one, sequence, Some((Pkcs8, true))),
            (sequence, octets, Some((EncryptedPkcs8, true))),
            (three, sequence, Some((Pkcs12, false))),
            (sequence, sequence, Some((Certificate, false))),
            (&[2, 1, 2], sequence, None),
            (sequence, one, None),
            (octets, octets, None),
        ] {
            let kind = |der: &[u8]| DerKind::of(der).map(|kind| (kind, kind.is_private()));
            let der = element(SEQUENCE, &[first, second]);
            assert_eq!(kind(&der), wanted, "{der:?}");
            assert_eq!(kind(&element(SEQUENCE, &[first, second, octets])), wanted, "{der:?}");
            assert_eq!(kind(&[der.as_slice(), &[0]].concat()), None, "{der:?}");
            assert_eq!(kind(&element(SEQUENCE, &[first])), None, "{der:?}");
        }
    }

    #[test]
    fn lengths_not_in_the_shortest_form_are_refused() {
        for der in [
            &[0x30][..],
            &[0x30, 1],
            &[0x30, 0x80, 0, 0],
            &[0x30, 0x81, 1, 7],
            &[0x30, 0x82, 0, 1, 7],
            &[0x30, 0x84, 0, 0, 0, 1, 7],
            &[0x30, 0x85, 0, 0, 0, 0, 1, 7],
            &[0x30, 0x85, 1, 0, 0, 0, 0],
            &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
        ] {
            assert_eq!(take(&mut { der }, SEQUENCE), None, "{der:?}");
        }
        let long_form = [&[0x30, 0x81, 0x7f][..], &[7; 0x7f]].concat();
        assert_eq!(take(&mut long_form.as_slice(), SEQUENCE), None);
    }
}
