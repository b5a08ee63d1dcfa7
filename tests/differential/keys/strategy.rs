//! How recipes are drawn: mostly one edit, seldom many, so that one edit does not hide another.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::Recipe;
use super::der::{DerEdit, Length, ModulusEdit, Place};
use super::pem::{PemEdit, Piece};
use super::signers::KEYS;

/// Recipes for keys.
pub(super) fn recipes() -> BoxedStrategy<Recipe> {
    // Verifying with the small keys is quick.
    let key = prop_oneof![10 => Just(0), 4 => Just(1), 2 => 2..KEYS];
    let der = prop_oneof![5 => Just(0..1_usize), 5 => Just(1..2_usize), 2 => Just(2..4_usize)];
    let pem = prop_oneof![3 => Just(0..1_usize), 6 => Just(1..2_usize), 3 => Just(2..5_usize)];
    let (der_edit, pem_edit) = (der_edit(), pem_edit());
    let der = der.prop_flat_map(move |count| vec(der_edit.clone(), count));
    let pem = pem.prop_flat_map(move |count| vec(pem_edit.clone(), count));
    (key, any::<bool>(), der, pem)
        .prop_map(|(key, is_pkcs1, der, pem)| Recipe { key, is_pkcs1, der, pem })
        .boxed()
}

/// Texts to put in place of a line end, or near one.
const SPACES: &[&str] = &[
    " ", "\t", "  ", " \t", "\n", "\r", "\r\n", "\n\n", "\n\n\n", "\n\r", "\r\r\n", "\r\n\r\n",
    " \n", "\n ", " \r\n", "\r \n", "\u{b}", "\u{c}", "\u{85}", "\u{a0}", "\u{2028}", "\u{2029}",
    "\u{200b}", "\u{feff}", "\0", "\\n", "\\r\\n", "",
];

/// Texts that do not belong in PEM.
const JUNK: &[&str] = &[
    "-",
    "--",
    "-----",
    "------",
    "=",
    "==",
    "A",
    "AAAA",
    ":",
    "a:",
    "a: b\n",
    "a: b",
    "x",
    "\"",
    "'",
    "#",
    "-----BEGIN ",
    "-----END ",
    "\n-----END ",
    "\n-----BEGIN ",
    "-----BEGIN PUBLIC KEY-----\n",
    "\n-----END PUBLIC KEY-----\n",
    "\n-----BEGIN RSA PUBLIC KEY-----\n",
    "\n-----END -----",
    "BEGIN",
    "-----\n",
    "é",
    "\u{feff}",
];

const LABELS: &[&str] = &[
    "RSA PUBLIC KEY",
    "PUBLIC KEY",
    "PUBLIC KEY ",
    " PUBLIC KEY",
    "public key",
    "RSA  PUBLIC KEY",
    "CERTIFICATE",
    "RSA PRIVATE KEY",
    "PRIVATE KEY",
    "EC PUBLIC KEY",
    "",
    "-----",
    "PUBLIC KEY-----",
    "PUBLIC KEY\u{a0}",
    "RSA-PSS PUBLIC KEY",
    "SSH2 PUBLIC KEY",
    "PUBLIC: KEY",
    "PUBLIC\tKEY",
];

const HEADERS: &[&str] = &[
    "a: b\n\n",
    "a: b\n",
    "a: b\r\n\r\n",
    "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n",
    ":\n",
    "a: b\nc\n",
    " a : b \n\n",
    "a: b\n c: d\n\n",
    "a\n\n",
    "\n",
    "\n\n",
    " \n",
    "a: b",
    "a: b\n\nc: d\n\n",
    "a: -----END PUBLIC KEY-----\n\n",
    "\u{a0}: x\n",
];

