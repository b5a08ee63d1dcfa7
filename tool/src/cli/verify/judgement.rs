//! The judgement: the filter's answer to a connection with this token.
//!
//! In: the text of a token, a configuration, who connects and the time. Out: a verdict for each caller. The connection
//! is artificial; the filter's own code judges its headers and its first message.

use anyhow::bail;
use zonegate::config::Config;
use zonegate::credential::{Kind, Token};
use zonegate::gate::{
    ADS_SOTW, Admission, Audience, Caller, Credential, Denial, Head, Held, KDS, Now, Permit,
    Policy, Profile, ProxyType, Refusal, RevocationRule, UnixTime, Verdict, XdsVariant,
};
use zonegate::token::{TokenError, Unverified};

use super::first_message::first_message;
use super::proxy::{GivenProxy, Proxy, ProxyArgs};
use crate::cli::failure::BadInput;
use crate::cli::inspect::likely_kind;
use crate::cli::pasted::Pasted;

/// Who connects.
pub(super) enum Connection {
    /// A proxy, to a dataplane server.
    Proxy(Box<GivenProxy>),
    /// A zone's control plane, to a global one; with the zone that it claims to be, or else the token's zone.
    ControlPlane(Option<String>),
}

impl Connection {
    /// The connection that the flags describe, if it fits the profile.
    pub(super) fn new(
        policy: &Policy,
        proxy: ProxyArgs,
        client_id: Option<String>,
    ) -> anyhow::Result<Self> {
        match (&policy.profile, client_id) {
            (Profile::DpServer(_), None) => Ok(Self::Proxy(Box::new(proxy.read()?))),
            (Profile::DpServer(_), Some(_)) => {
                bail!(BadInput("--client-id is for profile globalKds".into()))
            }
            (Profile::GlobalKds(_), _) if !proxy.is_empty() => bail!(BadInput(
                "--proxy-type and the other flags of a proxy cannot be used with profile globalKds: \
                 control planes connect there"
                    .into()
            )),
            (Profile::GlobalKds(_), client_id) => Ok(Self::ControlPlane(client_id)),
        }
    }
}

/// The result for a token.
pub(super) struct Judgement {
    /// The configuration that judged it.
    pub(super) config: Config,
    /// The time of the judgement.
    pub(super) now: UnixTime,
    /// The artificial proxy; `None` if a control plane connects.
    pub(super) proxy: Option<Proxy>,
    /// The callers and their verdicts.
    pub(super) verdicts: Verdicts,
    /// Why the text is not a bare token; `None` if it is.
    pub(super) fault: Option<String>,
    /// The verdicts on the token inside the text.
    pub(super) inner: Option<Verdicts>,
    /// The kind of token that its claims look like.
    likely_kind: Option<Kind>,
}

/// A verdict for each caller.
pub(super) type Verdicts = Vec<(Caller, Result<Permit, Denial>)>;

impl Judgement {
    /// Judges `text`.
    pub(super) fn of(text: &[u8], config: Config, connection: &Connection, now: UnixTime) -> Self {
        let (policy, clock) = (&config.policy, Now(Some(now)));
        let token = Unverified::new(text);
        let (proxy, verdicts) = match (connection, &policy.profile) {
            (Connection::Proxy(given), Profile::DpServer(server)) => {
                let proxy = given.with_assumptions(token);
                let judge = |proxy_type| {
                    let verdict = judge_proxy(policy, text, proxy_type, &proxy, clock);
                    (Caller::Proxy(proxy_type), verdict)
                };
                let verdicts = given.types(server, token).into_iter().map(judge).collect();
                (Some(proxy), verdicts)
            }
            // Only a control plane connects to a global one.
            (Connection::Proxy(_), Profile::GlobalKds(_)) => (None, Vec::new()),
            (Connection::ControlPlane(zone), _) => {
                let zone = zone.clone().unwrap_or_else(|| zone_of(text));
                let verdict = judge_control_plane(policy, text, &zone, clock);
                (None, vec![(Caller::ControlPlane, verdict)])
            }
        };
        let likely_kind = likely_kind(token);
        Self { config, now, proxy, verdicts, fault: None, inner: None, likely_kind }
    }

    /// Judges a text that was given as a token. A text with anything around the token is denied, because a gateway
    /// would get the whole text.
    pub(super) fn of_pasted(
        pasted: &Pasted,
        config: Config,
        connection: &Connection,
        now: UnixTime,
    ) -> Self {
        let mut judgement = Self::of(&pasted.token, config, connection, now);
        let Some(fault) = pasted.fault() else { return judgement };
        let denied = judgement
            .verdicts
            .iter()
            .map(|(caller, _)| (*caller, Err(Refusal::Token(TokenError::SegmentCount).into())))
            .collect();
        let verdicts = std::mem::replace(&mut judgement.verdicts, denied);
        judgement.fault = Some(fault);
        judgement.inner = pasted.is_wrapped().then_some(verdicts);
        judgement
    }

