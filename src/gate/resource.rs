//! The resource that a proxy brings along: `dataplane.resource` in its node, or `dataplaneResource` in its
//! bootstrap request.
//!
//! In: JSON text. Out: its type, mesh and name, and what a token can be bound to. Whether a token is, is
//! not compared here.
//!
//! Kuma reads the text as YAML, then as JSON into Go structs, then as the JSON of a protobuf message, and
//! each of the three has its own idea of a name that is there twice or in other letters. The control plane
//! judges by what it reads, so the gate takes only what can be read in one way: JSON that means the same as
//! YAML, with every member that matters there once, in its plain spelling. What kuma-dp writes is.
//!
//! Whether the resource is valid is not checked. Kuma passes over one that is not, and judges the one of this
//! mesh and name in its store.

use std::borrow::Cow;

use crate::credential::{NodeIdentity, ProxyType, Resource};
use crate::go_json::{fold_name, members, normalise, plain_string};

const WORKLOAD: &str = "kuma.io/workload";

/// Reads `json`: the proxy that it is of, with an empty mesh or name where there is none. `None` where it is no
/// resource that connects, or can be read in several ways.
pub(super) fn parse(json: &str) -> Option<NodeIdentity> {
    if !means_the_same_in_yaml(json) {
        return None;
    }
    let text = normalise(json.as_bytes()).ok()?;
    let object = Object::parse(&text)?;
    let string = |name| match object.get(name)? {
        None => Some(""),
        Some(value) => plain_string(value),
    };
    let proxy_type = ProxyType::from_resource_type(string("type")?)?;
    let resource = match proxy_type {
        ProxyType::Dataplane => {
            Resource { tags: dataplane_tags(&object)?, workload: workload(&object)? }
        }
        // Nothing that a zone token is bound to.
        ProxyType::Ingress | ProxyType::Egress => Resource::default(),
    };
    let (mesh, name) = (string("mesh")?.to_owned(), string("name")?.to_owned());
    Some(NodeIdentity { proxy_type, mesh, name, resource: Some(resource) })
}

/// The tags of `networking.inbound[]` and of `networking.gateway`.
fn dataplane_tags(dataplane: &Object<'_>) -> Option<Vec<(String, String)>> {
    let mut tags = Vec::new();
    let Some(networking) = dataplane.object("networking")? else { return Some(tags) };
    for inbound in networking.list("inbound")? {
        tags.extend(Object::parse(inbound)?.strings("tags")?);
    }
    if let Some(gateway) = networking.object("gateway")? {
        tags.extend(gateway.strings("tags")?);
    }
    Some(tags)
}

#[allow(clippy::option_option)] // ambiguous, not there, there
fn workload(dataplane: &Object<'_>) -> Option<Option<String>> {
    let mut labels = dataplane.strings("labels")?.into_iter();
    Some(labels.find(|(name, _)| name == WORKLOAD).map(|(_, value)| value))
}

/// The members of a JSON object.
struct Object<'a>(Vec<(Cow<'a, str>, &'a str)>);

impl<'a> Object<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let all: Vec<_> =
            members(text).ok()?.into_iter().map(|(name, value)| (name, value.get())).collect();
        // A merge key of YAML.
        (!all.iter().any(|(name, _)| name == "<<")).then_some(Self(all))
    }

    /// The value of a member, which must not be there twice or in another spelling. `null` is not there.
    #[allow(clippy::option_option)] // ambiguous, not there, there
    fn get(&self, name: &str) -> Option<Option<&'a str>> {
        let mut same = self.0.iter().filter(|(other, _)| fold_name(other) == name);
        match (same.next(), same.next()) {
            (None, _) => Some(None),
            (Some((spelled, value)), None) if spelled == name => {
                Some(Some(*value).filter(|value| *value != "null"))
            }
            _ => None,
        }
    }

    #[allow(clippy::option_option)] // as above
    fn object(&self, name: &str) -> Option<Option<Self>> {
        match self.get(name)? {
            None => Some(None),
            Some(value) => Object::parse(value).map(Some),
        }
    }

    fn list(&self, name: &str) -> Option<Vec<&'a str>> {
        let Some(value) = self.get(name)? else { return Some(Vec::new()) };
        let list: Vec<&serde_json::value::RawValue> = serde_json::from_str(value).ok()?;
        Some(list.into_iter().map(serde_json::value::RawValue::get).collect())
    }

    /// A map from strings to strings, by its names.
    fn strings(&self, name: &str) -> Option<Vec<(String, String)>> {
        let Some(map) = self.object(name)? else { return Some(Vec::new()) };
        let owned = |(name, value): (Cow<'_, str>, &str)| {
            Some((name.into_owned(), plain_string(value)?.to_owned()))
        };
        let mut all = map.0.into_iter().map(owned).collect::<Option<Vec<_>>>()?;
        all.sort_unstable();
        let is_there_twice = all.windows(2).any(|two| matches!(two, [one, two] if one.0 == two.0));
        (!is_there_twice).then_some(all)
    }
}

