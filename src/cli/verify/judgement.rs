//! The judgement: what the filter would answer to a stream with this token.
//!
//! In: the text of a token, a configuration, a proxy type and the time. Out: a verdict for each proxy
//! type that was asked about. The stream is made up; its headers and its first message go through the
//! filter's own code.

use prost::Message;

use crate::config::Config;
use crate::demo::zone_proxy::{Claimed, discovery_request};
use crate::gate::{
    ADS_SOTW, Clock, Denial, Head, Held, Permit, Policy, ProxyType, Refusal, Served, UnixTime,
    Verdict,
};
use crate::token::ZoneToken;

/// What became of a token.
pub(super) struct Judgement {
    /// By what it was judged.
    pub(super) config: Config,
    /// When.
    pub(super) now: UnixTime,
    /// As what, and the verdict.
    pub(super) verdicts: Vec<(ProxyType, Result<Permit, Denial>)>,
}

impl Judgement {
    /// Judges `text`; without a `proxy`, as both zone proxies.
    pub(super) fn of(text: &[u8], config: Config, proxy: Option<ProxyType>, now: UnixTime) -> Self {
        let proxies =
            proxy.map_or(vec![ProxyType::Ingress, ProxyType::Egress], |proxy| vec![proxy]);
        let judge = |proxy| (proxy, judge(&config.policy, text, proxy, Clock(Some(now))));
        let verdicts = proxies.into_iter().map(judge).collect();
        Self { config, now, verdicts }
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
    pub(super) fn token(&self) -> Option<&ZoneToken> {
        self.verdicts.iter().find_map(|(_, verdict)| match verdict {
            Ok(Permit::ZoneToken { token, .. }) => Some(token),
            Ok(Permit::Unchecked(_)) => None,
            Err(denial) => denial.token.as_deref(),
        })
    }
}

fn judge(policy: &Policy, text: &[u8], proxy: ProxyType, clock: Clock) -> Result<Permit, Denial> {
    let head = Head {
        method: b"POST",
        path: ADS_SOTW.as_bytes(),
        content_type: vec![b"application/grpc"],
        authorization: vec![text],
        client_id: Vec::new(),
    };
    match policy.judge(&head, clock) {
        Verdict::Allow(permit) => Ok(permit),
        Verdict::Deny(denial) => Err(denial),
        Verdict::Hold(Held::FirstMessage { form, token }) => {
            policy.judge_first_message(form, token, &first_message(proxy), clock)
        }
        // ADS is no bootstrap request.
        Verdict::Hold(Held::Bootstrap) => Err(Refusal::PathDenied(Served::ZoneProxies).into()),
    }
}

fn first_message(proxy: ProxyType) -> Vec<u8> {
    let claimed = match proxy {
        ProxyType::Ingress => Claimed::INGRESS,
        ProxyType::Egress => Claimed::EGRESS,
        ProxyType::Dataplane => Claimed::DATAPLANE,
    };
    discovery_request(claimed).encode_to_vec()
}
