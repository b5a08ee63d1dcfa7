//! A public key as DER, element by element, and the edits of each element.

use super::signers;

/// An element of `SubjectPublicKeyInfo`. A PKCS#1 key consists of `Key` and the elements in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Info,
    Algorithm,
    Oid,
    Parameters,
    Bits,
    Key,
    Modulus,
    Exponent,
}

impl Place {
    pub(super) const ALL: [Self; 8] = [
        Self::Info,
        Self::Algorithm,
        Self::Oid,
        Self::Parameters,
        Self::Bits,
        Self::Key,
        Self::Modulus,
        Self::Exponent,
    ];
}

/// How a length is written.
#[derive(Debug, Clone, Copy)]
pub(super) enum Length {
    Shortest,
    /// With this many zeros before it, in long form.
    Long(usize),
    Indefinite,
    /// Larger or smaller than the real length, by this.
    Off(isize),
}

/// An edit of the DER.
#[derive(Debug, Clone)]
pub(super) enum DerEdit {
    Tag(Place, u8),
    Length(Place, Length),
    /// Inserts bytes before the end of an element.
    Tail(Place, Vec<u8>),
    Missing(Place),
    Contents(Place, Vec<u8>),
    Exponent(i128),
    Modulus(ModulusEdit),
    /// The BIT STRING leaves this many bits unused, and its contents are shifted by as many.
    Shifted(u8),
    /// The BIT STRING says that this many bits are unused, and its contents are not shifted.
    Unused(u8),
    /// Appends bytes after the key.
    After(Vec<u8>),
    /// Replaces one byte; its place is in 1/65536 of the whole.
    Byte(u16, u8),
    Insert(u16, u8),
    Delete(u16),
    CutAt(u16),
}

/// An edit of the modulus.
#[derive(Debug, Clone, Copy)]
pub(super) enum ModulusEdit {
    Negative,
    ExtraZero,
    Even,
    /// Another odd number.
    Xor(u8),
    /// A modulus of this many bits, the highest set.
    Bits(usize),
}

#[derive(Debug, Clone)]
struct Element {
    tag: u8,
    length: Length,
    contents: Vec<u8>,
    tail: Vec<u8>,
    is_missing: bool,
}

/// A key as DER.
pub(super) struct Der {
    is_pkcs1: bool,
    elements: [Element; 8],
    shifted: u8,
    exponent: i128,
    bytes: Vec<DerEdit>,
}

const RSA: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];

impl Der {
    pub(super) fn good(key: usize, is_pkcs1: bool) -> Self {
        let element = |tag, contents: &[u8]| Element {
            tag,
            length: Length::Shortest,
            contents: contents.to_vec(),
            tail: Vec::new(),
            is_missing: false,
        };
        let modulus = [&[0], signers::modulus(key)].concat();
        let elements = [
            element(0x30, &[]),
            element(0x30, &[]),
            element(0x06, &RSA),
            element(0x05, &[]),
            element(0x03, &[0]),
            element(0x30, &[]),
            element(0x02, &modulus),
            element(0x02, &integer(signers::EXPONENT)),
        ];
        Self { is_pkcs1, elements, shifted: 0, exponent: signers::EXPONENT, bytes: Vec::new() }
    }

    /// The exponent as it was set. Edits of bytes may have changed it in the DER.
    pub(super) fn exponent(&self) -> Option<i128> {
        Some(self.exponent)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut der = self.element(if self.is_pkcs1 { Place::Key } else { Place::Info });
        for edit in &self.bytes {
            let at = |part: u16, len: usize| usize::from(part) * len / 65_536;
            match edit {
                DerEdit::After(bytes) => der.extend(bytes),
                DerEdit::Insert(part, byte) => der.insert(at(*part, der.len() + 1), *byte),
                _ if der.is_empty() => {}
                DerEdit::Byte(part, mask) => {
                    let at = at(*part, der.len());
                    der[at] ^= mask;
                }
                DerEdit::Delete(part) => drop(der.remove(at(*part, der.len()))),
                DerEdit::CutAt(part) => der.truncate(at(*part, der.len())),
                _ => {}
            }
        }
        der
    }