/// How far the colon of a member may be from where its name begins (`simple_key_is_valid` in go-yaml's
/// `scannerc.go`).
const SIMPLE_KEY: usize = 1024;

/// Whether go-yaml reads JSON text as what it is. It refuses some characters and escapes, and takes
/// others for line breaks, which it folds together with the spaces around them.
fn means_the_same_in_yaml(json: &str) -> bool {
    // A tab is no indentation.
    if json.trim_start_matches([' ', '\n', '\r']).starts_with('\t') || json.contains(is_odd_in_yaml)
    {
        return false;
    }
    let mut runes = json.chars().enumerate();
    let mut name = None;
    while let Some((at, rune)) = runes.next() {
        match rune {
            '"' => {
                name = Some(at);
                if !skip_string(&mut runes) {
                    return false;
                }
            }
            '\n' | '\r' => name = None,
            ':' if name.is_none_or(|name| at.saturating_sub(name) > SIMPLE_KEY) => return false,
            _ => {}
        }
    }
    true
}

/// Not printable in YAML 1.1, or a line break.
fn is_odd_in_yaml(rune: char) -> bool {
    matches!(rune, '\u{7F}'..='\u{9F}' | '\u{2028}' | '\u{2029}' | '\u{FFFE}' | '\u{FFFF}')
}

