//! The tokens of a run.
//!
//! In: a folder. Out: a signing key, and any number of distinct tokens. Signing a token takes a millisecond or two, so
//! the folder keeps the tokens for the next run.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::{Context, anyhow};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use uuid::Uuid;
use zonegate_issuer::{DEFAULT_BITS, DataplaneTokenRequest, Scope, SigningKey, ZoneTokenRequest};
use zonegate_testkit::zone_proxy::Claimed;

use crate::client::ClaimedProxy;

/// The kid of the key that every subject knows.
pub(crate) const KID: &str = "1";
/// The zone of every gateway here.
pub(crate) const ZONE: &str = "zone-1";

/// The mesh of every dataplane here.
pub(crate) const MESH: &str = "default";
/// The kid of the mesh's key: it differs from [`KID`], so that the kid tells the kind of a token.
pub(crate) const DATAPLANE_KID: &str = "dp-1";
/// A proxy that claims to be the dataplane of the tokens of [`Kind::Dataplane`].
pub(crate) const DATAPLANE: ClaimedProxy = ClaimedProxy {
    node_id: "default.backend-1",
    claimed: Claimed {
        proxy_type: Some("dataplane"),
        resource: Some(
            r#"{"type":"Dataplane","mesh":"default","name":"backend-1","labels":{"kuma.io/env":"universal","kuma.io/mesh":"default","kuma.io/origin":"zone","kuma.io/zone":"zone-1"},"networking":{"address":"192.168.0.1","inbound":[{"port":11011,"servicePort":11012,"serviceAddress":"127.0.0.1","tags":{"kuma.io/service":"backend","kuma.io/protocol":"http","version":"2.0"}}],"outbound":[{"port":33033,"tags":{"kuma.io/service":"database"}}],"admin":{"port":9901}}}"#,
        ),
    },
};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A key, and the folder with its tokens.
pub(crate) struct Tokens {
    pub(crate) key: SigningKey,
    folder: PathBuf,
}

/// A kind of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Zone tokens that are good for years.
    Good,
    /// Zone tokens that expired weeks ago.
    Expired,
    /// Zone tokens whose ids are on the lists of [`revoked_ids`]: one in [`Kind::STEP`] of the listed ids.
    Revoked,
    /// Dataplane tokens that are good for years, for [`DATAPLANE`].
    Dataplane,
}

impl Kind {
    const STEP: usize = 15;

    /// The place of the token at `index` among all ids.
    fn place(self, index: usize) -> usize {
        match self {
            Self::Revoked => index * Self::STEP,
            Self::Good => 10_000_000 + index,
            Self::Expired => 20_000_000 + index,
            Self::Dataplane => 30_000_000 + index,
        }
    }
}

/// The ids that a list of `count` revokes. No token but the [`Kind::Revoked`] has one of them.
pub(crate) fn revoked_ids(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|place| id(place).to_string())
}

