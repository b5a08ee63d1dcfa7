//! How recipes are drawn: mostly few edits, seldom many, so that one edit does not hide another.

use proptest::prelude::*;
use proptest::sample::select;

use super::draft::{Edit, Part, RING_COUNT, Recipe, Shape, StoredEdit};
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

/// Deeper than the gate allows.
const DEEP: &str = "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]";

const NAMES: &[&str] = &[
    "web",
    "api",
    "dp-1",
    "dp-2",
    "DP-1",
    "dp.1",
    "on",
    "1",
    "null",
    "~",
    "a b",
    "",
    " ",
    "*",
    "a,b",
    "a/b",
    "a\u{85}b",
    "a\u{2028}b",
    "a \u{2028} b",
    "a\u{7f}b",
    "a\u{9f}b",
    "a\u{feff}b",
    "a\u{a0}b",
    "\u{1F600}",
    "a\u{0}b",
    "a\nb",
    "a\tb",
    "a\"b",
    "a\\b",
    "<<",
    "é",
    "ß",
    "kuma.io/service",
    "-",
    "a:",
    "&a",
    "#",
    "a\u{fffd}b",
];

const MESHES: &[&str] = &["default", "other", "Default", "", "a.b", "default ", "a\u{85}b", "1"];

const NODE_IDS: &[&str] = &[
    "",
    "default.dp-1",
    "default.dp-2",
    "other.dp-1",
    ".dp-1",
    "dp-1",
    "default.",
    "default",
    "default.dp-1.x",
    "Default.dp-1",
    "default.dp-1 ",
    ".",
    "default.web",
];

const PROXY_TYPES: &[&str] =
    &["", "dataplane", "ingress", "egress", "gateway", "Dataplane", "dataplane ", "zoneegress"];

const STORED: &[StoredEdit] =
    &[StoredEdit::Nothing, StoredEdit::Good, StoredEdit::OtherTags, StoredEdit::OtherWorkload];

const REVOCATIONS: &[&str] =
    &["id1", "id2", "id1,id2", "id2, id1", "id2\n", "", ",", "ID1", "id1\n", " id1"];

const SPACES: &[&str] = &[" ", "  ", "\n", "\t", "\r\n", "\n\t", " \n "];

const CLAIM_NAMES: &[&str] = &[
    r#""Name""#,
    r#""name""#,
    r#""NAME""#,
    r#""Mesh""#,
    "\"me\u{17f}h\"",
    r#""Tags""#,
    r#""TAGS""#,
    r#""Workload""#,
    "\"wor\u{212a}load\"",
    r#""Type""#,
    r#""exp""#,
    r#""jti""#,
    r#""x""#,
    r#""kuma.io/service""#,
    r#""version""#,
    r#""Scope""#,
    r#""Zone""#,
];

const CLAIM_VALUES: &[&str] = &[
    "null",
    "1",
    "true",
    "{}",
    "[]",
    r#""""#,
    r#""dp-1""#,
    r#""dp-2""#,
    r#""default""#,
    r#""other""#,
    r#""backend""#,
    r#""web""#,
    r#"["web"]"#,
    r#"["api"]"#,
    r#"["api","web"]"#,
    r#"["web",null]"#,
    "[null]",
    "[1]",
    r#"{"kuma.io/service":["web"]}"#,
    r#"{"kuma.io/service":[]}"#,
    r#"{"kuma.io/service":null}"#,
    r#"{"kuma.io/service":"web"}"#,
    r#"{"kuma.io/service":[null]}"#,
    r#"{"kuma.io/service":["api"],"kuma.io/service":["web"]}"#,
    r#"{"team":["a"]}"#,
    r#"{"team":[]}"#,
    r#"{"version":["1","2"]}"#,
    r#""d\u0070-1""#,
    r#""dp-1\ud800""#,
    r#"{"kuma.io\/service":["web"]}"#,
    r#"{"\ud800":["web"]}"#,
    "1800003600",
    "1799999999",
];

const MEMBER_NAMES: &[&str] = &[
    r#""type""#,
    r#""mesh""#,
    r#""name""#,
    r#""labels""#,
    r#""networking""#,
    r#""inbound""#,
    r#""gateway""#,
    r#""tags""#,
    r#""outbound""#,
    r#""x""#,
    r#""kuma.io/service""#,
    r#""kuma.io/workload""#,
    r#""version""#,
    r#""<<""#,
    "\"me\u{17f}h\"",
    r#""Tags""#,
    r#""NAME""#,
    r#""spec""#,
    r#""kuma.io\/service""#,
    r#""a""#,
    r#""state""#,
    r#""listeners""#,
    r#""creationTime""#,
    r#""port""#,
    "\"x\u{85}y\"",
];

