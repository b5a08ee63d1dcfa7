//! What a refused client, and an operator with a key that is refused, are told: the fact, and what to do about it.

use std::time::Duration;

use zonegate::credential::{Caller, Mismatch, ProxyType};
use zonegate::gate::{Audience, CredentialSource, ErrorDetail, Refusal, RequestError, UnixTime};
use zonegate::go_json::JsonError;
use zonegate::token::{
    DerKind, Fingerprint, KeyError, MAX_BITS, MIN_BITS, NotPem, NumericDate, Segment, TokenError,
    UnknownVmConfiguration,
};

const NOW: UnixTime = UnixTime::from_secs(1_000_000);

/// Asserts that each sentence has these parts.
fn assert_says<T: ToString>(table: impl IntoIterator<Item = (T, &'static [&'static str])>) {
    for (what, parts) in table {
        let sentence = what.to_string();
        for part in parts {
            assert!(sentence.contains(part), "{sentence:?} has no {part:?}");
        }
    }
}

#[test]
fn a_refused_client_is_told_the_reason_and_the_sentence_or_neither() {
    let refusal = Refusal::MultipleTokens;
    let message = refusal.message(ErrorDetail::Reason);
    assert_eq!(message, format!("zonegate: multiple_tokens: {refusal}"));
    assert_eq!(refusal.message(ErrorDetail::None), "zonegate: denied");
}

#[test]
fn a_refusal_says_what_is_wrong_and_what_helps() {
    let seconds = NumericDate::from_json;
    assert_says([
        (
            Refusal::MissingToken(CredentialSource::Header),
            &["no token", "authorization", "--dataplane-token-file"][..],
        ),
        (Refusal::MissingToken(CredentialSource::KdsHeader), &["no zone token", "scope cp"]),
        (
            Refusal::MissingToken(CredentialSource::Body),
            &["dataplaneToken", "--dataplane-token-file"],
        ),
        (Refusal::MultipleTokens, &["more than one authorization"]),
        (Refusal::TokenTooLong { length: 9_000, limit: 8_192 }, &["9000 bytes", "8192"]),
        (Refusal::MissingExpiration, &["no exp", "issue a new one"]),
        (
            Refusal::Expired { date: seconds("999910").unwrap(), now: NOW },
            &["expired 90 s ago", "issue a new one"],
        ),
        (
            Refusal::NotYetValid { date: seconds("1000090").unwrap(), now: NOW },
            &["begins in 90 s", "clocks"],
        ),
        (Refusal::Revoked { id: "".into() }, &["tokens without an ID are revoked"]),
        (Refusal::Revoked { id: "id-1".into() }, &["token \"id-1\" is revoked", "issue a new one"]),
        (Refusal::RevokedByRule { rule: 3 }, &["revocationRules[3]"]),
        (Refusal::ProxyDenied(Some(ProxyType::Ingress)), &["type ingress"]),
        (Refusal::ProxyDenied(None), &["none of ingress, egress, dataplane"]),
        (Refusal::PathDenied(Audience::Proxies), &["ADS", "/bootstrap"]),
        (Refusal::PathDenied(Audience::ControlPlanes), &["KDS"]),
        (Refusal::NoFirstMessage { waited: Duration::from_secs(7) }, &["within 7 s"]),
        (Refusal::ClockUnavailable, &["time"]),
        (Refusal::PolicyUnavailable, &["no policy", "try again"]),
        (Refusal::Overloaded, &["too many", "try again"]),
        (Refusal::MalformedRequest(RequestError::Compressed), &["compressed"]),
        (Refusal::Mismatch(Mismatch::Mesh { token: "a".into(), proxy: "b".into() }), &["mesh"]),
    ]);
}

#[test]
fn a_refused_token_is_named_by_the_part_that_is_wrong() {
    let of = Refusal::Token;
    assert_says([
        (of(TokenError::SegmentCount), &["three segments with dots between them"][..]),
        (of(TokenError::Base64(Segment::Header)), &["header is not base64url", "without Bearer"]),
        (of(TokenError::Base64(Segment::Claims)), &["its claims is not base64url"]),
        (of(TokenError::Base64(Segment::Signature)), &["its signature is not base64url"]),
        (of(TokenError::Spelling(Segment::Header)), &["its header has spare bits"]),
        (of(TokenError::UnknownKid), &["no configured key has this kid", "rotated out?"]),
        (of(TokenError::InvalidSignature), &["does not verify with the key of this kid"]),
        (of(TokenError::MissingKid), &["unusable token", "no kid"]),
    ]);
}

#[test]
fn a_request_that_cannot_be_read_is_explained() {
    assert_says([
        (RequestError::Compressed, &["compressed"][..]),
        (RequestError::TooLarge, &["larger than the gateway takes"]),
        (RequestError::Incomplete, &["ended before its first message"]),
        (RequestError::NotADiscoveryRequest, &["no discovery request"]),
        (RequestError::NoNode, &["no node with an id"]),
        (RequestError::Resource, &["resource"]),
        (RequestError::NodeId, &["node's id"]),
        (RequestError::Json(JsonError::TooDeep), &["nested deeper than"]),
        (RequestError::FieldType("name"), &["name in the bootstrap request is not a string"]),
        (RequestError::NoClientId, &["no client-id"]),
        (RequestError::SeveralClientIds, &["more than one client-id"]),
        (RequestError::Host, &["could not read"]),
    ]);
}

