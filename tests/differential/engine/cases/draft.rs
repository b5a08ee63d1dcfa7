//! A draft of a token: a good token in parts, which edits change.
//!
//! In: keys and the time. Out: a [`Case`], signed after all edits.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::Case;
use super::edit::{Base64Edit, SignatureEdit, TextEdit};
use super::keys::{self, Ring, Scheme};
use super::pools::Value;

/// A draft of a token, and its surroundings.
pub(super) struct Draft {
    pub(super) ring: &'static Ring,
    pub(super) now: Duration,
    pub(super) header: Part,
    pub(super) claims: Part,
    pub(super) signer: &'static str,
    pub(super) scheme: Scheme,
    pub(super) signature: Vec<SignatureEdit>,
    pub(super) signature_text: Vec<Base64Edit>,
    pub(super) token: Vec<TextEdit>,
    pub(super) headers: Headers,
    pub(super) revocations: String,
    pub(super) zone: String,
}

/// A JSON object that becomes a segment.
#[derive(Default)]
pub(super) struct Part {
    /// JSON text of names and values.
    pub(super) members: Vec<(Vec<u8>, Value)>,
    /// White space between the tokens of the JSON.
    pub(super) space: &'static str,
    /// Edits of the JSON text.
    pub(super) json: Vec<TextEdit>,
    /// Edits of its base64.
    pub(super) base64: Vec<Base64Edit>,
}

/// How often the header `authorization` occurs.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Headers {
    None,
    One,
    Two,
    EmptyFirst,
}

/// The zone of a good token.
pub(super) const ZONE: &str = "zone-1";

impl Draft {
    pub(super) fn good(ring: &'static Ring, now: Duration) -> Self {
        let (kid, signer) = ring.keys[ring.good];
        let text = |text: &str| Value::Json(serde_json::to_vec(text).unwrap());
        let json = |text: &str| Value::Json(text.as_bytes().to_vec());
        let member = |name: &str, value| (serde_json::to_vec(name).unwrap(), value);
        let header = vec![
            member("alg", json(r#""RS256""#)),
            member("kid", text(kid)),
            member("typ", json(r#""JWT""#)),
        ];
        let claims = vec![
            member("Zone", text(ZONE)),
            member("Scope", json(r#"["ingress","egress"]"#)),
            member("exp", Value::date(3600)),
            member("nbf", Value::date(-5)),
            member("iat", Value::date(-5)),
            member("jti", json(r#""id1""#)),
        ];
        Self {
            ring,
            now,
            header: Part { members: header, ..Part::default() },
            claims: Part { members: claims, ..Part::default() },
            signer,
            scheme: Scheme::Sha256,
            signature: Vec::new(),
            signature_text: Vec::new(),
            token: Vec::new(),
            headers: Headers::One,
            revocations: String::new(),
            zone: ZONE.to_owned(),
        }
    }

    pub(super) fn finish(self, proxy: &'static str, require_expiration: bool) -> Case {
        let token = self.token();
        let authorization = match self.headers {
            Headers::None => Vec::new(),
            Headers::One => vec![token],
            Headers::Two => vec![token.clone(), token],
            Headers::EmptyFirst => vec![String::new(), token],
        };
        let Self { ring, now, revocations, zone, .. } = self;
        Case { authorization, ring, revocations, now, proxy, zone, require_expiration }
    }

    fn token(&self) -> String {
        let mut text = self.header.segment(self.now);
        text.push(b'.');
        text.extend(self.claims.segment(self.now));
        let mut signature = keys::sign(self.signer, self.scheme, &text);
        for edit in &self.signature {
            edit.apply(&mut signature, self.signer);
        }
        text.push(b'.');
        text.extend(encoded(&signature, &self.signature_text));
        for edit in &self.token {
            edit.apply(&mut text);
        }
        String::from_utf8_lossy(&text).into_owned()
    }
}

impl Part {
    fn segment(&self, now: Duration) -> Vec<u8> {
        let mut json = vec![b'{'];
        for (index, (name, value)) in self.members.iter().enumerate() {
            if index > 0 {
                json.extend(self.space.bytes().chain([b',']));
            }
            json.extend(self.space.bytes());
            json.extend(name);
            json.extend(self.space.bytes().chain([b':']).chain(self.space.bytes()));
            json.extend(value.json(now));
        }
        json.extend(self.space.bytes().chain([b'}']));
        for edit in &self.json {
            edit.apply(&mut json);
        }
        encoded(&json, &self.base64)
    }
}

fn encoded(bytes: &[u8], edits: &[Base64Edit]) -> Vec<u8> {
    let mut text = URL_SAFE_NO_PAD.encode(bytes).into_bytes();
    for edit in edits {
        edit.apply(&mut text);
    }
    text
}
