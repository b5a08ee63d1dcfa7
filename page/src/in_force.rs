//! The part of a policy that the page shows.
//!
//! In: a configuration that was accepted. Out: [`InForce`]: names, numbers and fingerprints. It holds no keys and no
//! lists of ids, so it stays small for a policy of any length.

use zonegate::config::Config;
use zonegate::credential::Kind;
use zonegate::gate::{Mode, RevocationRule};
use zonegate::revocation::RevocationList;
use zonegate::token::KeySet;

/// The part of a policy that the page shows.
#[derive(Debug, Clone)]
pub struct InForce {
    /// The text that tells pushes apart; empty if the configuration has none.
    pub generation: String,
    /// Whether refusals are enforced.
    pub mode: Mode,
    /// The zone of the control plane; `None` for a global control plane.
    pub zone: Option<String>,
    /// The keys.
    pub keys: Vec<Key>,
    /// The lists of revoked ids, without empty ones.
    pub revoked_ids: Vec<RevokedIds>,
    /// Rules that revoke tokens by their claims.
    pub rules: Vec<RevocationRule>,
    /// Warnings about settings that may not be intended.
    pub warnings: Vec<String>,
}

/// A key that verifies tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The kind of tokens.
    pub kind: Kind,
    /// The mesh of the key; `None` if the key is not for one mesh.
    pub mesh: Option<String>,
    /// Its kid.
    pub kid: String,
    /// The name under which its tokens are counted.
    pub label: String,
    /// The algorithm, and the length of the key.
    pub algorithm: String,
    /// Its fingerprint.
    pub fingerprint: String,
}

/// A list of revoked ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevokedIds {
    /// The kind of tokens.
    pub kind: Kind,
    /// The mesh of the list; `None` if the list is not for one mesh.
    pub mesh: Option<String>,
    /// The number of ids.
    pub ids: usize,
    /// Whether every token without an ID is revoked.
    pub has_empty_entry: bool,
}

impl InForce {
    /// Extracts the shown part of a configuration that is in force.
    pub fn of(config: &Config) -> Self {
        let policy = &config.policy;
        Self {
            generation: config.generation.clone(),
            mode: policy.mode,
            zone: policy.zone().map(str::to_owned),
            keys: keys(config),
            revoked_ids: revoked_ids(config),
            rules: policy.revocation_rules.clone(),
            warnings: config.warnings.iter().map(ToString::to_string).collect(),
        }
    }

    /// How many ids are revoked.
    pub fn ids(&self) -> usize {
        self.revoked_ids.iter().map(|list| list.ids).fold(0, usize::saturating_add)
    }
}

fn keys(config: &Config) -> Vec<Key> {
    let issuers = &config.policy.issuers;
    let mut all = keys_of(Kind::ZoneToken, None, &issuers.zone_token.keys);
    all.extend(keys_of(Kind::DataplaneToken, None, &issuers.dp_token.all_meshes));
    for (mesh, issuer) in &issuers.dp_token.by_mesh {
        all.extend(keys_of(Kind::DataplaneToken, Some(mesh), &issuer.keys));
    }
    let accounts = &issuers.service_account_token.issuer.keys;
    all.extend(keys_of(Kind::ServiceAccountToken, None, accounts));
    all
}

fn keys_of(kind: Kind, mesh: Option<&String>, keys: &KeySet) -> Vec<Key> {
    // Both iterators are in the order of the kids.
    let keys = keys.iter().zip(keys.labelled()).map(|((kid, key), (label, _))| Key {
        kind,
        mesh: mesh.cloned(),
        kid: kid.to_owned(),
        label: label.to_owned(),
        algorithm: format!("{}, {} bits", key.algorithm().as_str(), key.bits()),
        fingerprint: key.fingerprint().to_string(),
    });
    keys.collect()
}

fn revoked_ids(config: &Config) -> Vec<RevokedIds> {
    let issuers = &config.policy.issuers;
    let list = |kind, mesh: Option<&String>, list: &RevocationList| RevokedIds {
        kind,
        mesh: mesh.cloned(),
        ids: list.ids(),
        has_empty_entry: list.has_empty_entry(),
    };
    let mut all = vec![list(Kind::ZoneToken, None, &issuers.zone_token.revocations)];
    for (mesh, issuer) in &issuers.dp_token.by_mesh {
        all.push(list(Kind::DataplaneToken, Some(mesh), &issuer.revocations));
    }
    let accounts = &issuers.service_account_token.issuer.revocations;
    all.push(list(Kind::ServiceAccountToken, None, accounts));
    all.retain(|list| list.ids > 0 || list.has_empty_entry);
    all
}
