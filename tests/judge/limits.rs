//! Limits, and values just beyond them.

use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::google::protobuf::{Struct, Value as ProtoValue, value::Kind};
use serde_json::json;
use zonegate::credential::{CACHE_BYTES, RESOURCE_CACHE_BYTES};
use zonegate::gate::{
    ClaimedNode, Frame, MAX_BOOTSTRAP, MAX_FIRST_MESSAGE, MAX_RESOURCE, Now, PREFIX, Refusal,
    RequestError, UnixTime, XdsVariant,
};
use zonegate::lifecycle::{EARLIER_BYTES, HELD_BYTES};
use zonegate::push_log::PUBLISHED_BYTES;
use zonegate::revocation::RevocationList;

use crate::request::{NOW, Request, discovery_message, judged, judged_later};

/// docs/capacity.md, docs/configure.md, docs/push.md and docs/upgrade.md name them.
#[test]
fn the_limits_of_memory_are_those_of_the_documentation() {
    const KIB: usize = 1 << 10;
    const MIB: usize = 1 << 20;
    assert_eq!((MAX_FIRST_MESSAGE, MAX_BOOTSTRAP, MAX_RESOURCE), (MIB, 128 * KIB, 128 * KIB));
    assert_eq!((HELD_BYTES, EARLIER_BYTES, PUBLISHED_BYTES), (16 * MIB, 4 * MIB, MIB));
    let of_caches = [CACHE_BYTES, RESOURCE_CACHE_BYTES].map(|bytes| bytes.try_into());
    assert_eq!(of_caches, [Ok(32 * MIB), Ok(8 * MIB)]);
}

#[test]
fn a_token_may_be_as_long_as_the_limit() {
    let id = "x".repeat(300);
    let lines = ["sotw", "bootstrap"].map(|kind| format!("{kind} jti={id}"));
    let length = Request::of(&lines[0]).token().unwrap().len();
    let limit = |bytes| json!({ "maxTokenBytes": bytes });
    for (bytes, is_allowed) in [(length - 1, false), (length, true), (length + 1, true)] {
        let [stream, body, held] = match is_allowed {
            true => ["message: allow ingress", "body: allow ingress", "message: allow ingress"],
            false => ["headers: token_too_long", "body: token_too_long", "message: token_too_long"],
        };
        judged(&limit(bytes), &[(&lines[0], stream), (&lines[1], body)]);
        // The same for a token that was read under another limit.
        let held = if is_allowed { held.to_owned() } else { format!("{held} ({id})") };
        judged_later(&json!({}), &limit(bytes), &[(&lines[0], &held)]);
        let kds = json!({ "profile": "globalKds", "maxTokenBytes": bytes });
        let line = lines[0].replace("sotw", "kds scope=ingress");
        let wanted =
            if is_allowed { format!("out_of_scope ({id})") } else { "token_too_long".into() };
        judged(&kds, &[(&line, &format!("headers: {wanted}"))]);
    }
}

/// 2025-01-01T00:00:00Z: an earlier time of the host counts as no time.
#[test]
fn a_time_before_2025_counts_as_no_time() {
    const EARLIEST: Duration = Duration::from_secs(1_735_689_600);
    let before = EARLIEST - Duration::from_nanos(1);
    for (time, wanted) in [
        (None, Err(Refusal::ClockUnavailable)),
        (Some(Duration::ZERO), Err(Refusal::ClockUnavailable)),
        (Some(before), Err(Refusal::ClockUnavailable)),
        (Some(EARLIEST), Ok(EARLIEST)),
        (Some(Duration::MAX), Ok(Duration::MAX)),
    ] {
        let at = UnixTime::after_epoch;
        assert_eq!(Now(time.map(at)).credible(), wanted.map(at));
    }
    let at = |time: Duration| time.as_secs().cast_signed() - NOW.cast_signed();
    for (line, wanted) in [
        (format!("sotw at={}", at(before)), "headers: clock_unavailable (id-1)"),
        (format!("sotw later={}", at(before)), "message: clock_unavailable (id-1)"),
        (format!("bootstrap at={}", at(before)), "body: clock_unavailable (id-1)"),
        (format!("sotw at={}", at(EARLIEST)), "message: allow ingress"),
    ] {
        judged(&json!({}), &[(&line, wanted)]);
    }
}