    fn element(&self, place: Place) -> Vec<u8> {
        let Element { tag, length, contents, tail, is_missing } = &self.elements[place as usize];
        if *is_missing {
            return Vec::new();
        }
        let inner = match place {
            Place::Info => [self.element(Place::Algorithm), self.element(Place::Bits)].concat(),
            Place::Algorithm => {
                [self.element(Place::Oid), self.element(Place::Parameters)].concat()
            }
            Place::Bits => shifted(&self.element(Place::Key), self.shifted),
            Place::Key => [self.element(Place::Modulus), self.element(Place::Exponent)].concat(),
            _ => Vec::new(),
        };
        let inner = [contents, &inner, tail].into_iter().flatten().copied().collect::<Vec<u8>>();
        let mut der = vec![*tag];
        der.extend(length.encode(inner.len()));
        der.extend(inner);
        if matches!(length, Length::Indefinite) {
            der.extend([0, 0]);
        }
        der
    }
}

impl Length {
    fn encode(self, length: usize) -> Vec<u8> {
        let bytes = |length: usize| {
            let bytes = length.to_be_bytes();
            bytes[usize::try_from(length.leading_zeros()).unwrap() / 8..].to_vec()
        };
        let long =
            |bytes: Vec<u8>| [vec![0x80 | u8::try_from(bytes.len()).unwrap()], bytes].concat();
        match self {
            Self::Shortest if length < 0x80 => vec![u8::try_from(length).unwrap()],
            Self::Shortest => long(bytes(length)),
            Self::Long(zeros) => long([vec![0; zeros], bytes(length.max(1))].concat()),
            Self::Indefinite => vec![0x80],
            Self::Off(by) => Self::Shortest.encode(length.saturating_add_signed(by)),
        }
    }
}

/// The bytes shifted to the left, as in a BIT STRING that does not use its last bits.
fn shifted(bytes: &[u8], by: u8) -> Vec<u8> {
    let mut below = 0;
    let mut moved: Vec<u8> = bytes
        .iter()
        .rev()
        .map(|byte| {
            let both = u16::from(*byte) << by | below;
            below = both >> 8;
            both.to_be_bytes()[1]
        })
        .collect();
    if below > 0 {
        moved.push(below.to_be_bytes()[1]);
    }
    moved.reverse();
    moved
}

/// The contents of an INTEGER in its shortest form.
fn integer(number: i128) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    let is_spare = |pair: &[u8]| matches!(pair, [0, 0..=0x7f] | [0xff, 0x80..=0xff]);
    let spare = bytes.windows(2).take_while(|pair| is_spare(pair)).count();
    bytes[spare..].to_vec()
}

impl DerEdit {
    pub(super) fn apply(&self, der: &mut Der) {
        match self.clone() {
            Self::Tag(place, tag) => der.elements[place as usize].tag = tag,
            Self::Length(place, length) => der.elements[place as usize].length = length,
            Self::Tail(place, tail) => der.elements[place as usize].tail = tail,
            Self::Missing(place) => der.elements[place as usize].is_missing = true,
            Self::Contents(place, contents) => der.elements[place as usize].contents = contents,
            Self::Exponent(exponent) => {
                der.exponent = exponent;
                der.elements[Place::Exponent as usize].contents = integer(exponent);
            }
            Self::Modulus(edit) => edit.apply(&mut der.elements[Place::Modulus as usize].contents),
            Self::Shifted(by) => {
                der.shifted = by;
                der.elements[Place::Bits as usize].contents = vec![by];
            }
            Self::Unused(bits) => der.elements[Place::Bits as usize].contents = vec![bits],
            bytes => der.bytes.push(bytes),
        }
    }
}

impl ModulusEdit {
    fn apply(self, modulus: &mut Vec<u8>) {
        if modulus.len() < 2 {
            return;
        }
        match self {
            Self::Negative => drop(modulus.remove(0)),
            Self::ExtraZero => modulus.insert(0, 0),
            Self::Even => modulus.iter_mut().last().into_iter().for_each(|last| *last &= 0xFE),
            Self::Xor(mask) => {
                modulus.iter_mut().last().into_iter().for_each(|last| *last ^= mask & 0xFE);
            }
            Self::Bits(bits) => {
                let mut number: Vec<u8> =
                    (0..bits.div_ceil(8)).map(|at| modulus[1 + at % (modulus.len() - 1)]).collect();
                if let Some(first) = number.first_mut() {
                    let top = (bits - 1) % 8;
                    *first = *first & ((1 << top) - 1) | 1 << top;
                }
                number.iter_mut().last().into_iter().for_each(|last| *last |= 1);
                if number.first().is_some_and(|first| *first >= 0x80) {
                    number.insert(0, 0);
                }
                *modulus = number;
            }
        }
    }
}