    /// Why the token is denied, in a sentence.
    pub(super) fn detail(&self) -> Option<String> {
        self.fault.clone().or_else(|| self.refusal().map(ToString::to_string))
    }

    /// Whether the filter would allow it.
    pub(super) fn is_allowed(&self) -> bool {
        self.verdicts.iter().any(|(_, verdict)| verdict.is_ok())
    }

    /// Why the token is denied, if it is.
    pub(super) fn refusal(&self) -> Option<&Refusal> {
        self.denial().map(|denial| &denial.refusal)
    }

    /// The rule that revokes the token, with its index, if there is one.
    pub(super) fn rule(&self) -> Option<(usize, &RevocationRule)> {
        match self.refusal()? {
            Refusal::RevokedByRule { rule } => {
                Some((*rule, self.config.policy.revocation_rules.get(*rule)?))
            }
            _ => None,
        }
    }

    /// The denial, with the facts known about the token, if it is denied.
    pub(super) fn denial(&self) -> Option<&Denial> {
        let denial = self.verdicts.first().and_then(|(_, verdict)| verdict.as_ref().err());
        denial.filter(|_| !self.is_allowed())
    }

    /// The permit, if the token is allowed.
    pub(super) fn permit(&self) -> Option<&Permit> {
        self.verdicts.iter().find_map(|(_, verdict)| verdict.as_ref().ok())
    }

    /// The kind of token as which it was judged: the verified kind, or else the kind that its caller needs.
    pub(super) fn kind(&self) -> Kind {
        let wanted = self.verdicts.first().and_then(|(caller, _)| self.wanted_by(*caller));
        let verified = self.token().map(Token::kind);
        verified.or(wanted).or(self.likely_kind).unwrap_or(Kind::ZoneToken)
    }

    /// The kind of token that a caller needs, if it needs one.
    fn wanted_by(&self, caller: Caller) -> Option<Kind> {
        match (caller, &self.config.policy.profile) {
            (Caller::Proxy(proxy), Profile::DpServer(server)) => {
                match server.proxies.admission(proxy) {
                    Admission::Token(kind) => Some(kind),
                    Admission::Pass | Admission::Deny => None,
                }
            }
            (Caller::ControlPlane, _) | (_, Profile::GlobalKds(_)) => Some(Kind::ZoneToken),
        }
    }

    /// The token, if it was verified.
    pub(super) fn token(&self) -> Option<&Token> {
        self.verdicts.iter().find_map(|(_, verdict)| match verdict {
            Ok(Permit::Token { token, .. }) => Some(&**token),
            Ok(Permit::Unchecked(_)) => None,
            Err(denial) => denial.token.as_deref(),
        })
    }
}

/// The zone that the unverified token names.
fn zone_of(text: &[u8]) -> String {
    let read = Kind::ZoneToken.read_unverified(Unverified::new(text)).and_then(Result::ok);
    read.map(|(_, claims)| claims.zone().to_owned()).unwrap_or_default()
}

fn judge_control_plane(
    policy: &Policy,
    text: &[u8],
    zone: &str,
    clock: Now,
) -> Result<Permit, Denial> {
    let path = KDS.first().copied().unwrap_or_default();
    let head = Head { client_id: vec![zone.as_bytes()], ..head(path, text) };
    conclude(policy.judge(&head, clock), |_, _| {
        Err(Refusal::PathDenied(Audience::ControlPlanes).into())
    })
}

fn judge_proxy(
    policy: &Policy,
    text: &[u8],
    proxy_type: ProxyType,
    proxy: &Proxy,
    clock: Now,
) -> Result<Permit, Denial> {
    conclude(policy.judge(&head(ADS_SOTW, text), clock), |variant, token| {
        policy.judge_first_message(variant, token, &first_message(proxy_type, proxy), clock)
    })
}

fn head<'a>(path: &'a str, token: &'a [u8]) -> Head<'a> {
    Head {
        method: b"POST",
        path: path.as_bytes(),
        content_type: vec![b"application/grpc"],
        authorization: vec![token],
        client_id: Vec::new(),
    }
}

/// The verdict, after the first message if the gate waits for it.
fn conclude(
    verdict: Verdict,
    on_first_message: impl FnOnce(XdsVariant, Result<Credential, Denial>) -> Result<Permit, Denial>,
) -> Result<Permit, Denial> {
    match verdict {
        Verdict::Allow(permit) => Ok(permit),
        Verdict::Deny(denial) => Err(denial),
        Verdict::Hold(Held::FirstMessage { variant, credential }) => {
            on_first_message(variant, credential)
        }
        // A stream is never a bootstrap request.
        Verdict::Hold(Held::Bootstrap) => Err(Refusal::PathDenied(Audience::Proxies).into()),
    }
}