/// Both sides are named, so that whoever reads it sees which one to correct.
#[test]
fn a_token_of_another_holder_is_compared_with_the_holder() {
    let text = str::to_owned;
    let (a, b) = (|| text("a"), || text("b"));
    let scope = |scope: &[&str], caller| Mismatch::Scope {
        scope: scope.iter().copied().map(text).collect(),
        caller,
    };
    let ingress = Some(Caller::Proxy(ProxyType::Ingress));
    assert_says([
        (scope(&[], None), &["has no scope", "needs ingress or egress", "kumactl"][..]),
        (
            scope(&["egress"], ingress),
            &["has scope \"egress\"", "this proxy needs ingress", "kumactl"],
        ),
        (
            scope(&["egress"], Some(Caller::ControlPlane)),
            &["\"egress\"", "needs cp", "zonegate generate"],
        ),
        (Mismatch::Zone { token: a(), gate: b() }, &["for zone \"a\"", "serves zone \"b\""]),
        (Mismatch::Client { token: text(""), client: b() }, &["names no zone", "it is zone \"b\""]),
        (Mismatch::Client { token: a(), client: b() }, &["for zone \"a\"", "it is zone \"b\""]),
        (Mismatch::Mesh { token: a(), proxy: b() }, &["for mesh \"a\"", "it is mesh \"b\""]),
        (
            Mismatch::Name { token: a(), proxy: b() },
            &["for dataplane \"a\"", "it is dataplane \"b\""],
        ),
        (Mismatch::MissingTag { tag: a() }, &["with tag \"a\"", "has none"]),
        (
            Mismatch::Tag { tag: text("t"), value: a(), allowed: vec![b(), text("c")] },
            &["tag \"t\" with value \"a\"", "allows \"b, c\""],
        ),
        (
            Mismatch::Workload { token: a(), proxy: text("") },
            &["workload \"a\"", "no label kuma.io/workload"],
        ),
        (
            Mismatch::Workload { token: a(), proxy: b() },
            &["for workload \"a\"", "it is workload \"b\""],
        ),
        (Mismatch::UnboundWorkload { proxy: b() }, &["names no workload", "\"b\"", "--workload"]),
        (Mismatch::Namespace { token: a(), proxy: b() }, &["namespace \"a\"", "namespace \"b\""]),
        (Mismatch::Pod { token: a(), proxy: b() }, &["pod \"a\"", "pod \"b\""]),
        (Mismatch::ServiceAccount { token: text("n/a") }, &["\"n/a\"", "serviceAccounts"]),
        (
            Mismatch::Audience { token: vec![a()], gate: vec![b()] },
            &["audience \"a\"", "takes \"b\""],
        ),
        (Mismatch::TokenIssuer { token: a() }, &["issuer \"a\"", "no key of this kid"]),
    ]);
}

#[test]
fn a_refused_key_is_explained_with_the_command_that_helps() {
    let malformed = |label, other_label_fits| KeyError::Malformed { label, other_label_fits };
    let (small, large) = (format!("{MIN_BITS} or more"), format!("at most {MAX_BITS}"));
    assert_says([
        (malformed("PUBLIC KEY", true), &["\"PUBLIC KEY\" holds a \"RSA PUBLIC KEY\""][..]),
        (malformed("RSA PUBLIC KEY", true), &["\"RSA PUBLIC KEY\" holds a \"PUBLIC KEY\""]),
        (malformed("PUBLIC KEY", false), &["does not hold an RSA public key"]),
        (KeyError::NotPem(NotPem::Empty), &["not PEM: it is empty", "kuma-cp would crash"]),
        (KeyError::NotPem(NotPem::Der(DerKind::Spki)), &["openssl pkey -pubin -inform DER"]),
        (KeyError::NotPem(NotPem::OneLine), &["on one line"]),
    ]);
    for (bits, part) in [(MIN_BITS - 1, &small), (MAX_BITS + 1, &large)] {
        let sentence = KeyError::Size(bits).to_string();
        assert!(
            sentence.contains(&format!("of {bits} bits")) && sentence.contains(part),
            "{sentence}"
        );
    }
    // The least size that Kuma takes is not too small.
    assert!(KeyError::Size(MIN_BITS).to_string().contains(&large));
    assert_says([(UnknownVmConfiguration, &["empty or crypto=crate"][..])]);
}

/// As ssh shows fingerprints. The digest is that of FIPS 180-4 for an empty text.
#[test]
fn a_fingerprint_is_a_sha_256_in_base64() {
    let shown = Fingerprint::of(b"").to_string();
    assert_eq!(shown, "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU");
}
