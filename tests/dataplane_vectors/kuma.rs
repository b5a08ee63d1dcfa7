//! Kuma's answer to the opening of a stream, and the parts of it that no gate can know.
//!
//! In: an answer of `tests/kuma`. Out: the reason in the gate's words; the [`Excuse`] if the gate allows a stream that
//! Kuma refuses.

use serde::Deserialize;
use zonegate::gate::Reason;

/// An answer of `tests/kuma` (`tests/kuma/dataplane.go`).
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Answer {
    pub(crate) accept: bool,
    pub(crate) error: String,
    pub(crate) step: String,
    pub(crate) proxy: Option<Seen>,
    pub(crate) unused: String,
}

/// The proxy as Kuma identifies it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Seen {
    pub(crate) from: String,
}

/// Why the gate may allow a stream that the control plane refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Excuse {
    /// The proxy sends no resource: only the control plane's store knows its tags and its workload.
    Store,
    /// The proxy sends a resource that is not valid, or in which a member that the gate does not read has a value of a
    /// wrong type. The control plane then ignores the resource.
    NotValid,
    /// A MeshIdentity derives the proxy's identity from its workload.
    MeshIdentity,
}

impl Excuse {
    /// The text in the table of `docs/checks.md`.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Store => {
                "a dataplane that brings no resource, as in health discovery and on Kubernetes"
            }
            Self::NotValid => "a resource that Kuma does not take for valid",
            Self::MeshIdentity => {
                "a token without a workload, where a MeshIdentity makes the proxy's identity of its workload"
            }
        }
    }

    pub(crate) const ALL: [Self; 3] = [Self::Store, Self::NotValid, Self::MeshIdentity];
}

impl Answer {
    /// The reason for Kuma's error text; `None` means that Kuma allows the stream.
    pub(crate) fn reason(&self) -> Option<Reason> {
        const WORDS: &[(&str, Reason)] = &[
            ("request must have exactly 1", Reason::MultipleTokens),
            ("invalid number of segments", Reason::MalformedToken),
            ("could not base64 decode", Reason::MalformedToken),
            ("could not JSON decode header", Reason::MalformedToken),
            ("could not JSON decode claim", Reason::MalformedClaims),
            ("signing method (alg) is un", Reason::UnsupportedAlgorithm),
            ("unsupported token alg", Reason::UnsupportedAlgorithm),
            ("not supported", Reason::UnsupportedAlgorithm),
            ("JWT token must have kid header", Reason::MissingKid),
            ("kid header must be a string", Reason::MalformedToken),
            ("there is no signing key with KID", Reason::UnknownKid),
            ("crypto/rsa: verification error", Reason::InvalidSignature),
            ("'valid_from' date is in the future", Reason::NotYetValid),
            ("token is expired", Reason::Expired),
            ("token is revoked", Reason::Revoked),
            ("is out of token's scope", Reason::OutOfScope),
            ("zone from requestor", Reason::WrongZone),
            ("proxy name from requestor", Reason::WrongProxy),
            ("proxy mesh from requestor", Reason::WrongMesh),
            ("dataplane has no tag", Reason::WrongProxy),
            ("dataplane contains tag", Reason::WrongProxy),
            ("dataplane has no workload label", Reason::WrongProxy),
            ("dataplane workload", Reason::WrongProxy),
            ("derives its identity from", Reason::WrongProxy),
            ("unsupported proxy type", Reason::ProxyDenied),
            ("nil pointer dereference", Reason::ProxyDenied),
            ("not found", Reason::MalformedRequest),
            ("must have a valid Proxy I", Reason::MalformedRequest),
            ("does not match proxy resource", Reason::MalformedRequest),
            ("invalid node ID", Reason::MalformedRequest),
            ("could not register proxy", Reason::MalformedRequest),
        ];
        if self.accept {
            return None;
        }
        let reason = WORDS.iter().find(|(text, _)| self.error.contains(text));
        Some(reason.unwrap_or_else(|| panic!("{}", self.error)).1)
    }

    /// Whether Kuma's YAML reader refuses the text of the resource, or reads JSON differently.
    pub(crate) fn is_no_yaml(&self) -> bool {
        self.unused.contains("error converting YAML to JSON")
    }

    /// The excuse for a stream that the gate allows and Kuma refuses.
    pub(crate) fn excuse(&self) -> Option<Excuse> {
        let of_store = if self.unused.is_empty() { Excuse::Store } else { Excuse::NotValid };
        let is_of_store = self.proxy.as_ref().is_none_or(|proxy| proxy.from == "store");
        let has = |text| self.error.contains(text);
        match self.step.as_str() {
            _ if self.accept || self.is_no_yaml() => None,
            "resource" => has("not found").then_some(of_store),
            "proxy" if has("derives its identity from") => Some(Excuse::MeshIdentity),
            "proxy" if is_of_store && (has("tag") || has("workload")) => Some(of_store),
            _ => None,
        }
    }
}