const VALUES: &[&str] = &[
    "null",
    "1",
    "true",
    "{}",
    "[]",
    "[{}]",
    "[null]",
    r#""""#,
    r#""dp-1""#,
    r#""dp-2""#,
    r#""default""#,
    r#""other""#,
    r#""web""#,
    r#""api""#,
    r#""backend""#,
    r#""w\u0065b""#,
    r#""a\/b""#,
    r#""\ud83d\ude00""#,
    r#""\ud800""#,
    "\"we\u{85}b\"",
    "\"web\u{85}\"",
    "\" web\"",
    "\"web\u{2028}\"",
    "\"web \u{2028}\"",
    "\"w\u{7f}\"",
    r#""Dataplane""#,
    r#""ZoneIngress""#,
    r#"{"kuma.io/service":"web"}"#,
    r#"{"kuma.io/service":"api"}"#,
    r#"{"kuma.io/service":"web","version":"1"}"#,
    r#"{"tags":{"kuma.io/service":"web"}}"#,
    r#"{"tags":{"kuma.io/service":"api"}}"#,
    r#"[{"port":8082,"tags":{"kuma.io/service":"web"}}]"#,
    r#"[{"port":8082,"tags":{"kuma.io/service":"api"}}]"#,
    r#"{"kuma.io/workload":"backend"}"#,
    r#"{"kuma.io/workload":"frontend"}"#,
    r#"{"kuma.io/workload":""}"#,
    r#"{"kuma.io/workload":null}"#,
    r#"{"kuma.io/service":null}"#,
    r#"{"kuma.io/service":1}"#,
    r#"{"address":"127.0.0.1","inbound":[{"port":80,"tags":{"kuma.io/service":"api"}}]}"#,
    r#"{"address":"127.0.0.1","inbound":[{"port":80,"tags":{"kuma.io/service":"web"}}]}"#,
    r#""NotReady""#,
    r#""Ignored""#,
    "0",
    "70000",
    "1e3",
    "1E400",
    "-1",
    "0x50",
    "~",
    "web",
    "'web'",
    "!!str web",
    "*a",
    "&a web",
];

const TEXTS: &[&str] = &[
    "",
    "null",
    "[]",
    "{}",
    "Dataplane",
    "type: Dataplane\nmesh: default\nname: dp-1\nnetworking:\n  address: 127.0.0.1\n  inbound:\n  - port: 80\n    tags: {kuma.io/service: web}\n",
    "type: Dataplane\nmesh: default\nname: dp-1\nnetworking:\n  address: 127.0.0.1\n  inbound:\n  - port: 80\n    tags: {kuma.io/service: api}\n",
    "{\"type\":\"Dataplane\",\"mesh\":\"default\",\"name\":\"dp-1\",\"networking\":{\"address\":\"127.0.0.1\",\"inbound\":[{\"port\":80,\"tags\":{\"kuma.io/service\":\"web\"}}]}}\n---\n{\"type\":\"Dataplane\"}",
];

const PIECES: &[&[u8]] = &[
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b" ",
    b"\t",
    b"\n",
    b"\r",
    b"\0",
    b"#",
    b"&a ",
    b"*a",
    b"'",
    b"- ",
    b"\\/",
    b"\\u0085",
    b"\\ud800",
    b"\\ud83d\\ude00",
    b"\\x41",
    b"\xc2\x85",
    b"\xe2\x80\xa8",
    b"\xe2\x80\xa9",
    b"\x7f",
    b"\xc2\x9f",
    b"\xef\xbb\xbf",
    b"\xef\xbf\xbe",
    b"\xf0\x9f\x98\x80",
    b"\xff",
    b"<<",
    b"\"<<\":",
    b"null",
    b"1",
    b"\n---\n",
    b"\n...\n",
    b"%YAML 1.2\n---\n",
    b"!!str ",
    b"? ",
    b"|\n",
    b"\\",
    b"\\\n",
    b"\x0c",
    b"\x0b",
    b"\xc2\xa0",
];