#[test]
fn a_first_message_has_its_length_before_it() {
    let frame = |length: usize| Ok(Some(Frame { length: length + PREFIX }));
    let prefix = |flag: u8, length: usize| {
        [&[flag], u32::try_from(length).unwrap().to_be_bytes().as_slice()].concat()
    };
    assert_eq!((MAX_FIRST_MESSAGE, PREFIX), (1024 * 1024, 5));
    for (body, wanted) in [
        (vec![], Ok(None)),
        (vec![0], Ok(None)),
        (vec![0, 0, 0, 0], Ok(None)),
        (vec![0, 0, 0, 0, 0], frame(0)),
        (vec![0, 0, 0, 0, 7], frame(7)),
        (vec![0, 0, 0, 1, 2, b'x'], frame(258)),
        (vec![0, 0, 1, 2, 3], frame(0x1_0203)),
        (prefix(0, MAX_FIRST_MESSAGE - 1), frame(MAX_FIRST_MESSAGE - 1)),
        (prefix(0, MAX_FIRST_MESSAGE), frame(MAX_FIRST_MESSAGE)),
        (prefix(0, MAX_FIRST_MESSAGE + 1), Err(RequestError::TooLarge)),
        (vec![0, 0xff, 0xff, 0xff, 0xff], Err(RequestError::TooLarge)),
        (vec![0, 0xff, 0xff, 0xff], Ok(None)),
        // Zero is the only known value of the flag byte.
        (vec![1], Err(RequestError::Compressed)),
        (vec![2], Err(RequestError::Compressed)),
        (vec![0xff], Err(RequestError::Compressed)),
        (prefix(1, 7), Err(RequestError::Compressed)),
        (prefix(0x80, MAX_FIRST_MESSAGE + 1), Err(RequestError::Compressed)),
    ] {
        assert_eq!(Frame::of(&body), wanted, "{body:?}");
    }
}

#[test]
fn a_first_message_is_whole_at_its_last_byte() {
    let body = [&[0, 0, 0, 0, 3][..], b"abcd"].concat();
    let frame = Frame::of(&body).unwrap().unwrap();
    for length in 0..=body.len() {
        let wanted = (length >= 8).then_some(&b"abc"[..]);
        assert_eq!(frame.message(&body[..length]), wanted, "{length}");
    }
}

/// The longest token is 64 KiB. A longer ID can be in no token, so the ID is not kept.
#[test]
fn an_id_that_no_token_can_have_is_counted_and_not_kept() {
    for (length, is_kept) in [(65_535, true), (65_536, true), (65_537, false)] {
        let id = "x".repeat(length);
        for list in [
            RevocationList::from_text(id.as_bytes()).unwrap(),
            RevocationList::from_ids([id.as_str()]),
        ] {
            assert_eq!(list.contains(&id), is_kept, "{length}");
            assert_eq!(list.bytes() >= length, is_kept, "{length}");
            assert_eq!(list.ids(), 1, "{length}");
        }
    }
}

/// The resource of a stranger is read before the token can be verified.
#[test]
fn a_resource_may_be_as_long_as_the_limit() {
    for (length, wanted) in [
        (MAX_RESOURCE, Ok(())),
        (MAX_RESOURCE + 1, Err(RequestError::TooLarge)),
        (MAX_FIRST_MESSAGE / 2, Err(RequestError::TooLarge)),
    ] {
        let resource = r#"{"type":"Dataplane","mesh":"default","name":"node"}"#;
        let resource = format!("{resource}{}", " ".repeat(length - resource.len()));
        let fields = [("dataplane.proxyType", "dataplane"), ("dataplane.resource", &resource)];
        let text = |text: &str| ProtoValue { kind: Some(Kind::StringValue(text.to_owned())) };
        let fields = fields.map(|(name, value)| (name.to_owned(), text(value))).into();
        let metadata = Some(Struct { fields });
        let node = Node { id: "default.node".to_owned(), metadata, ..Node::default() };
        let message = discovery_message(XdsVariant::Sotw, node);
        let read = ClaimedNode::of(XdsVariant::Sotw, &message).map(|node| {
            assert!(node.unwrap().identity.is_ok());
        });
        assert_eq!(read, wanted, "{length}");
    }
}
