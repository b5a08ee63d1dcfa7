//! The real kuma-cp, asked over gRPC: one stream per case, many at a time, none left open.
//!
//! Its keys, its zone and its clock are fixed. Its revocations are set through its API, one text for a whole run.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use futures_util::{StreamExt, TryStreamExt, stream};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use zonegate_testkit::certificates::Certificates;
use zonegate_testkit::kuma::{
    ControlPlane, Home, Judge, Kind, Options, StaticKey, ZoneProxyAuthentication,
};

use crate::engine::cases::{Case, RINGS, public_key};
use crate::engine::{Answer, Jwt, Oracle};

/// The number of streams that are asked at the same time.
const AT_ONCE: usize = 64;
/// The zone of every case that draws no other zone.
const ZONE: &str = "zone-1";
const REVOCATIONS: &str = "zone-token-revocations";

/// A running control plane. It is killed when it is dropped.
pub(crate) struct KumaCp {
    runtime: Runtime,
    control_plane: ControlPlane,
    certificates: Certificates,
    revocations: String,
    jwt: Jwt,
    _dir: TempDir,
}

/// A client that asks the control plane.
pub(crate) struct Asking<'a> {
    control_plane: &'a KumaCp,
    judge: Arc<Judge>,
}

impl KumaCp {
    /// Starts a control plane with the keys of the ring of the fixed surroundings.
    pub(crate) fn start(home: &Home) -> anyhow::Result<Self> {
        let dir = TempDir::new()?;
        let certificates = Certificates::generate(dir.path())?;
        let mut options = Options::new(ZONE, &certificates.control_plane);
        let keys = RINGS[1].keys.iter();
        let key = |(kid, name): &(&str, &str)| StaticKey {
            kid: (*kid).to_owned(),
            key: public_key(name).to_owned(),
        };
        options.public_keys = keys.map(key).collect();
        options.zone_proxies = ZoneProxyAuthentication::StaticKeys;
        // Without this, a revocation takes effect only after some time.
        options.environment.push(("KUMA_STORE_CACHE_ENABLED".to_owned(), "false".to_owned()));
        let runtime = Runtime::new()?;
        let control_plane = runtime.block_on(ControlPlane::start(home, &options))?;
        let jwt = if home.release().is_before(2, 11) { Jwt::V4 } else { Jwt::V5 };
        Ok(Self {
            runtime,
            control_plane,
            certificates,
            revocations: String::new(),
            jwt,
            _dir: dir,
        })
    }

    /// Sets the text of `zone-token-revocations`.
    pub(crate) fn revoke(&mut self, text: &str) -> anyhow::Result<()> {
        self.revocations = text.to_owned();
        let api = self.control_plane.api();
        self.runtime.block_on(api.set_secret(REVOCATIONS, text.as_bytes()))
    }

    pub(crate) fn ask(&self) -> anyhow::Result<Asking<'_>> {
        let judge = Judge::open(self.control_plane.address(), &self.certificates.ca, 2);
        Ok(Asking { control_plane: self, judge: Arc::new(self.runtime.block_on(judge)?) })
    }
}

impl Oracle for Asking<'_> {
    fn jwt(&self) -> Jwt {
        self.control_plane.jwt
    }

    fn judge(&mut self, cases: &[Case]) -> anyhow::Result<Vec<Answer>> {
        let answers = stream::iter(cases).map(|case| answer(&self.judge, case));
        self.control_plane.runtime.block_on(answers.buffered(AT_ONCE).try_collect())
    }

    fn surround(&self, case: &mut Case) {
        case.revocations.clone_from(&self.control_plane.revocations);
    }

    fn clock(&self) -> Option<Duration> {
        Some(now())
    }
}

async fn answer(judge: &Judge, case: &Case) -> anyhow::Result<Answer> {
    let values: Vec<&[u8]> = case.authorization.iter().map(String::as_bytes).collect();
    if !values.iter().all(|value| is_carried_by_http(value)) {
        return Ok(Answer::Unasked);
    }
    let kind = if case.proxy == "ingress" { Kind::Ingress } else { Kind::Egress };
    let verdict = judge.verdict(kind, &values).await;
    let verdict = verdict.with_context(|| format!("{:?}", case.authorization))?;
    Ok(verdict.map_or_else(Answer::Refuse, |()| Answer::Accept))
}

/// No control character but a tab, and no space at an end (RFC 9110 §5.5).
fn is_carried_by_http(value: &[u8]) -> bool {
    let carried = |byte: &u8| *byte == b'\t' || !byte.is_ascii_control();
    value.trim_ascii() == value && value.iter().all(carried)
}

/// The time since 1970.
pub(crate) fn now() -> Duration {
    SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default()
}
