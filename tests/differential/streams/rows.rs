//! The rows of the table in `docs/checks.md` under which the gate refuses a stream that Kuma accepts, as predicates.
//!
//! In: a stream, Kuma's answer, the gate's reason. Out: the row. The resource is not read by the gate's own reader.

use zonegate::gate::Reason;

use crate::dataplane_kuma::Answer;
use crate::dataplane_stream::{Judged, Stream};
use crate::engine::facts::{Facts, Object};
use crate::engine::{MAX_DEPTH, Row, is_among_white_space, may_keep_an_element};

/// A row that the opening of a stream can fall under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum StreamRow {
    /// A row for tokens of any kind.
    Token(Row),
    /// The node has no id, a dataplane has no mesh, or resource and type disagree.
    Node,
    /// The resource can be read in several ways.
    NotPlain,
    /// The resource is not valid.
    NotValid,
}

impl StreamRow {
    pub(crate) const ALL: [Self; 8] = [
        Self::Token(Row::NoExpiration),
        Self::Token(Row::Keys),
        Self::Token(Row::WhiteSpace),
        Self::Token(Row::Bounds),
        Self::Token(Row::OverwrittenScope),
        Self::Node,
        Self::NotPlain,
        Self::NotValid,
    ];

    /// The text in the table.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Token(row) => row.text(),
            Self::Node => {
                "a first message whose node has no id, or no mesh where it is a dataplane, or whose \
                 `dataplane.resource` and `dataplane.proxyType` do not agree"
            }
            Self::NotPlain => {
                "a `dataplane.resource` that is no JSON, or that readers of JSON and YAML take for several \
                 things: a member twice or in other letters, an escape in a name, a tag or a label, a raw U+0085"
            }
            Self::NotValid => "a `dataplane.resource` that is not valid and does not fit the token",
        }
    }

    /// The row for a stream that Kuma accepts.
    pub(super) fn of(
        stream: &Stream,
        require_expiration: bool,
        answer: &Answer,
        judged: &Judged,
    ) -> Option<Self> {
        let reason = match judged {
            Judged::NotConfigured => {
                let pair = |key: &[String; 3]| [key[0].clone(), key[1].clone()];
                let mut pairs: Vec<_> = stream.keys.iter().map(pair).collect();
                pairs.sort();
                let is_twice = pairs.windows(2).any(|two| two[0] == two[1]);
                return is_twice.then_some(Self::Token(Row::Keys));
            }
            Judged::Denied(reason) => *reason,
            Judged::Allowed => return None,
        };
        let facts = Facts::of(&stream.authorization)?;
        let covers = |row: &Self| row.covers(stream, &facts, require_expiration, answer, reason);
        Self::ALL.into_iter().find(covers)
    }

    fn covers(
        self,
        stream: &Stream,
        facts: &Facts,
        require_expiration: bool,
        answer: &Answer,
        reason: Reason,
    ) -> bool {
        let claims = &facts.claims;
        let resource = stream.resource.as_deref().unwrap_or_default();
        match (self, reason) {
            (Self::Token(Row::NoExpiration), Reason::MissingExpiration) => {
                require_expiration && claims.all("exp").last().is_none_or(|exp| *exp == "null")
            }
            (Self::Token(Row::WhiteSpace), Reason::Revoked) => {
                let lists = stream.revocations.values().chain([&stream.zone_revocations]);
                lists.into_iter().any(|list| is_among_white_space(&claims.string("jti"), list))
            }
            (Self::Token(Row::Bounds), Reason::MalformedClaims) => claims.depth > MAX_DEPTH,
            (Self::Token(Row::Bounds), Reason::MalformedRequest) => depth(resource) > MAX_DEPTH,
            (Self::Token(Row::OverwrittenScope), Reason::OutOfScope) => {
                may_keep_an_element(claims, &stream.proxy_type)
            }
            (Self::Node, Reason::MalformedRequest) => {
                // Without a type, the resource decides.
                let is_zone_proxy = matches!(stream.proxy_type.as_str(), "ingress" | "egress");
                let has_no_mesh = !is_zone_proxy && stream.node_id.starts_with('.');
                stream.node_id.is_empty() || has_no_mesh || !agree(resource, &stream.proxy_type)
            }
            (Self::NotPlain, Reason::MalformedRequest) => !is_plain(resource),
            (Self::NotValid, Reason::MalformedRequest | Reason::WrongProxy) => {
                answer.proxy.as_ref().is_some_and(|proxy| proxy.from == "store")
                    && !answer.unused.is_empty()
            }
            _ => false,
        }
    }
}

fn depth(text: &str) -> usize {
    Object::of(text.as_bytes()).map_or(0, |object| object.depth)
}

fn agree(resource: &str, proxy_type: &str) -> bool {
    let Some(object) = Object::of(resource.as_bytes()) else { return true };
    match object.string("type").as_str() {
        "Dataplane" => matches!(proxy_type, "" | "dataplane"),
        "ZoneIngress" => proxy_type == "ingress",
        "ZoneEgress" => proxy_type == "egress",
        _ => true,
    }
}

/// The members that the gate reads, at any depth.
const READ: [&str; 8] =
    ["type", "mesh", "name", "labels", "networking", "inbound", "gateway", "tags"];

/// Whether the JSON has each relevant member once and in a form that YAML reads the same way.
fn is_plain(text: &str) -> bool {
    let is_odd = |rune| matches!(rune, '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}');
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
        && !text.contains(is_odd)
        && value_is_plain(text.trim(), false)
}

/// `is_map` means that the names are those of tags or labels.
fn value_is_plain(text: &str, is_map: bool) -> bool {
    let text = text.trim_ascii();
    if let Ok(list) = serde_json::from_str::<Vec<&serde_json::value::RawValue>>(text) {
        return list.iter().all(|value| value_is_plain(value.get(), is_map));
    }
    if !text.starts_with('{') {
        return true;
    }
    let Some(Object { members, .. }) = Object::of(text.as_bytes()) else { return false };
    let mut seen = Vec::new();
    members.iter().all(|(name, value)| {
        let folded = name.to_uppercase().to_lowercase();
        let matters = is_map || READ.contains(&folded.as_str());
        let is_there_twice = seen.contains(&folded) || is_map && seen.contains(name);
        seen.push(if is_map { name.clone() } else { folded.clone() });
        let is_spelled = is_map || *name == folded;
        let is_readable = !value.contains('\\') || value.starts_with(['{', '[']);
        // YAML reads a number that is too large for a number as a string.
        let is_there = !is_map || value.starts_with('"');
        // A name that is not UTF-8 does not count as a name.
        let is_text = !is_map || !name.contains(char::REPLACEMENT_CHARACTER);
        name != "<<"
            && is_text
            && (!matters || !is_there_twice && is_spelled && is_readable && is_there)
            && value_is_plain(value, matches!(name.as_str(), "tags" | "labels"))
    })
}
