//! A draft of the opening of a stream: a good one, and edits that change one thing each.
//!
//! In: a shape and edits. Out: a [`Stream`], its token signed after all edits.

use serde_json::json;

use super::shape::Shape;
use super::tree::{Tree, TreeEdit, raw};
use crate::dataplane_stream::Stream;
use crate::engine::cases::{TextEdit, signed};

/// One change.
#[derive(Debug, Clone)]
pub(super) enum Edit {
    /// The name in token, resource and node id.
    Name(&'static str),
    /// The mesh in token, resource, node id and keys.
    Mesh(&'static str),
    /// The value of a tag in token and resource.
    Service(&'static str),
    Tree(Part, TreeEdit),
    Text(Part, TextEdit),
    Space(Part, &'static str),
    NodeId(&'static str),
    ProxyType(&'static str),
    Resource(Option<&'static str>),
    Stored(StoredEdit),
    Ring(usize),
    Signer(&'static str),
    Kid(&'static str),
    Algorithm(&'static str),
    Revocations(&'static str, &'static str),
    WorkloadIdentity,
    Authorization(usize),
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Part {
    Claims,
    Resource,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum StoredEdit {
    Nothing,
    /// The same proxy, which counts if the message has no usable resource.
    Good,
    OtherTags,
    OtherWorkload,
}

/// Keys: (mesh, kid, name); `MESH` is the mesh of the good proxy. The last string of a ring names the key that signs.
type Triples = &'static [[&'static str; 3]];
const RINGS: &[(Triples, Triples, &str)] = &[
    (&[["MESH", "1", "a"]], &[], "a"),
    (&[["", "1", "a"]], &[], "a"),
    (&[["MESH", "1", "a"], ["other", "1", "b"]], &[], "a"),
    (&[["other", "1", "a"], ["MESH", "1", "b"]], &[], "b"),
    (&[["", "1", "b"], ["MESH", "1", "a"]], &[], "b"),
    (&[["", "1", "b"], ["MESH", "1", "a"]], &[], "a"),
    (&[["", "2", "b"], ["MESH", "1", "a"]], &[], "a"),
    (&[["other", "1", "a"]], &[], "a"),
    (&[["other", "1", "a"], ["MESH", "1", "a"]], &[], "a"),
    (&[], &[["MESH", "1", "a"], ["other", "1", "b"]], "a"),
    (&[["", "1", "b"]], &[["MESH", "1", "a"]], "a"),
    (&[["MESH", "1", "a"], ["MESH", "1", "b"]], &[], "b"),
];
pub(super) const RING_COUNT: usize = RINGS.len();

pub(super) const ZONE: &str = "zone-1";

/// The drawn part of a case.
#[derive(Debug, Clone)]
pub(super) struct Recipe {
    pub(super) shape: Shape,
    pub(super) require_expiration: bool,
    pub(super) edits: Vec<Edit>,
}

struct Draft {
    claims: Tree,
    resource: Tree,
    spaces: [&'static str; 2],
    texts: Vec<(Part, TextEdit)>,
    stream: Stream,
    kid: &'static str,
    algorithm: &'static str,
    signer: &'static str,
    tokens: usize,
    has_resource: bool,
}

impl Recipe {
    pub(super) fn stream(&self) -> Stream {
        let pick = |wanted: fn(&Edit) -> Option<&'static str>, usual| {
            self.edits.iter().rev().find_map(wanted).unwrap_or(usual)
        };
        let name = pick(|edit| if let Edit::Name(name) = edit { Some(name) } else { None }, "dp-1");
        let mesh =
            pick(|edit| if let Edit::Mesh(mesh) = edit { Some(mesh) } else { None }, "default");
        let service =
            pick(|edit| if let Edit::Service(value) = edit { Some(value) } else { None }, "web");
        let ring = self.edits.iter().rev().find_map(|edit| match edit {
            Edit::Ring(ring) => Some(*ring),
            _ => None,
        });
        let mut draft = Draft::good(self.shape, name, mesh, service, ring.unwrap_or(0));
        for edit in &self.edits {
            draft.change(edit);
        }
        draft.finish()
    }
}

impl Draft {
    fn good(shape: Shape, name: &str, mesh: &str, service: &str, ring: usize) -> Self {
        let (keys, secrets, signer) = RINGS[ring];
        let triples = |all: Triples| -> Vec<[String; 3]> {
            let text = |text: &str| match text {
                "MESH" => mesh.to_owned(),
                "other" if mesh == "other" => "another".to_owned(),
                other => other.to_owned(),
            };
            all.iter().map(|triple| triple.map(text)).collect()
        };
        let claims = shape.claims(name, mesh, service);
        let resource = shape.resource(name, mesh, service);
        let is_zone = matches!(shape, Shape::ZoneIngress | Shape::ZoneEgress);
        let is_stored = matches!(shape, Shape::Stored | Shape::Hds);
        let is_valid = can_be_stored(name, mesh) && service.bytes().all(|b| b.is_ascii_lowercase());
        let is_there = is_stored && is_valid && !service.is_empty();
        let stream = Stream {
            service: if matches!(shape, Shape::Hds) { "hds" } else { "" }.to_owned(),
            node_id: format!("{}.{name}", if is_zone { "" } else { mesh }),
            proxy_type: shape.proxy_type().to_owned(),
            stored: if is_there { vec![resource.text("")] } else { Vec::new() },
            keys: triples(keys),
            secrets: triples(secrets),
            zone: ZONE.to_owned(),
            zone_keys: if is_zone { vec![["1".to_owned(), "c".to_owned()]] } else { Vec::new() },
            now: (1_800_000_000, 500_000_000),
            ..Stream::default()
        };
        Self {
            claims,
            resource,
            spaces: ["", ""],
            texts: Vec::new(),
            stream,
            kid: "1",
            algorithm: "RS256",
            signer: if is_zone { "c" } else { signer },
            tokens: 1,
            has_resource: !is_stored,
        }
    }

    fn change(&mut self, edit: &Edit) {
        match edit {
            // Already part of the good stream.
            Edit::Name(_) | Edit::Mesh(_) | Edit::Service(_) | Edit::Ring(_) => {}
            Edit::Tree(Part::Claims, edit) => edit.apply(&mut self.claims),
            Edit::Tree(Part::Resource, edit) => edit.apply(&mut self.resource),
            Edit::Text(part, edit) => self.texts.push((*part, edit.clone())),
            Edit::Space(part, space) => self.spaces[*part as usize] = space,
            Edit::NodeId(id) => (*id).clone_into(&mut self.stream.node_id),
            Edit::ProxyType(name) => (*name).clone_into(&mut self.stream.proxy_type),
            Edit::Resource(None) => self.has_resource = false,
            Edit::Resource(Some(text)) => self.resource = raw(text),
            Edit::Stored(edit) => self.store(*edit),
            Edit::Signer(name) => self.signer = name,
            Edit::Kid(kid) => self.kid = kid,
            Edit::Algorithm(name) => self.algorithm = name,
            Edit::Revocations(mesh, ids) => {
                self.stream.revocations.insert((*mesh).to_owned(), (*ids).to_owned());
            }
            Edit::WorkloadIdentity => self.stream.workload_identity = true,
            Edit::Authorization(count) => self.tokens = *count,
        }
    }

    /// Stores the proxy that the node id names.
    fn store(&mut self, edit: StoredEdit) {
        let Some((mesh, name)) = self.stream.node_id.split_once('.') else { return };
        if !can_be_stored(name, mesh) {
            return;
        }
        let proxy = |service: &str, workload: &str| {
            let labels = json!({ "kuma.io/workload": workload });
            json!({
                "type": "Dataplane", "mesh": mesh, "name": name, "labels": labels,
                "networking": { "address": "127.0.0.1",
                    "inbound": [{ "port": 8080, "tags": { "kuma.io/service": service } }] },
            })
            .to_string()
        };
        self.stream.stored = match edit {
            StoredEdit::Nothing => Vec::new(),
            StoredEdit::Good => vec![proxy("web", "backend")],
            StoredEdit::OtherTags => vec![proxy("api", "backend")],
            StoredEdit::OtherWorkload => vec![proxy("web", "frontend")],
        };
    }

    fn finish(self) -> Stream {
        let Self { claims, resource, spaces, texts, mut stream, .. } = self;
        let edited = |part: Part, tree: &Tree| {
            let mut text = tree.text(spaces[part as usize]).into_bytes();
            for (_, edit) in texts.iter().filter(|(other, _)| *other as usize == part as usize) {
                edit.apply(&mut text);
            }
            text
        };
        let header = json!({ "alg": self.algorithm, "kid": self.kid, "typ": "JWT" }).to_string();
        let token = signed(self.signer, header.as_bytes(), &edited(Part::Claims, &claims));
        stream.authorization = vec![token; self.tokens];
        let resource = edited(Part::Resource, &resource);
        stream.resource =
            self.has_resource.then(|| String::from_utf8_lossy(&resource).into_owned());
        stream
    }
}

/// The condition allows more than Kuma would store, but only what Kuma can read.
fn can_be_stored(name: &str, mesh: &str) -> bool {
    let is_plain = |text: &str| text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    is_plain(name) && is_plain(mesh)
}
