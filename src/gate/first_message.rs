//! The first message of a discovery stream, which says what proxy connects.
//!
//! In: the bytes of the request body. Out: how long the message is ([`Frame`]), and of a whole one
//! the [`ProxyType`] in `node.metadata` (Kuma: `pkg/core/xds/metadata.go`). Which id the
//! node has, and the rest of the request, are the control plane's business.

use bytes::Bytes;
use prost::Message;
use prost_types::Value;
use prost_types::value::Kind;

use super::{ProxyType, RequestError};

/// The largest first message. Those of a zone proxy take a few KiB; its resource is in there.
pub const MAX_FIRST_MESSAGE: usize = 1024 * 1024;

/// Compressed-Flag and Message-Length (gRPC over HTTP/2, "Length-Prefixed-Message").
pub const PREFIX: usize = 5;

/// Which discovery protocol the stream speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// State of the world: `DiscoveryRequest`.
    Sotw,
    /// Delta: `DeltaDiscoveryRequest`.
    Delta,
}

/// How much of a stream its first message is, prefix included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Bytes.
    pub length: usize,
}

impl Frame {
    /// Reads the prefix of a message; `None` while it is incomplete.
    ///
    /// # Errors
    /// The message is compressed, or larger than [`MAX_FIRST_MESSAGE`].
    pub fn of(body: &[u8]) -> Result<Option<Self>, RequestError> {
        let Some((flag, length)) = body.split_first() else { return Ok(None) };
        if *flag != 0 {
            return Err(RequestError::Compressed);
        }
        let Some(length) = length.first_chunk::<4>() else { return Ok(None) };
        match usize::try_from(u32::from_be_bytes(*length)) {
            Ok(length) if length <= MAX_FIRST_MESSAGE => {
                Ok(Some(Self { length: length.saturating_add(PREFIX) }))
            }
            _ => Err(RequestError::TooLarge),
        }
    }

    /// The message in `body`; `None` while it is incomplete.
    pub fn message(self, body: &[u8]) -> Option<&[u8]> {
        body.get(PREFIX..self.length)
    }
}

/// The proxy type in `message`. `Ok(None)` is a type that Kuma does not know.
///
/// # Errors
/// The message is not a request of this form, has no node with an id, or its resource contradicts its type.
pub fn proxy_type(form: Form, message: Bytes) -> Result<Option<ProxyType>, RequestError> {
    let node = match form {
        Form::Sotw => decode::<DiscoveryRequest>(message)?.node,
        Form::Delta => decode::<DeltaDiscoveryRequest>(message)?.node,
    };
    // Kuma authenticates by the first message, but takes the node from the first one with an id: a
    // later message could say that something else connects.
    let node = node.filter(|node| !node.id.is_empty()).ok_or(RequestError::NoNode)?;
    let metadata = node.metadata.unwrap_or_default();
    let [named, resource] = metadata.strings(["dataplane.proxyType", "dataplane.resource"])?;
    if resource.is_empty() {
        return Ok(ProxyType::from_name(&named).ok());
    }
    let typed = ProxyType::from_resource(&resource).ok_or(RequestError::Resource)?;
    // Kuma authenticates by the resource and serves by the name: they must agree. Its bootstrap
    // always writes the name.
    match !named.is_empty() && ProxyType::from_name(&named) == Ok(typed) {
        true => Ok(Some(typed)),
        false => Err(RequestError::Resource),
    }
}

fn decode<M: Message + Default>(message: Bytes) -> Result<M, RequestError> {
    M::decode(message).map_err(|_| RequestError::NotADiscoveryRequest)
}

/// `envoy.service.discovery.v3.DiscoveryRequest`, as far as it matters here.
#[derive(Clone, PartialEq, prost::Message)]
struct DiscoveryRequest {
    #[prost(message, optional, tag = "2")]
    node: Option<Node>,
}

/// `envoy.service.discovery.v3.DeltaDiscoveryRequest`, as far as it matters here.
#[derive(Clone, PartialEq, prost::Message)]
struct DeltaDiscoveryRequest {
    #[prost(message, optional, tag = "1")]
    node: Option<Node>,
}

/// `envoy.config.core.v3.Node`, as far as it matters here.
#[derive(Clone, PartialEq, prost::Message)]
struct Node {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(message, optional, tag = "3")]
    metadata: Option<Metadata>,
}

/// `google.protobuf.Struct` (it is a map, which is encoded as a list of entries), of whose many values
/// only those asked for are decoded.
#[derive(Clone, PartialEq, prost::Message)]
struct Metadata {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    entries: Vec<Bytes>,
}

impl Metadata {
    /// The strings at `names`; empty where there is none or it is not a string, as in Kuma.
    fn strings<const N: usize>(self, names: [&str; N]) -> Result<[String; N], RequestError> {
        let mut strings = [const { String::new() }; N];
        for entry in self.entries {
            let key = decode::<Key>(entry.clone())?.key;
            let mut wanted = names.iter().zip(&mut strings);
            // The last of several entries of a key wins.
            if let Some((_, string)) = wanted.find(|(name, _)| key == name.as_bytes()) {
                *string = match decode::<Entry>(entry)?.value.and_then(|value| value.kind) {
                    Some(Kind::StringValue(text)) => text,
                    _ => String::new(),
                };
            }
        }
        Ok(strings)
    }
}

/// The key of an entry, its value unread.
#[derive(Clone, PartialEq, prost::Message)]
struct Key {
    #[prost(bytes = "bytes", tag = "1")]
    key: Bytes,
}

/// The value of an entry.
#[derive(Clone, PartialEq, prost::Message)]
struct Entry {
    #[prost(message, optional, tag = "2")]
    value: Option<Value>,
}
