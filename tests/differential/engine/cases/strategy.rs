//! How recipes are drawn: mostly few edits, seldom many, so that one edit does not hide another.

use proptest::prelude::*;
use proptest::sample::select;
use proptest::string::bytes_regex;

use super::Recipe;
use super::draft::Headers;
use super::edit::{Base64Edit, Edit, Half, MemberEdit, SignatureEdit, TextEdit};
use super::keys::{RINGS, Scheme};
use super::pools::{self, DateForm, Nest, Value};

/// What is drawn besides the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(dead_code)] // each oracle needs only one of them
pub(crate) enum Surroundings {
    /// Also the control plane's keys, revocations, zone and clock.
    Varied,
    /// Nothing: the control plane is the second of [`RINGS`] and serves `zone-1`.
    Fixed,
}

/// Recipes for cases.
pub(crate) fn recipes(surroundings: Surroundings) -> BoxedStrategy<Recipe> {
    let ring = match surroundings {
        Surroundings::Varied => prop_oneof![
            300 => Just(0),
            200 => 1..9_usize,
            15 => 9..11_usize,
            // 3072 and 4096 bits: slow to sign with.
            3 => 11..13_usize,
            15 => 13..RINGS.len(),
        ]
        .boxed(),
        Surroundings::Fixed => Just(1).boxed(),
    };
    let edits = prop_oneof![
        1 => Just(0..1_usize),
        30 => Just(1..2_usize),
        20 => Just(2..4_usize),
        4 => Just(4..9_usize),
    ];
    // Made only once: its regular expressions take long to parse.
    let edit = edit(surroundings);
    let edits = edits.prop_flat_map(move |count| prop::collection::vec(edit.clone(), count));
    let proxy = prop_oneof![Just("ingress"), Just("egress")];
    (ring, proxy, any::<bool>(), edits)
        .prop_map(|(ring, proxy, require_expiration, edits)| Recipe {
            ring,
            proxy,
            require_expiration,
            edits,
        })
        .boxed()
}

fn edit(surroundings: Surroundings) -> BoxedStrategy<Edit> {
    let half = || prop_oneof![Just(Half::Header), Just(Half::Claims)];
    let token = prop_oneof![
        12 => header_member().prop_map(|edit| Edit::Member(Half::Header, edit)),
        30 => claims_member().prop_map(|edit| Edit::Member(Half::Claims, edit)),
        2 => (half(), select(pools::SPACES)).prop_map(|(half, space)| Edit::Space(half, space)),
        8 => (half(), text(pools::JSON_PIECES)).prop_map(|(half, edit)| Edit::Json(half, edit)),
        6 => (half(), base64()).prop_map(|(half, edit)| Edit::Base64(half, edit)),
        2 => select(&["a", "b", "c"][..]).prop_map(Edit::Signer),
        1 => prop_oneof![Just(Scheme::Sha512), Just(Scheme::NoPrefix)].prop_map(Edit::Scheme),
        3 => signature().prop_map(Edit::Signature),
        3 => base64().prop_map(Edit::SignatureText),
        4 => text(pools::TOKEN_PIECES).prop_map(Edit::Token),
        2 => select(pools::TOKEN_ENDS).prop_map(|end| Edit::Token(TextEdit::Prepend(end))),
        2 => select(pools::TOKEN_ENDS).prop_map(|end| Edit::Token(TextEdit::Append(end))),
        2 => prop_oneof![Just(Headers::None), Just(Headers::Two), Just(Headers::EmptyFirst)]
            .prop_map(Edit::Headers),
    ];
    let around = prop_oneof![
        6 => select(pools::REVOCATIONS).prop_map(|text| Edit::Revocations(text.to_owned())),
        2 => "[id12, \n\r\t;]{0,8}".prop_map(Edit::Revocations),
        4 => select(pools::ZONES).prop_map(Edit::Zone),
        2 => select(&[0, 1, 500_000_000, 999_999_999][..]).prop_map(Edit::Nanoseconds),
    ];
    match surroundings {
        Surroundings::Varied => prop_oneof![6 => token, 1 => around].boxed(),
        Surroundings::Fixed => token.boxed(),
    }
}

fn header_member() -> impl Strategy<Value = MemberEdit> {
    member(pools::HEADER_NAMES, value().boxed())
}

fn claims_member() -> impl Strategy<Value = MemberEdit> {
    let dates = (2..5_u8, date()).prop_map(|(at, date)| MemberEdit::Value(at, date));
    prop_oneof![
        3 => member(pools::CLAIM_NAMES, prop_oneof![2 => value(), 1 => date()].boxed()),
        1 => dates,
        1 => overwritten_scope(),
    ]
}