/// The id at a place.
fn id(place: usize) -> Uuid {
    const FIRST: u128 = 0x6f1c_2a00_7d5e_4b3a_9c41_0000_0000_0000;
    // Spread over all bits, as random ids are.
    Uuid::from_u128((FIRST + place as u128).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
}

impl Tokens {
    /// Reads the key in `folder`, or makes one.
    pub(crate) fn open(folder: &Path) -> anyhow::Result<Self> {
        let folder = folder.join("tokens");
        fs::create_dir_all(&folder)?;
        let file = folder.join("signing-key.pem");
        let key = match fs::read_to_string(&file) {
            Ok(pem) => SigningKey::from_pem(&pem)?,
            Err(_) => {
                let key = SigningKey::generate(DEFAULT_BITS)?;
                fs::write(&file, key.to_pem().as_bytes())?;
                key
            }
        };
        Ok(Self { key, folder })
    }

    /// The first `count` tokens, all distinct, the same in every run.
    pub(crate) fn of(&self, kind: Kind, count: usize) -> anyhow::Result<Vec<String>> {
        let file = self.folder.join(format!("{kind:?}.txt").to_lowercase());
        let kept = fs::read_to_string(&file).unwrap_or_default();
        let mut tokens: Vec<String> = kept.lines().map(str::to_owned).collect();
        if tokens.len() < count {
            let missing = tokens.len()..count;
            eprintln!("signing {} tokens (kept for the next run)", missing.len());
            tokens.extend(self.sign(missing.collect(), kind)?);
            fs::write(&file, tokens.join("\n")).context("keeping the tokens")?;
        }
        tokens.truncate(count);
        Ok(tokens)
    }

    fn sign(&self, indices: Vec<usize>, kind: Kind) -> anyhow::Result<Vec<String>> {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let share = indices.len().div_ceil(threads).max(1);
        thread::scope(|scope| {
            let sign_all = |part: &[usize]| {
                part.iter().map(|index| self.issue(*index, kind)).collect::<Result<Vec<_>, _>>()
            };
            let workers: Vec<_> =
                indices.chunks(share).map(|part| scope.spawn(move || sign_all(part))).collect();
            let mut tokens = Vec::with_capacity(indices.len());
            for worker in workers {
                tokens.extend(worker.join().map_err(|_| anyhow!("a signer panicked"))??);
            }
            Ok(tokens)
        })
    }

    fn issue(&self, index: usize, kind: Kind) -> anyhow::Result<String> {
        let now = SystemTime::now();
        let id = id(kind.place(index)).to_string();
        let (now, valid_for) = match kind {
            Kind::Good | Kind::Revoked => (now, 3650 * DAY),
            Kind::Expired => (now - 30 * DAY, DAY),
            Kind::Dataplane => return self.issue_dataplane(id, now),
        };
        let request = ZoneTokenRequest {
            zone: ZONE.to_owned(),
            scope: Scope::ZONE_PROXIES.to_vec(),
            valid_for,
            kid: KID.to_owned(),
            now,
            not_before: None,
            id,
        };
        Ok(request.issue(&self.key)?)
    }

    /// Issues a token with every restriction that a dataplane token can have, but for the workload.
    fn issue_dataplane(&self, id: String, now: SystemTime) -> anyhow::Result<String> {
        let service = ("kuma.io/service".to_owned(), BTreeSet::from(["backend".to_owned()]));
        let request = DataplaneTokenRequest {
            name: "backend-1".to_owned(),
            mesh: MESH.to_owned(),
            tags: BTreeMap::from([service]),
            proxy_type: None,
            workload: String::new(),
            valid_for: 3650 * DAY,
            kid: DATAPLANE_KID.to_owned(),
            now,
            not_before: None,
            id,
        };
        Ok(request.issue(&self.key)?)
    }
}

/// `token` with another kid, which no subject knows.
pub(crate) fn with_unknown_kid(token: &str, kid: &str) -> String {
    let header = json!({ "alg": "RS256", "kid": kid, "typ": "JWT" });
    let header = URL_SAFE_NO_PAD.encode(header.to_string());
    let rest = token.split_once('.').map_or("", |(_, rest)| rest);
    format!("{header}.{rest}")
}

/// Each token with the signature of the next one.
pub(crate) fn with_wrong_signatures(tokens: &[String]) -> Vec<String> {
    let split = |token: &str| token.rsplit_once('.').map(|(a, b)| (a.to_owned(), b.to_owned()));
    let parts: Vec<_> = tokens.iter().filter_map(|token| split(token)).collect();
    let signatures = parts.iter().map(|(_, signature)| signature).cycle().skip(1);
    parts.iter().zip(signatures).map(|((signed, _), other)| format!("{signed}.{other}")).collect()
}

/// Texts as long as `token`, of three segments of random bytes, as a scanner may send.
pub(crate) fn garbage_like(token: &str, count: usize) -> Vec<String> {
    let mut random = StdRng::seed_from_u64(5678);
    let lengths: Vec<usize> = token.split('.').map(|segment| segment.len() * 3 / 4).collect();
    let mut segment = |length: &usize| {
        let mut bytes = vec![0; *length];
        random.fill_bytes(&mut bytes);
        URL_SAFE_NO_PAD.encode(bytes)
    };
    let mut text = || lengths.iter().map(&mut segment).collect::<Vec<_>>().join(".");
    (0..count).map(|_| text()).collect()
}
