//! The judgement: what the filter would answer to a connection with this token.
//!
//! In: the text of a token, a configuration, who connects and the time. Out: a verdict for each caller
//! that was asked about. The connection is made up; its headers and its first message go through the
//! filter's own code.

use anyhow::bail;
use zonegate::config::Config;
use zonegate::credential::{Kind, Token};
use zonegate::gate::{
    ADS_SOTW, Audience, Caller, Credential, Denial, Head, Held, KDS, Now, Permit, Policy, Profile,
    ProxyType, Refusal, UnixTime, Verdict, XdsVariant,
};
use zonegate::token::{TokenError, Unverified};

use super::first_message::first_message;
use crate::cli::failure::BadInput;
use crate::cli::pasted::Pasted;

/// Who connects.
pub(super) enum Connection {
    /// Zone proxies of these types, to a dataplane server.
    Proxies(Vec<ProxyType>),
    /// A zone's control plane, to a global one; the zone that it says it is, or the token's.
    ControlPlane(Option<String>),
}

impl Connection {
    /// What can connect to what stands behind the gate.
    pub(super) fn new(
        policy: &Policy,
        proxy: Option<ProxyType>,
        client_id: Option<String>,
    ) -> anyhow::Result<Self> {
        match (&policy.profile, proxy, client_id) {
            (Profile::DpServer(_), None, None) => {
                Ok(Self::Proxies(vec![ProxyType::Ingress, ProxyType::Egress]))
            }
            (Profile::DpServer(_), Some(proxy), None) => Ok(Self::Proxies(vec![proxy])),
            (Profile::DpServer(_), _, Some(_)) => {
                bail!(BadInput("--client-id is for a configuration with profile globalKds".into()))
            }
            (Profile::GlobalKds, Some(_), _) => bail!(BadInput(
                "--proxy-type does not go with profile globalKds: control planes connect there"
                    .into()
            )),
            (Profile::GlobalKds, None, client_id) => Ok(Self::ControlPlane(client_id)),
        }
    }
}

/// What became of a token.
pub(super) struct Judgement {
    /// By what it was judged.
    pub(super) config: Config,
    /// When.
    pub(super) now: UnixTime,
    /// Whose it would be, and the verdict.
    pub(super) verdicts: Verdicts,
    /// Why the text is no bare token, where it is none.
    pub(super) fault: Option<String>,
    /// What would become of the token in it, alone.
    pub(super) inner: Option<Verdicts>,
}

/// For each caller that was asked about.
pub(super) type Verdicts = Vec<(Caller, Result<Permit, Denial>)>;

impl Judgement {
    /// Judges `text`.
    pub(super) fn of(text: &[u8], config: Config, connection: &Connection, now: UnixTime) -> Self {
        let (policy, clock) = (&config.policy, Now(Some(now)));
        let verdicts = match connection {
            Connection::Proxies(proxies) => proxies
                .iter()
                .map(|proxy| (Caller::Proxy(*proxy), judge_proxy(policy, text, *proxy, clock)))
                .collect(),
            Connection::ControlPlane(zone) => {
                let zone = zone.clone().unwrap_or_else(|| zone_of(text));
                vec![(Caller::ControlPlane, judge_control_plane(policy, text, &zone, clock))]
            }
        };
        Self { config, now, verdicts, fault: None, inner: None }
    }

    /// Judges what was given for a token. A text that is more than one is denied, whatever is in it: a gateway
    /// would be sent the whole.
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

    /// Why it is denied, in a sentence.
    pub(super) fn detail(&self) -> Option<String> {
        self.fault.clone().or_else(|| self.refusal().map(ToString::to_string))
    }

    /// Whether the filter would let it in.
    pub(super) fn is_allowed(&self) -> bool {
        self.verdicts.iter().any(|(_, verdict)| verdict.is_ok())
    }

    /// Why it is denied, where it is.
    pub(super) fn refusal(&self) -> Option<&Refusal> {
        let denial = self.verdicts.first().and_then(|(_, verdict)| verdict.as_ref().err());
        denial.filter(|_| !self.is_allowed()).map(|denial| &denial.refusal)
    }

    /// The token, where it was verified.
    pub(super) fn token(&self) -> Option<&Token> {
        self.verdicts.iter().find_map(|(_, verdict)| match verdict {
            Ok(Permit::Token { token, .. }) => Some(&**token),
            Ok(Permit::Unchecked(_)) => None,
            Err(denial) => denial.token.as_deref(),
        })
    }
}

/// The zone that the token names; nobody needs to believe it.
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
    proxy: ProxyType,
    clock: Now,
) -> Result<Permit, Denial> {
    conclude(policy.judge(&head(ADS_SOTW, text), clock), |variant, token| {
        policy.judge_first_message(variant, token, &first_message(proxy), clock)
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

/// The verdict, once the first message has come where it is waited for.
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
        // No stream is a bootstrap request.
        Verdict::Hold(Held::Bootstrap) => Err(Refusal::PathDenied(Audience::Proxies).into()),
    }
}
