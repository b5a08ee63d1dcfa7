//! The names of the checks, and sentences that say when they hold.
//!
//! In: a check, and the judgement that it belongs to. Out: its name and a sentence, which depend on the kind of token.

use zonegate::credential::Kind;
use zonegate::gate::{Check, Profile};

use super::judgement::Judgement;

/// The name of a check, and a sentence that says when it holds.
pub(super) fn words(check: Check, judgement: &Judgement) -> (&'static str, &'static str) {
    let is_kds = matches!(judgement.config.policy.profile, Profile::GlobalKds(_));
    let has_rules = !judgement.config.policy.revocation_rules.is_empty();
    let kind = judgement.kind();
    match check {
        Check::Path => ("path", "proxies are served there"),
        Check::Credential => ("token", "there is one token"),
        Check::Length => ("length", "it is no longer than maxTokenBytes"),
        Check::Header => ("header", "it is three segments, and its header can be read"),
        Check::Algorithm => ("algorithm", algorithm_words(kind)),
        Check::Kid => ("kid", "the header names its key"),
        Check::Key => ("key", key_words(kind)),
        Check::Signature => ("signature", "that key signed it"),
        Check::Claims => ("claims", "the claims can be read"),
        Check::Expiration => ("expiration", "there is an exp, unless none is required"),
        Check::Clock => ("clock", "the time is credible"),
        Check::Expiry => ("expiry", "exp is to come"),
        Check::NotBefore => ("not before", "nbf has passed"),
        Check::Revocation if has_rules => ("revocation", "neither its ID nor a rule revokes it"),
        Check::Revocation => ("revocation", "its ID is not revoked"),
        Check::Zone if is_kds => ("zone", "it is for the zone that the caller claims to be"),
        Check::Scope if is_kds => ("scope", "the Scope has cp"),
        Check::Zone => ("zone", "it is for the zone of the control plane, or for any"),
        Check::Message => ("message", "the first message can be read"),
        Check::Scope => scope_words(kind),
        Check::Mesh => ("mesh", "it is for the mesh of the proxy, or for any"),
        Check::Proxy => ("proxy", "name, tags and workload are the proxy's"),
        Check::Audience => ("audience", "its issuer is known, and the gateway is its audience"),
        Check::ServiceAccount => ("account", "namespace, pod and service account are right"),
    }
}

fn algorithm_words(kind: Kind) -> &'static str {
    match kind {
        Kind::ZoneToken | Kind::DataplaneToken => "alg is RS256",
        Kind::ServiceAccountToken => "alg is RS256 or ES256",
    }
}

fn key_words(kind: Kind) -> &'static str {
    match kind {
        Kind::ZoneToken => "a key of that kid is configured",
        Kind::DataplaneToken => "the proxy's mesh has a key of that kid, or all meshes have",
        Kind::ServiceAccountToken => "a cluster has a key of that kid",
    }
}

fn scope_words(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::ZoneToken => ("scope", "the proxy type may connect, and the Scope has it"),
        Kind::DataplaneToken | Kind::ServiceAccountToken => ("type", "the proxy type may connect"),
    }
}
