//! First messages of discovery streams.
//!
//! In: a byte that picks the method, a byte that picks the token, and the body of the request, in gRPC frames. Out: a
//! panic, unless
//!
//! - the node is the same as that of a full protobuf decoder;
//! - the request ends in the same way, no matter in which pieces its body comes;
//! - the lifecycle decides as the judge alone does;
//! - nothing passes without the right token.

use std::sync::{Arc, LazyLock};

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DiscoveryRequest};
use envoy_types::pb::envoy::service::health::v3::HealthCheckRequestOrEndpointHealthResponse;
use envoy_types::pb::envoy::service::health::v3::health_check_request_or_endpoint_health_response::RequestType;
use envoy_types::pb::google::protobuf::value::Kind as ValueKind;
use prost::Message;
use serde_json::json;
use zonegate::config::Config;
use zonegate::gate::{
    ADS_DELTA, ADS_SOTW, ClaimedNode, Frame, HDS, Head, Held, Policy, ProxyType, RequestError,
    Verdict, XdsVariant,
};

use crate::conversation::{End, NOW, cuts, end};
use crate::stand_in::{STAND_IN, key, pem, sign};

/// Zones and two meshes have a key of the same kid, so that the message decides whose key counts. The key of zones
/// differs from that of meshes: with the same key, a zone token would also be a dataplane token without restrictions,
/// as in Kuma.
pub(crate) static POLICY: LazyLock<Arc<Policy>> = LazyLock::new(|| {
    let of =
        |mesh: &str, kid: &str, key: &str| json!({ "mesh": mesh, "kid": kid, "key": pem(key) });
    let config = json!({
        "zone": "zone-1",
        "publicKeys": [{ "kid": "1", "key": pem("1") }],
        "dpToken": {
            "publicKeys": [of("default", "1", "2"), of("other", "1", "2"), of("", "all", "2")],
            "revocations": { "default": "id-revoked" },
        },
        "proxies": { "dataplane": "dpToken" },
    });
    Arc::new(Config::from_host(config.to_string().into_bytes(), &STAND_IN).unwrap().policy)
});

/// The tokens, in the order of the bytes that pick them.
pub(crate) static TOKENS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let claims = |own: serde_json::Value| {
        let mut claims = json!({ "exp": 1_800_003_600, "jti": "id" });
        claims.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
        claims.to_string()
    };
    let sign = |kid: &str, by: &str, own| {
        let header = json!({ "alg": "RS256", "kid": kid }).to_string();
        sign(&key(by), header.as_bytes(), claims(own).as_bytes())
    };
    vec![
        sign("1", "1", json!({ "Zone": "zone-1", "Scope": ["ingress", "egress"] })),
        sign("1", "2", json!({ "Name": "dp-1", "Mesh": "default" })),
        sign("1", "2", json!({ "Mesh": "other" })),
        sign("all", "2", json!({ "Tags": { "kuma.io/service": ["web"] } })),
        sign("1", "2", json!({ "Mesh": "default", "jti": "id-revoked" })),
        // Tokens that are good for nobody.
        sign("1", "1", json!({ "Zone": "zone-2", "Scope": ["ingress"] })),
        sign("all", "1", json!({})),
        String::new(),
    ]
});

/// The number of tokens that are good for somebody; these come first.
const GOOD: usize = 4;

/// See the module.
pub fn first_message(bytes: &[u8]) {
    let [method, token, body @ ..] = bytes else { return };
    let (variant, path) = match method % 3 {
        0 => (XdsVariant::Sotw, ADS_SOTW),
        1 => (XdsVariant::Delta, ADS_DELTA),
        _ => (XdsVariant::Hds, HDS),
    };
    let which = usize::from(*token) % TOKENS.len();
    let text = TOKENS[which].as_bytes();
    let head = Head {
        method: b"POST",
        path: path.as_bytes(),
        content_type: vec![b"application/grpc"],
        authorization: if text.is_empty() { Vec::new() } else { vec![text] },
        client_id: Vec::new(),
    };
    let message = Frame::of(body).ok().flatten().and_then(|frame| frame.message(body));
    if let Some(message) = message {
        is_what_a_decoder_finds(variant, message);
    }
    let whole = end(&POLICY, &head, body, &[]);
    for cuts in cuts(body.len()) {
        assert_eq!(end(&POLICY, &head, body, &cuts), whole, "{cuts:?}");
    }
    let passes = matches!(whole, End::Passes(_));
    assert_eq!(passes, is_allowed(&head, message), "{whole:?}");
    assert!(!passes || which < GOOD, "{whole:?} with token {which}");
}

fn is_allowed(head: &Head<'_>, message: Option<&[u8]>) -> bool {
    match POLICY.judge(head, NOW) {
        Verdict::Allow(_) => true,
        Verdict::Deny(_) => false,
        Verdict::Hold(Held::FirstMessage { variant, credential }) => {
            message.is_some_and(|message| {
                POLICY.judge_first_message(variant, credential, message, NOW).is_ok()
            })
        }
        Verdict::Hold(Held::Bootstrap) => panic!("this is no bootstrap request"),
    }
}

/// Compares the node with that of the decoder, if the decoder accepts the message. The gate reads only the parts that
/// it needs, so it accepts more messages.
fn is_what_a_decoder_finds(variant: XdsVariant, message: &[u8]) {
    let Some(node) = decoded(variant, message) else { return };
    let node = node.unwrap_or_default();
    let text = |name: &str| {
        let value = node.metadata.as_ref().and_then(|metadata| metadata.fields.get(name));
        match value.and_then(|value| value.kind.as_ref()) {
            Some(ValueKind::StringValue(text)) => text.as_str(),
            _ => "",
        }
    };
    let proxy_type = match variant {
        XdsVariant::Sotw | XdsVariant::Delta => ProxyType::from_name(text("dataplane.proxyType")),
        XdsVariant::Hds => Ok(ProxyType::Dataplane),
    };
    let has_resource = variant != XdsVariant::Hds && !text("dataplane.resource").is_empty();
    match ClaimedNode::of(variant, message) {
        Err(RequestError::NoNode) => assert_eq!(node.id, ""),
        Err(RequestError::Resource | RequestError::TooLarge) => assert!(has_resource),
        Err(error) => panic!("{error:?}: {node:?}"),
        Ok(None) => assert!(proxy_type.is_err() && !has_resource),
        Ok(Some(claimed)) => {
            assert_eq!(Ok(claimed.proxy_type), proxy_type);
            if let Ok(identity) = claimed.identity {
                assert_eq!(node.id, format!("{}.{}", identity.mesh, identity.name));
            }
        }
    }
}

/// The node, by a decoder; the outer `None` means that the message is malformed.
#[allow(clippy::option_option)] // no message, no node, a node
fn decoded(variant: XdsVariant, message: &[u8]) -> Option<Option<Node>> {
    match variant {
        XdsVariant::Sotw => DiscoveryRequest::decode(message).ok().map(|request| request.node),
        XdsVariant::Delta => {
            DeltaDiscoveryRequest::decode(message).ok().map(|request| request.node)
        }
        XdsVariant::Hds => {
            let message = HealthCheckRequestOrEndpointHealthResponse::decode(message).ok()?;
            match message.request_type {
                Some(RequestType::HealthCheckRequest(request)) => Some(request.node),
                Some(RequestType::EndpointHealthResponse(_)) | None => Some(None),
            }
        }
    }
}