/// Goes to the end of a string; `false` where it has an escape that YAML does not have.
fn skip_string(runes: &mut impl Iterator<Item = (usize, char)>) -> bool {
    let mut next = || runes.next().map(|(_, rune)| rune);
    while let Some(rune) = next() {
        match rune {
            '"' => return true,
            '\\' => match next() {
                Some('/') | None => return false,
                Some('u') => {
                    let is_surrogate = matches!(next(), Some('d' | 'D'))
                        && matches!(next(), Some('8'..='9' | 'a'..='f' | 'A'..='F'));
                    if is_surrogate {
                        return false;
                    }
                }
                Some(_) => {}
            },
            _ => {}
        }
    }
    false
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use super::*;

    #[test]
    fn the_resource_names_its_type_once_and_plainly() {
        for (json, wanted) in [
            (r#"{"type":"ZoneIngress","name":"a"}"#, Some(ProxyType::Ingress)),
            (r#"{"mesh":"default","type":"Dataplane"}"#, Some(ProxyType::Dataplane)),
            (r#" {"type" : "ZoneEgress" } "#, Some(ProxyType::Egress)),
            (r#"{"type":"ZoneEgress","Type":"ZoneIngress"}"#, None),
            (r#"{"type":"ZoneEgress","type":"ZoneEgress"}"#, None),
            (r#"{"type":"ZoneEgress","<<":{"type":"Dataplane"}}"#, None),
            (r#"{"type":"zoneegress"}"#, None),
            (r#"{"type":"\u005aoneEgress"}"#, None),
            (r#"{"type":null}"#, None),
            ("{}", None),
            ("null", None),
            ("type: ZoneEgress", None),
            (r#"[{"type":"ZoneEgress"}]"#, None),
        ] {
            let read = parse(json).map(|parsed| parsed.proxy_type);
            assert_eq!(read, wanted, "{json}");
        }
    }

    #[test]
    fn what_yaml_reads_as_something_else_is_refused() {
        let long = |length| format!(r#"{{"type":"ZoneEgress","{}":1}}"#, "a".repeat(length));
        for (json, is_read) in [
            (r#"{"type":"ZoneEgress","a":"\b\t\n\f\r\"\\\u00e9\ud7ff"}"#, true),
            (r#"{"type":"ZoneEgress","a":"\ue000 \\/ \\ud800"}"#, true),
            (r#"{"type":"ZoneEgress","a":"\/"}"#, false),
            (r#"{"type":"ZoneEgress","\/":"a"}"#, false),
            (r#"{"type":"ZoneEgress","a":"\ud83d\ude00"}"#, false),
            (r#"{"type":"ZoneEgress","a":"\uDFFF"}"#, false),
            ("{\"type\":\"ZoneEgress\",\"a\":\"é\u{A0}\u{FEFF}\u{FFFD}\u{1F600}\"}", true),
            ("{\"type\":\"ZoneEgress\",\"a\":\"\u{7F}\"}", false),
            ("{\"type\":\"ZoneEgress\",\"a\":\"\u{85}\"}", false),
            ("{\"type\":\"ZoneEgress\",\"a\":\"\u{9F}\"}", false),
            ("{\"type\":\"ZoneEgress\",\"a\":\"\u{2028}\"}", false),
            ("{\"type\":\"ZoneEgress\",\"a\":\"\u{2029}\"}", false),
            ("{\"type\":\"ZoneEgress\",\"a\":\"\u{FFFE}\"}", false),
            ("{\"type\" \t:\n\t\"ZoneEgress\"\r\n}", true),
            ("{\"type\"\n:\"ZoneEgress\"}", false),
            ("{\"type\"\r:\"ZoneEgress\"}", false),
            (" \n{\"type\":\"ZoneEgress\"}", true),
            ("\n\t{\"type\":\"ZoneEgress\"}", false),
            (&long(1022), true),
            (&long(1023), false),
        ] {
            assert_eq!(parse(json).is_some(), is_read, "{json}");
        }
    }

    #[test]
    fn tags_are_those_of_all_inbounds_and_of_the_gateway() {
        let json = r#"{"type":"Dataplane","mesh":"m","name":"n","labels":{"kuma.io/workload":"w"},
            "networking":{"inbound":[{"tags":{"a":"1","b":"2"}},{"port":1},{"tags":{"a":"3"}}],
            "gateway":{"tags":{"c":"4"}}}}"#;
        let parsed = parse(json).unwrap();
        let resource = parsed.resource.unwrap();
        let tags: Vec<String> =
            resource.tags.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(tags, ["a=1", "b=2", "a=3", "c=4"]);
        assert_eq!(resource.workload.as_deref(), Some("w"));
        assert_eq!((parsed.mesh.as_str(), parsed.name.as_str()), ("m", "n"));
    }

    #[test]
    fn what_can_be_read_in_several_ways_is_refused() {
        for members in [
            r#""name":"a","name":"a""#,
            r#""name":"a","Name":"b""#,
            r#""name":1"#,
            r#""name":"\u0061""#,
            r#""mesh":["default"]"#,
            r#""networking":{"inbound":{}}"#,
            r#""networking":{"inbound":[]},"Networking":{}"#,
            r#""networking":{"inbound":[{"tags":{"a":"1","a":"1"}}]}"#,
            r#""networking":{"inbound":[{"tags":{"a":"1"},"tags":{}}]}"#,
            r#""networking":{"inbound":[{"tags":{"a":1}}]}"#,
            r#""networking":{"inbound":[{"tags":{"a":null}}]}"#,
            r#""networking":{"inbound":[{"tags":{"\ud800":"1"}}]}"#,
            r#""networking":{"inbound":[{"tags":{"a":"\u0031"}}]}"#,
            r#""networking":{"inbound":[null]}"#,
            r#""networking":{"gateway":{"tags":{"<<":"1"}}}"#,
            r#""labels":{"kuma.io/workload":{}}"#,
        ] {
            let json = format!(r#"{{"type":"Dataplane",{members}}}"#);
            let read = parse(&json);
            // An inbound of `null` has no tags.
            assert_eq!(read.is_none(), !members.contains("[null]"), "{json}");
        }
    }
}
