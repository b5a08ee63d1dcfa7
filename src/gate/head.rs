//! The request headers that matter.
//!
//! In: what a host hands over, as bytes: nothing says that a header is UTF-8. Out: what they are when
//! they are there once. Whether they are good is not known here.

use memchr::memchr;

use super::{ClaimedNode, CredentialSource, Policy, Profile, Refusal, RequestError};

/// Who a connection says that it is. What is said is believed only along with a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// This proxy; `None` is one of a type that Kuma does not know.
    Proxy(Option<ClaimedNode>),
    /// Some proxy; which one was not said yet.
    SomeProxy,
    /// The control plane of this zone.
    ControlPlane(Box<[u8]>),
}

/// The request headers that matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head<'a> {
    /// `:method`.
    pub method: &'a [u8],
    /// `:path`, query included.
    pub path: &'a [u8],
    /// Each `content-type`.
    pub content_type: Vec<&'a [u8]>,
    /// Each `authorization`.
    pub authorization: Vec<&'a [u8]>,
    /// Each `client-id`: the zone that a zone control plane says it is.
    pub client_id: Vec<&'a [u8]>,
}

impl<'a> FromIterator<(&'a [u8], &'a [u8])> for Head<'a> {
    /// Takes the headers that matter out of all of them. Names are in lower case, as HTTP/2 has them.
    fn from_iter<T: IntoIterator<Item = (&'a [u8], &'a [u8])>>(headers: T) -> Self {
        let mut head = Self::default();
        for (name, value) in headers {
            match name {
                b":method" => head.method = value,
                b":path" => head.path = value,
                b"content-type" => head.content_type.push(value),
                b"authorization" => head.authorization.push(value),
                b"client-id" => head.client_id.push(value),
                _ => {}
            }
        }
        head
    }
}

const GRPC: &[u8] = b"application/grpc";

impl<'a> Head<'a> {
    /// Whether it is gRPC, to Envoy and to a control plane alike: only then does a gRPC answer reach
    /// the client as one.
    pub fn is_grpc(&self) -> bool {
        let is_grpc = |value: &&[u8]| {
            value.strip_prefix(GRPC).is_some_and(|rest| rest.is_empty() || rest == b"+proto")
        };
        matches!(self.content_type.as_slice(), [one] if is_grpc(one))
    }

    /// Whether a control plane would hand it to its gRPC server, by the mere mention (Kuma:
    /// `pkg/dp-server/server/server.go`).
    pub fn mentions_grpc(&self) -> bool {
        self.content_type.iter().any(|value| value.windows(GRPC.len()).any(|part| part == GRPC))
    }

    /// The one value of `authorization` (Kuma: `pkg/xds/auth/callbacks.go`). Envoy joins repeated
    /// headers with a comma, which no token contains.
    pub(super) fn credential(&self, place: CredentialSource) -> Result<&'a [u8], Refusal> {
        match self.authorization.as_slice() {
            [] => Err(Refusal::MissingToken(place)),
            [one] if memchr(b',', one).is_some() => Err(Refusal::MultipleTokens),
            [one] => Ok(one),
            _ => Err(Refusal::MultipleTokens),
        }
    }

    /// Who the headers say that connects, to a gate of this policy.
    pub(crate) fn claimed(&self, policy: &Policy) -> Option<Claimed> {
        match &policy.profile {
            Profile::DpServer(_) => Some(Claimed::SomeProxy),
            Profile::GlobalKds(_) => {
                self.zone_of_client().ok().map(|zone| Claimed::ControlPlane(zone.into()))
            }
        }
    }

    /// The one value of `client-id`. Kuma takes the first of several
    /// (`pkg/kds/util/client_id.go`), so another one beside it could only deceive.
    pub(super) fn zone_of_client(&self) -> Result<&'a [u8], RequestError> {
        match self.client_id.as_slice() {
            [] | [b""] => Err(RequestError::NoClientId),
            [one] => Ok(one),
            _ => Err(RequestError::SeveralClientIds),
        }
    }
}
