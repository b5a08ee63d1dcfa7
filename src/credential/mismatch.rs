//! What a token says, and its holder does not.
//!
//! In: both sides of a comparison. Out: a sentence. Which reason and which status it has is written in
//! [`crate::gate`]. All that is in it was verified, or is what the caller said of itself.

use std::fmt;

use super::Caller;
use crate::text::Quoted;

/// What a token says, and its holder does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mismatch {
    /// Scope lacks the caller's.
    Scope {
        /// What the token has.
        scope: Vec<String>,
        /// What connects; `None` before the first message, when no proxy type could pass.
        caller: Option<Caller>,
    },
    /// Another zone's token.
    Zone {
        /// The token's.
        token: String,
        /// The control plane's.
        gate: String,
    },
    /// Not the token of the zone that a zone control plane says it is.
    Client {
        /// The token's zone.
        token: String,
        /// `client-id`.
        client: String,
    },
    /// Another mesh's token.
    Mesh {
        /// The token's.
        token: String,
        /// The proxy's.
        proxy: String,
    },
    /// Another proxy's token.
    Name {
        /// The token's.
        token: String,
        /// The proxy's.
        proxy: String,
    },
    /// The proxy has no tag that the token names.
    MissingTag {
        /// The tag.
        tag: String,
    },
    /// The proxy has a tag with a value that the token does not allow.
    Tag {
        /// The tag.
        tag: String,
        /// The value.
        value: String,
        /// What the token allows.
        allowed: Vec<String>,
    },
    /// Another workload's token.
    Workload {
        /// The token's.
        token: String,
        /// The proxy's; empty where it has none.
        proxy: String,
    },
    /// A token of no workload, for a proxy that has one.
    UnboundWorkload {
        /// The proxy's.
        proxy: String,
    },
    /// Another namespace's token.
    Namespace {
        /// The token's.
        token: String,
        /// The proxy's.
        proxy: String,
    },
    /// Another pod's token.
    Pod {
        /// The token's.
        token: String,
        /// The proxy's.
        proxy: String,
    },
    /// An account that may not connect.
    ServiceAccount {
        /// `namespace/name`.
        token: String,
    },
    /// None of the audiences is one that the gate takes.
    Audience {
        /// The token's.
        token: Vec<String>,
        /// The gate's.
        gate: Vec<String>,
    },
    /// The key that signed belongs to no configured cluster of this issuer.
    TokenIssuer {
        /// `iss`.
        token: String,
    },
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scope { scope, caller } => write_scope(scope, *caller, f),
            Self::Zone { token, gate } => write!(
                f,
                "the token is for zone {}, this control plane serves zone {}",
                Quoted(token),
                Quoted(gate)
            ),
            Self::Client { token, client } if token.is_empty() => write!(
                f,
                "the token names no zone, the caller says that it is zone {}",
                Quoted(client)
            ),
            Self::Client { token, client } => write!(
                f,
                "the token is for zone {}, the caller says that it is zone {}",
                Quoted(token),
                Quoted(client)
            ),
            Self::Mesh { token, proxy } => write_both("mesh", token, proxy, f),
            Self::Name { token, proxy } => write_both("dataplane", token, proxy, f),
            Self::MissingTag { tag } => {
                write!(f, "the token is for dataplanes with tag {}, this one has none", Quoted(tag))
            }
            Self::Tag { tag, value, allowed } => write!(
                f,
                "the dataplane has tag {} with value {}, the token allows {}",
                Quoted(tag),
                Quoted(value),
                Quoted(&allowed.join(", "))
            ),
            Self::Workload { token, proxy } if proxy.is_empty() => write!(
                f,
                "the token is for workload {}, the dataplane has no label kuma.io/workload",
                Quoted(token)
            ),
            Self::Workload { token, proxy } => write_both("workload", token, proxy, f),
            Self::UnboundWorkload { proxy } => write!(
                f,
                "the token names no workload, the dataplane has workload {}; generate one with \
                 --workload",
                Quoted(proxy)
            ),
            Self::Namespace { token, proxy } => write_both("namespace", token, proxy, f),
            Self::Pod { token, proxy } => write_both("pod", token, proxy, f),
            Self::ServiceAccount { token } => write!(
                f,
                "service account {} is not in serviceAccountToken.serviceAccounts",
                Quoted(token)
            ),
            Self::Audience { token, gate } => write!(
                f,
                "the token is for audience {}, the gateway takes {}",
                Quoted(&token.join(", ")),
                Quoted(&gate.join(", "))
            ),
            Self::TokenIssuer { token } => write!(
                f,
                "the token is from issuer {}, which has no key of this kid here",
                Quoted(token)
            ),
        }
    }
}

fn write_both(what: &str, token: &str, proxy: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (token, proxy) = (Quoted(token), Quoted(proxy));
    write!(f, "the token is for {what} {token}, the proxy says that it is {what} {proxy}")
}

fn write_scope(
    scope: &[String],
    caller: Option<Caller>,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    match scope {
        [] => f.write_str("the token has no scope")?,
        _ => write!(f, "the token has scope {}", Quoted(&scope.join(", ")))?,
    }
    match caller.and_then(|caller| Some((caller, caller.scope()?))) {
        // kumactl refuses this scope.
        Some((Caller::ControlPlane, needed)) => {
            return write!(
                f,
                ", a zone control plane needs {needed}; generate one with zonegate generate zone-token \
                 --scope {needed}"
            );
        }
        Some((Caller::Proxy(_), needed)) => write!(f, ", this proxy needs {needed}"),
        None => f.write_str(", a zone proxy needs ingress or egress"),
    }?;
    f.write_str("; generate one with kumactl generate zone-token --scope")
}
