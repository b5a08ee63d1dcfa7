//! How recipes are drawn: mostly few edits, seldom many, so that one edit does not hide another.

use proptest::prelude::*;
use proptest::sample::select;

use super::draft::{Edit, Part, RING_COUNT, Recipe};
use super::pools::*;
use super::shape::Shape;
use super::tree::{Spelling, TreeEdit};
use crate::engine::cases::TextEdit;

pub(super) fn recipes() -> BoxedStrategy<Recipe> {
    let count = prop_oneof![
        1 => Just(0..1_usize),
        30 => Just(1..2_usize),
        20 => Just(2..4_usize),
        4 => Just(4..8_usize),
    ];
    let edit = edit();
    let edits = count.prop_flat_map(move |count| prop::collection::vec(edit.clone(), count));
    (select(&Shape::ALL[..]), prop::bool::weighted(0.3), edits)
        .prop_map(|(shape, require_expiration, edits)| Recipe { shape, require_expiration, edits })
        .boxed()
}

fn edit() -> BoxedStrategy<Edit> {
    prop_oneof![
        3 => select(NAMES).prop_map(Edit::Name),
        3 => select(MESHES).prop_map(Edit::Mesh),
        4 => select(NAMES).prop_map(Edit::Service),
        14 => tree(CLAIM_NAMES, CLAIM_VALUES).prop_map(|edit| Edit::Tree(Part::Claims, edit)),
        26 => tree(MEMBER_NAMES, VALUES).prop_map(|edit| Edit::Tree(Part::Resource, edit)),
        2 => text().prop_map(|edit| Edit::Text(Part::Claims, edit)),
        12 => text().prop_map(|edit| Edit::Text(Part::Resource, edit)),
        1 => select(SPACES).prop_map(|space| Edit::Space(Part::Claims, space)),
        4 => select(SPACES).prop_map(|space| Edit::Space(Part::Resource, space)),
        4 => select(NODE_IDS).prop_map(Edit::NodeId),
        3 => select(PROXY_TYPES).prop_map(Edit::ProxyType),
        2 => Just(Edit::Resource(None)),
        2 => select(TEXTS).prop_map(|text| Edit::Resource(Some(text))),
        6 => select(STORED).prop_map(Edit::Stored),
        8 => (0..RING_COUNT).prop_map(Edit::Ring),
        2 => select(&["a", "b", "c"][..]).prop_map(Edit::Signer),
        1 => select(&["2", "", "01", "K"][..]).prop_map(Edit::Kid),
        1 => select(&["RS512", "HS256", "none", ""][..]).prop_map(Edit::Algorithm),
        4 => (select(MESHES), select(REVOCATIONS)).prop_map(|(mesh, ids)| Edit::Revocations(mesh, ids)),
        3 => Just(Edit::WorkloadIdentity),
        // Repeats the Scope of a zone token.
        2 => select(&["[null]", "[null,null]"][..])
            .prop_map(|list| Edit::Tree(Part::Claims, TreeEdit::Again(1, list))),
        2 => part().prop_map(|part| Edit::Tree(part, TreeEdit::Put(0, 0, r#""x""#, DEEP))),
        1 => select(&[0, 2][..]).prop_map(Edit::Authorization),
    ]
    .boxed()
}

fn tree(
    names: &'static [&'static str],
    values: &'static [&'static str],
) -> impl Strategy<Value = TreeEdit> {
    let at = any::<u8>;
    let spelling = || select(&Spelling::ALL[..]);
    prop_oneof![
        4 => (at(), at(), select(names), select(values))
            .prop_map(|(object, at, name, value)| TreeEdit::Put(object, at, name, value)),
        5 => (at(), select(values)).prop_map(|(at, value)| TreeEdit::Value(at, value)),
        2 => (at(), select(names)).prop_map(|(at, name)| TreeEdit::Name(at, name)),
        1 => at().prop_map(TreeEdit::Remove),
        1 => at().prop_map(TreeEdit::Repeat),
        2 => (at(), select(values)).prop_map(|(at, value)| TreeEdit::Again(at, value)),
        1 => (at(), spelling()).prop_map(|(at, form)| TreeEdit::Respell(at, form)),
        2 => (at(), spelling(), select(values))
            .prop_map(|(at, form, value)| TreeEdit::RespellAgain(at, form, value)),
    ]
}

fn text() -> impl Strategy<Value = TextEdit> {
    prop_oneof![
        5 => (any::<u16>(), select(PIECES)).prop_map(|(at, piece)| TextEdit::Insert(at, piece)),
        3 => (any::<u16>(), select(PIECES)).prop_map(|(at, piece)| TextEdit::Replace(at, piece)),
        2 => any::<u16>().prop_map(TextEdit::Delete),
        1 => any::<u16>().prop_map(TextEdit::Truncate),
        1 => select(PIECES).prop_map(TextEdit::Prepend),
        1 => select(PIECES).prop_map(TextEdit::Append),
    ]
}

fn part() -> impl Strategy<Value = Part> {
    prop_oneof![Just(Part::Claims), Just(Part::Resource)]
}
