//! The connections of the demo, good and bad.
//!
//! In: a sandbox with a key. Out: connections, each with its expected verdict, and a function that makes one.

use std::net::SocketAddr;
use std::time::Duration;

use prost::Message;
use serde_json::json;
use tonic::Status;
use zonegate::gate::{ADS_SOTW, BOOTSTRAP, Reason};
use zonegate_issuer::{Scope, SigningKey};
use zonegate_testkit::raw_client::{Answer, End, RawConnection, RawRequest, grpc_frame};
use zonegate_testkit::zone_proxy::{self, Claimed, discovery_request};

use super::super::{KID, Sandbox, ZONE};

/// The verdict on a connection that passes.
pub(super) const ALLOWED: &str = "allowed";

/// One connection.
pub(super) struct Connection {
    pub(super) name: &'static str,
    pub(super) expected: String,
    does: Does,
}

/// The outcome of a connection.
pub(super) struct Seen {
    pub(super) verdict: String,
    pub(super) message: String,
}

enum Does {
    Sotw(Option<String>, Claimed<'static>),
    Delta(Option<String>, Claimed<'static>),
    Hds,
    Bootstrap(&'static str, String),
    Raw { path: &'static str, authorization: Vec<String>, chunks: Vec<Vec<u8>> },
}

/// The connections before a push, the id that the push revokes, and the connections after it.
pub(super) fn connections(
    sandbox: &Sandbox,
) -> anyhow::Result<(Vec<Connection>, String, Vec<Connection>)> {
    let both = [Scope::Ingress, Scope::Egress];
    let now = Duration::ZERO;
    let issue = |zone: &str, scope: &[Scope], age| sandbox.token(zone, scope, age);
    let (good, id) = issue(ZONE, &both, now)?;
    let (fresh, _) = issue(ZONE, &both, now)?;
    let (expired, _) = issue(ZONE, &both, Duration::from_secs(7200))?;
    let (egress_only, _) = issue(ZONE, &[Scope::Egress], now)?;
    let (elsewhere, _) = issue("other", &both, now)?;
    let header = json!({ "alg": "RS256", "kid": KID }).to_string();
    let sign = |header: &str, claims: &str| sandbox.key.sign_raw(header, claims);
    let exp = u64::from(u32::MAX);
    let early = json!({ "Zone": ZONE, "Scope": ["ingress"], "nbf": exp, "exp": exp }).to_string();
    let for_ever = json!({ "Zone": ZONE, "Scope": ["ingress"] }).to_string();
    let stranger = SigningKey::generate(2048)?.sign_raw(&header, &for_ever);
    let first = grpc_frame(&discovery_request(Claimed::INGRESS).encode_to_vec());
    let ingress = |name, token: &str, reason| sotw(name, Some(token), Claimed::INGRESS, reason);
    let raw = |name, path, tokens: &[&String], chunks, reason: Reason| Connection {
        name,
        expected: reason.to_string(),
        does: Does::Raw {
            path,
            authorization: tokens.iter().map(|token| (*token).clone()).collect(),
            chunks,
        },
    };
    let before = vec![
        allowed("zone ingress, state of the world", Does::Sotw(some(&good), Claimed::INGRESS)),
        allowed("zone egress, delta", Does::Delta(some(&good), Claimed::EGRESS)),
        allowed("bootstrap of a zone ingress", Does::Bootstrap("ingress", good.clone())),
        sotw("no token", None, Claimed::INGRESS, Reason::MissingToken),
        raw("two tokens", ADS_SOTW, &[&good, &good], vec![], Reason::MultipleTokens),
        ingress("a token of 20,000 bytes", &"x".repeat(20_000), Reason::TokenTooLong),
        ingress("\"Bearer\" before the token", &format!("Bearer {good}"), Reason::MalformedToken),
        ingress("alg: none", &sign(r#"{"alg":"none"}"#, &for_ever), Reason::UnsupportedAlgorithm),
        ingress("no kid", &sign(r#"{"alg":"RS256"}"#, &for_ever), Reason::MissingKid),
        ingress(
            "a key that is not configured",
            &sign(r#"{"alg":"RS256","kid":"old"}"#, &for_ever),
            Reason::UnknownKid,
        ),
        ingress("signed by a stranger", &stranger, Reason::InvalidSignature),
        ingress(
            "claims of the wrong type",
            &sign(&header, r#"{"Zone":1}"#),
            Reason::MalformedClaims,
        ),
        ingress("no expiry", &sign(&header, &for_ever), Reason::MissingExpiration),
        ingress("expired an hour ago", &expired, Reason::Expired),
        ingress("not valid yet", &sign(&header, &early), Reason::NotYetValid),
        ingress("for another zone", &elsewhere, Reason::WrongZone),
        ingress("for an egress only", &egress_only, Reason::OutOfScope),
        sotw("a sidecar", Some(&good), Claimed::DATAPLANE, Reason::ProxyDenied),
        raw("another path", "/config_dump", &[&good], vec![], Reason::PathDenied),
        raw("a spelling of a good path", "/%62ootstrap", &[&good], vec![], Reason::PathDenied),
        raw(
            "a compressed first message",
            ADS_SOTW,
            &[&good],
            vec![[&[1], first.get(1..).unwrap_or_default()].concat()],
            Reason::MalformedRequest,
        ),
        raw("a stream that stays silent", ADS_SOTW, &[&good], vec![], Reason::NoFirstMessage),
        Connection {
            name: "bootstrap with a token of another zone",
            expected: Reason::WrongZone.to_string(),
            does: Does::Bootstrap("egress", elsewhere),
        },
    ];
    let after = vec![
        ingress("the first token again, revoked by a push", &good, Reason::Revoked),
        allowed("another token, after the push", Does::Sotw(some(&fresh), Claimed::INGRESS)),
        allowed("a sidecar, now that they may pass", Does::Sotw(None, Claimed::DATAPLANE)),
        allowed("its health stream", Does::Hds),
    ];
    Ok((before, id.to_string(), after))
}

fn some(token: &str) -> Option<String> {
    Some(token.to_owned())
}

fn allowed(name: &'static str, does: Does) -> Connection {
    Connection { name, expected: ALLOWED.to_owned(), does }
}

fn sotw(
    name: &'static str,
    token: Option<&str>,
    claimed: Claimed<'static>,
    reason: Reason,
) -> Connection {
    let does = Does::Sotw(token.map(str::to_owned), claimed);
    Connection { name, expected: reason.to_string(), does }
}

impl Connection {
    /// Runs the calls, each over its own connection.
    pub(super) async fn drive(self, gateway: SocketAddr, ca: &str) -> anyhow::Result<Seen> {
        let proxy = zone_proxy::Connection::open(gateway, ca).await?;
        Ok(match self.does {
            Does::Sotw(token, claimed) => outcome(proxy.sotw(token.as_deref(), claimed).await),
            Does::Delta(token, claimed) => outcome(proxy.delta(token.as_deref(), claimed).await),
            Does::Hds => outcome(proxy.hds(None).await),
            Does::Bootstrap(proxy_type, token) => {
                let body = json!({ "proxyType": proxy_type, "dataplaneToken": token }).to_string();
                let headers = vec![("content-type", b"application/json".to_vec())];
                let (chunks, end) = (vec![body.into_bytes()], End::Stream);
                let (method, path) = ("POST", BOOTSTRAP);
                let request = RawRequest { method, path, headers, chunks, end };
                answer(&RawConnection::open(gateway, ca).await?.send(request).await?)
            }
            Does::Raw { path, authorization, chunks } => {
                let mut headers = vec![("content-type", b"application/grpc".to_vec())];
                let tokens = authorization.into_iter().map(String::into_bytes);
                headers.extend(tokens.map(|token| ("authorization", token)));
                let (method, end) = ("POST", End::Never);
                let request = RawRequest { method, path, headers, chunks, end };
                answer(&RawConnection::open(gateway, ca).await?.send(request).await?)
            }
        })
    }
}

fn outcome<T>(opened: Result<T, Status>) -> Seen {
    match opened {
        Ok(_) => Seen { verdict: ALLOWED.to_owned(), message: String::new() },
        Err(status) => refused(status.message()),
    }
}

fn answer(answer: &Answer) -> Seen {
    match answer.grpc_message() {
        Some(message) => refused(&message),
        None if answer.status == 200 => {
            Seen { verdict: ALLOWED.to_owned(), message: String::new() }
        }
        None => refused(&answer.text()),
    }
}

/// The reason is between `zonegate: ` and the next colon.
fn refused(message: &str) -> Seen {
    let reason = message.strip_prefix("zonegate: ").and_then(|rest| rest.split(':').next());
    let verdict = reason.unwrap_or("another error").to_owned();
    Seen { verdict, message: message.to_owned() }
}