const BLOCKS: &[&str] = &[
    "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    "-----BEGIN CERTIFICATE-----\nA*AA\n-----END CERTIFICATE-----\n",
    "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
    "-----BEGIN PUBLIC KEY-----\nAAA\n-----END PUBLIC KEY-----\n",
    "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n",
    "-----BEGIN PUBLIC KEY-----\na: b\n-----END PUBLIC KEY-----\n",
    "-----BEGIN PUBLIC KEY-----\na: b\n-----END PUBLIC KEY-----: c\n",
    "-----BEGIN PUBLIC KEY-----\na: b\n-----END : c\n",
    "-----BEGIN PUBLIC KEY-----\n",
    "-----BEGIN PUBLIC KEY----\n",
    "-----BEGIN PUBLIC KEY-----\nAAAA\n",
    "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END RSA PUBLIC KEY-----\n",
    "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
    "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY----- x\n",
    "-----END PUBLIC KEY-----\n",
    "\n-----END ",
    "\n-----END PUBLIC KEY-----\n",
    "-----BEGIN ",
    "-----END ",
    "Public key:\n",
    "# a comment\n",
    "a: b\n",
    "\n\n",
    "words",
    "\u{feff}",
    "\u{feff}\n",
    "\t",
    "\r",
    "\r\n",
    "\0\n",
];

fn piece() -> impl Strategy<Value = Piece> + Clone {
    select(&Piece::ALL[..])
}

fn pem_edit() -> BoxedStrategy<PemEdit> {
    let text = || prop_oneof![3 => select(SPACES), 2 => select(JUNK)];
    let part = any::<u16>;
    prop_oneof![
        10 => (piece(), text()).prop_map(|(piece, text)| PemEdit::Prepend(piece, text)),
        10 => (piece(), text()).prop_map(|(piece, text)| PemEdit::Append(piece, text)),
        8 => (piece(), text()).prop_map(|(piece, text)| PemEdit::Replace(piece, text)),
        3 => select(LABELS).prop_map(PemEdit::Labels),
        1 => select(LABELS).prop_map(|label| PemEdit::Replace(Piece::Label, label)),
        1 => select(LABELS).prop_map(|label| PemEdit::Replace(Piece::EndLabel, label)),
        6 => select(HEADERS).prop_map(|headers| PemEdit::Replace(Piece::Headers, headers)),
        4 => select(&[1, 4, 16, 63, 65, 76, 10_000][..]).prop_map(PemEdit::Width),
        5 => select(SPACES).prop_map(PemEdit::LineEnds),
        3 => select(SPACES).prop_map(PemEdit::SomeLineEnds),
        2 => select(&[" ", "    ", "\t", "\u{a0}", ""][..]).prop_map(PemEdit::Indent),
        2 => Just(PemEdit::Folded),
        1 => select(&["\"", "'", "`"][..]).prop_map(PemEdit::Quoted),
        8 => select(BLOCKS).prop_map(PemEdit::BlockBefore),
        4 => select(BLOCKS).prop_map(PemEdit::BlockAfter),
        2 => select(SPACES).prop_map(PemEdit::Twice),
        1 => Just(PemEdit::Base64),
        4 => (part(), select(&['*', '-', '_', '=', 'A', ' ', '\n', ':', 'é'][..]))
            .prop_map(|(part, with)| PemEdit::BodyReplace(part, with)),
        6 => (part(), text()).prop_map(|(part, text)| PemEdit::BodyInsert(part, text)),
        2 => part().prop_map(PemEdit::BodyDelete),
        3 => Just(PemEdit::SpareBits),
        3 => select(&["", "=", "==", "===", "=\n=", "= =", "\n==", "==\n\n", "=A", "==AAAA"][..])
            .prop_map(PemEdit::Padding),
        6 => (part(), text()).prop_map(|(part, text)| PemEdit::Insert(part, text)),
        4 => (part(), 1..4_u8).prop_map(|(part, count)| PemEdit::Delete(part, count)),
    ]
    .boxed()
}

const EXPONENTS: &[i128] = &[
    -65_537,
    -1,
    0,
    1,
    2,
    3,
    3,
    4,
    5,
    7,
    17,
    127,
    128,
    129,
    257,
    32_767,
    32_768,
    65_535,
    65_536,
    65_539,
    2_147_483_645,
    2_147_483_646,
    2_147_483_647,
    2_147_483_647,
    2_147_483_648,
    2_147_483_649,
    4_294_967_295,
    4_294_967_297,
    8_589_934_591,
    8_589_934_593,
    9_223_372_036_854_775_807,
    9_223_372_036_854_775_808,
    18_446_744_073_709_551_617,
];