/// A second Scope after the first, with a `null` in it.
fn overwritten_scope() -> impl Strategy<Value = MemberEdit> {
    let lists: &[&[u8]] = &[b"[null]", b"[null,null]", b"[\"x\",null]", b"[null,\"egress\"]"];
    select(lists).prop_map(|list| MemberEdit::Put(6, b"\"scope\"", Value::Json(list.to_vec())))
}

fn member(
    names: &'static [&'static [u8]],
    value: BoxedStrategy<Value>,
) -> impl Strategy<Value = MemberEdit> {
    prop_oneof![
        4 => (any::<u8>(), select(names), value.clone())
            .prop_map(|(at, name, value)| MemberEdit::Put(at, name, value)),
        4 => (any::<u8>(), value).prop_map(|(at, value)| MemberEdit::Value(at, value)),
        2 => (any::<u8>(), select(names)).prop_map(|(at, name)| MemberEdit::Name(at, name)),
        1 => any::<u8>().prop_map(MemberEdit::Remove),
        1 => any::<u8>().prop_map(MemberEdit::Repeat),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let nest = prop_oneof![Just(Nest::Array), Just(Nest::Object)];
    let depth = prop_oneof![4 => 60..70_u16, 2 => 1..200_u16, 1 => 9_990..10_010_u16];
    let string = bytes_regex(r#""([a-z1-]|\\u[dD][89a-fA-F]|\\u00[0-9a-f]{2}|\\[nru/\\"]){0,4}""#);
    prop_oneof![
        40 => select(pools::VALUES).prop_map(|text| Value::Json(text.to_vec())),
        6 => string.unwrap().prop_map(Value::Json),
        4 => number(),
        2 => (depth, nest).prop_map(|(depth, nest)| Value::Deep(depth, nest)),
        1 => (11_000..13_000_u16).prop_map(Value::Long),
    ]
}

fn date() -> impl Strategy<Value = Value> {
    let offset = prop_oneof![
        4 => -2..3_i64,
        2 => select(&[-3600, 3600, 86_400][..]),
        1 => -2_000_000_000..2_000_000_000_i64,
    ];
    prop_oneof![
        6 => (offset, select(&DateForm::ALL[..])).prop_map(|(offset, form)| Value::Date(offset, form)),
        6 => select(pools::DATES).prop_map(|text| Value::Json(text.to_vec())),
        2 => number(),
    ]
}

fn number() -> impl Strategy<Value = Value> {
    let good = bytes_regex(r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,12})?([eE][+-]?[0-9]{1,3})?");
    let bad = bytes_regex(r"[-+.eE0-9]{1,7}");
    let quoted = |text: Vec<u8>| [b"\"", text.as_slice(), b"\""].concat();
    let number = prop_oneof![3 => good.unwrap(), 1 => bad.unwrap()];
    (number, any::<bool>())
        .prop_map(move |(text, is_quoted)| if is_quoted { quoted(text) } else { text })
        .prop_map(Value::Json)
}

fn text(pieces: &'static [&'static [u8]]) -> impl Strategy<Value = TextEdit> {
    prop_oneof![
        4 => (any::<u16>(), select(pieces)).prop_map(|(at, piece)| TextEdit::Insert(at, piece)),
        3 => (any::<u16>(), select(pieces)).prop_map(|(at, piece)| TextEdit::Replace(at, piece)),
        2 => any::<u16>().prop_map(TextEdit::Delete),
        1 => any::<u16>().prop_map(TextEdit::Truncate),
        1 => select(pieces).prop_map(TextEdit::Prepend),
        2 => select(pieces).prop_map(TextEdit::Append),
        1 => any::<u8>().prop_map(TextEdit::DropPiece),
        1 => any::<u8>().prop_map(TextEdit::RepeatPiece),
    ]
}

fn base64() -> impl Strategy<Value = Base64Edit> {
    prop_oneof![
        6 => text(pools::TOKEN_PIECES).prop_map(Base64Edit::Text),
        1 => Just(Base64Edit::StandardAlphabet),
        3 => (1..16_u8).prop_map(Base64Edit::SpareBits),
        1 => Just(Base64Edit::Empty),
    ]
}

fn signature() -> impl Strategy<Value = SignatureEdit> {
    prop_oneof![
        4 => any::<u16>().prop_map(SignatureEdit::FlipBit),
        1 => Just(SignatureEdit::PrependZero),
        1 => Just(SignatureEdit::AppendZero),
        1 => Just(SignatureEdit::DropFirst),
        1 => Just(SignatureEdit::DropLast),
        1 => Just(SignatureEdit::Zeroed),
        1 => Just(SignatureEdit::Empty),
        2 => Just(SignatureEdit::PlusModulus),
    ]
}