const BITS: &[usize] = &[
    1, 8, 511, 512, 768, 1000, 1016, 1022, 1023, 1024, 1025, 1031, 1032, 1033, 2047, 2049, 4096,
    8191, 8192, 8193, 8200, 16_384,
];

/// RSA-PSS, RSA-OAEP, RSA with another digest, EC, Ed25519, a longer OID, a shorter OID, an OID not in its shortest
/// form, no OID.
const OIDS: &[&[u8]] = &[
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a],
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x07],
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b],
    &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01],
    &[0x2b, 0x65, 0x70],
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x01],
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01],
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x80, 0x01],
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x81],
    &[],
];

const TAILS: &[&[u8]] = &[&[0], &[5, 0], &[2, 1, 1], &[0x30, 0], &[0xff], &[0x30, 0x80], &[0, 0]];

const TAGS: &[u8] = &[
    0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0a, 0x10, 0x1f, 0x22, 0x23, 0x24, 0x25, 0x26, 0x30,
    0x31, 0x3f, 0x42, 0x82, 0xa0, 0xb0, 0x70,
];

fn place() -> impl Strategy<Value = Place> + Clone {
    select(&Place::ALL[..])
}

fn length() -> impl Strategy<Value = Length> + Clone {
    prop_oneof![
        (0..5_usize).prop_map(Length::Long),
        Just(Length::Long(120)),
        Just(Length::Indefinite),
        (-3..4_isize).prop_map(Length::Off),
    ]
}

fn modulus() -> BoxedStrategy<ModulusEdit> {
    prop_oneof![
        2 => Just(ModulusEdit::Negative),
        2 => Just(ModulusEdit::ExtraZero),
        2 => Just(ModulusEdit::Even),
        2 => any::<u8>().prop_map(ModulusEdit::Xor),
        6 => select(BITS).prop_map(ModulusEdit::Bits),
    ]
    .boxed()
}

fn der_edit() -> BoxedStrategy<DerEdit> {
    let tail = || select(TAILS).prop_map(<[u8]>::to_vec);
    let part = any::<u16>;
    // Most of the bytes are the modulus. The other elements are near the start and the end.
    let edge = || prop_oneof![2 => 0..12_000_u16, 1 => 63_000..=u16::MAX, 1 => part()];
    prop_oneof![
        4 => (place(), select(TAGS)).prop_map(|(place, tag)| DerEdit::Tag(place, tag)),
        6 => (place(), length()).prop_map(|(place, length)| DerEdit::Length(place, length)),
        8 => (place(), tail()).prop_map(|(place, tail)| DerEdit::Tail(place, tail)),
        2 => place().prop_map(DerEdit::Missing),
        3 => select(OIDS).prop_map(|oid| DerEdit::Contents(Place::Oid, oid.to_vec())),
        1 => tail().prop_map(|bytes| DerEdit::Contents(Place::Parameters, bytes)),
        1 => vec(any::<u8>(), 0..10).prop_map(|bytes| DerEdit::Contents(Place::Exponent, bytes)),
        1 => (place(), vec(any::<u8>(), 0..4))
            .prop_map(|(place, bytes)| DerEdit::Contents(place, bytes)),
        12 => select(EXPONENTS).prop_map(DerEdit::Exponent),
        10 => modulus().prop_map(DerEdit::Modulus),
        4 => (0..9_u8).prop_map(|by| DerEdit::Shifted(by % 9)),
        3 => select(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 128, 255][..]).prop_map(DerEdit::Unused),
        3 => tail().prop_map(DerEdit::After),
        4 => (edge(), any::<u8>()).prop_map(|(part, mask)| DerEdit::Byte(part, mask)),
        2 => (edge(), any::<u8>()).prop_map(|(part, byte)| DerEdit::Insert(part, byte)),
        2 => edge().prop_map(DerEdit::Delete),
        1 => part().prop_map(DerEdit::CutAt),
    ]
    .boxed()
}
