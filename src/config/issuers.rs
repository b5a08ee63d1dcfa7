//! Keys and revocations, of every kind of token.
//!
//! In: the fields that are set. Out: [`Issuers`], or one error with its path; and whether they are what the types of
//! proxy need. Which types connect is read in `profile`.

use std::collections::BTreeSet;
use std::fmt;

use super::raw::{PublicKeyItem, RawCluster, RawDpToken, RawJwk, RawServiceAccountToken};
use super::{ConfigError, Warning, revocation_list};
use crate::credential::{
    Cluster, DataplaneIssuers, Issuer, Issuers, Kind, ProxyType, ServiceAccountIssuers,
};
use crate::gate::{Admission, Profile};
use crate::revocation::RevocationList;
use crate::token::{
    Algorithm, KeyError, KeySet, P256Key, PublicKey, SignatureBackend, VerificationKey,
};

/// Keys and revocations as they are written.
pub(super) struct RawIssuers {
    pub(super) public_keys: Vec<PublicKeyItem>,
    pub(super) revocations: RevocationList,
    pub(super) dp_token: RawDpToken,
    pub(super) service_account_token: RawServiceAccountToken,
}

/// Where the keys of a kind stand.
pub(super) fn keys_path(kind: Kind) -> &'static str {
    match kind {
        Kind::ZoneToken => "publicKeys",
        Kind::DataplaneToken => "dpToken.publicKeys",
        Kind::ServiceAccountToken => "serviceAccountToken.issuers",
    }
}

/// Whether every kind of token that is in use has a key, and every key belongs to a kind that is in use.
///
/// # Errors
/// A kind that is used has none.
pub(super) fn judge_use(profile: &Profile, issuers: &Issuers) -> Result<Vec<Warning>, ConfigError> {
    let mut warnings = Vec::new();
    let is_used = Kind::ALL.into_iter().any(|kind| user(profile, kind).is_some());
    for kind in Kind::ALL {
        match (user(profile, kind), issuers.has_keys(kind)) {
            (Some(user), false) => {
                let why = format!("at least one key is required: {user} with {}", kind.as_str());
                return Err(ConfigError::new(keys_path(kind), why));
            }
            // Where nobody connects at all, every key is unused.
            (None, true) if is_used => warnings.push(Warning::UnusedKeys(kind)),
            (Some(_), true) | (None, _) => {}
        }
    }
    Ok(warnings)
}

/// Who connects with tokens of this kind, in words.
fn user(profile: &Profile, kind: Kind) -> Option<String> {
    match profile {
        Profile::GlobalKds(_) => {
            (kind == Kind::ZoneToken).then(|| "zone control planes connect".to_owned())
        }
        Profile::DpServer(server) => ProxyType::ALL
            .into_iter()
            .find(|proxy| server.proxies.admission(*proxy) == Admission::Token(kind))
            .map(|proxy| format!("proxies of type {proxy} connect")),
    }
}

/// What is odd about the revocations: at most one warning for each kind of oddity and list, however long the list is.
pub(super) fn odd_revocations(issuers: &Issuers) -> Vec<Warning> {
    let meshes = issuers.dp_token.by_mesh.iter();
    let meshes =
        meshes.map(|(mesh, issuer)| (format!("dpToken.revocations.{mesh}"), &issuer.revocations));
    let zone_tokens = [("revocations".to_owned(), &issuers.zone_token.revocations)];
    let service_accounts = [(
        "serviceAccountToken.revocations".to_owned(),
        &issuers.service_account_token.issuer.revocations,
    )];
    let mut warnings = Vec::new();
    for (path, list) in zone_tokens.into_iter().chain(meshes).chain(service_accounts) {
        if list.has_empty_entry() {
            warnings.push(Warning::EmptyRevocation(path.clone()));
        }
        let odd = list.odd().kinds().iter().cloned();
        warnings.extend(odd.map(|odd| Warning::OddRevocations(path.clone(), odd)));
    }
    warnings
}

impl RawIssuers {
    /// Reads them, with warnings of keys that are left out.
    pub(super) fn read(
        self,
        backend: &'static SignatureBackend,
    ) -> Result<(Issuers, Vec<Warning>), ConfigError> {
        let Self { public_keys, revocations, dp_token, service_account_token } = self;
        let mut keys = KeySet::new(backend);
        for (index, item) in public_keys.into_iter().enumerate() {
            let PublicKeyItem { kid, mesh, key, key_file } = item;
            let place = Place { list: "publicKeys", index };
            if !mesh.is_empty() {
                return Err(place.error("mesh", &"keys of a mesh belong into dpToken.publicKeys"));
            }
            place.insert(&mut keys, kid, &key, &key_file)?;
        }
        let mut warnings = Vec::new();
        let issuers = Issuers {
            zone_token: Issuer { keys, revocations },
            dp_token: dataplane_issuers(dp_token, backend)?,
            service_account_token: service_account_issuers(
                service_account_token,
                backend,
                &mut warnings,
            )?,
        };
        Ok((issuers, warnings))
    }
}

fn dataplane_issuers(
    raw: RawDpToken,
    backend: &'static SignatureBackend,
) -> Result<DataplaneIssuers, ConfigError> {
    let RawDpToken { public_keys, use_secrets, revocations, require_workload } = raw;
    if use_secrets {
        return Err(ConfigError::new("dpToken.useSecrets", super::USE_SECRETS));
    }
    let key_set = |mesh: &str| KeySet::with_label_prefix(backend, format!("{mesh}/"));
    let new_issuer = |mesh: &str| Issuer { keys: key_set(mesh), ..Issuer::default() };
    let mut issuers =
        DataplaneIssuers { all_meshes: key_set("*"), require_workload, ..Default::default() };
    for (index, item) in public_keys.into_iter().enumerate() {
        let PublicKeyItem { kid, mesh, key, key_file } = item;
        let place = Place { list: "dpToken.publicKeys", index };
        let keys = match mesh.as_str() {
            "" => &mut issuers.all_meshes,
            name => {
                let issuer = issuers.by_mesh.entry(mesh.clone());
                &mut issuer.or_insert_with(|| new_issuer(name)).keys
            }
        };
        place.insert(keys, kid, &key, &key_file)?;
    }
    for (mesh, raw) in revocations {
        let list = revocation_list(&format!("dpToken.revocations.{mesh}"), &raw)?;
        if mesh.is_empty() {
            return Err(ConfigError::new("dpToken.revocations", "a mesh without a name"));
        }
        let issuer = issuers.by_mesh.entry(mesh.clone());
        issuer.or_insert_with(|| new_issuer(&mesh)).revocations = list;
    }
    Ok(issuers)
}

fn service_account_issuers(
    raw: RawServiceAccountToken,
    backend: &'static SignatureBackend,
    warnings: &mut Vec<Warning>,
) -> Result<ServiceAccountIssuers, ConfigError> {
    let RawServiceAccountToken { issuers, service_accounts, revocations } = raw;
    let prefix = format!("{}/", Kind::ServiceAccountToken.as_str());
    let mut keys = KeySet::with_label_prefix(backend, prefix);
    let mut clusters = Vec::new();
    for (index, cluster) in issuers.into_iter().enumerate() {
        let path = format!("serviceAccountToken.issuers[{index}]");
        clusters.push(read_cluster(cluster, &path, &mut keys, warnings)?);
    }
    for (index, account) in service_accounts.iter().enumerate() {
        let is_full = account.split_once('/').is_some_and(|(namespace, name)| {
            !namespace.is_empty() && !name.is_empty() && !name.contains('/')
        });
        if !is_full {
            let path = format!("serviceAccountToken.serviceAccounts[{index}]");
            return Err(ConfigError::new(
                path,
                format_args!("{account:?}: must be namespace/name"),
            ));
        }
    }
    let revocations = revocation_list("serviceAccountToken.revocations", &revocations)?;
    // Not collected: that would bring a sort of texts into the module.
    let mut allowed = BTreeSet::new();
    allowed.extend(service_accounts);
    Ok(ServiceAccountIssuers {
        issuer: Issuer { keys, revocations },
        clusters,
        allowed: (!allowed.is_empty()).then_some(allowed),
    })
}

/// Reads a cluster. Where no audience is named, the API server's own is meant, which is its issuer.
fn read_cluster(
    raw: RawCluster,
    path: &str,
    keys: &mut KeySet,
    warnings: &mut Vec<Warning>,
) -> Result<Cluster, ConfigError> {
    let RawCluster { issuer, mut audiences, jwks } = raw;
    if issuer.is_empty() {
        return Err(ConfigError::new(format!("{path}.issuer"), "must not be empty"));
    }
    if audiences.is_empty() {
        audiences.push(issuer.clone());
    }
    let mut kids = BTreeSet::new();
    for (index, jwk) in jwks.keys.into_iter().enumerate() {
        let path = format!("{path}.jwks.keys[{index}]");
        match read_jwk(jwk, &path)? {
            Jwk::Key(kid, key) => {
                insert_shared(keys, &kid, key, &path)?;
                kids.insert(kid);
            }
            Jwk::OtherAlgorithm(what) => warnings.push(Warning::OtherAlgorithm(path, what)),
            Jwk::SignsNothing => {}
        }
    }
    Ok(Cluster { issuer, audiences, kids })
}

/// What a JWK is.
enum Jwk {
    /// A key, and its kid.
    Key(String, VerificationKey),
    /// A key with which tokens may not be signed; for what it is.
    OtherAlgorithm(String),
    /// A key for something else (`use`).
    SignsNothing,
}

fn read_jwk(jwk: RawJwk, path: &str) -> Result<Jwk, ConfigError> {
    let RawJwk { kty, kid, alg, usage, n, e, crv, x, y } = jwk;
    let error = |field: &str, problem: &dyn fmt::Display| {
        ConfigError::new(format!("{path}.{field}"), problem)
    };
    if usage == "enc" {
        return Ok(Jwk::SignsNothing);
    }
    // `alg` need not be there (RFC 7517 §4.4); the API server writes it.
    let algorithm = match (kty.as_str(), crv.as_str(), alg.as_str()) {
        ("RSA", _, "RS256" | "") => Algorithm::Rs256,
        ("EC", "P-256", "ES256" | "") => Algorithm::Es256,
        (_, _, "") => return Ok(Jwk::OtherAlgorithm(format!("{kty} {crv}"))),
        _ => return Ok(Jwk::OtherAlgorithm(alg)),
    };
    if kid.is_empty() {
        return Err(error("kid", &"must not be empty"));
    }
    let key: Result<VerificationKey, KeyError> = match algorithm {
        Algorithm::Rs256 => PublicKey::from_jwk(&n, &e).map(Into::into),
        Algorithm::Es256 => P256Key::from_jwk(&x, &y).map(Into::into),
    };
    let field = number_of(algorithm);
    Ok(Jwk::Key(kid, key.map_err(|problem| error(field, &problem))?))
}

/// The member of a JWK at which a key that cannot be used is shown.
fn number_of(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Rs256 => "n",
        Algorithm::Es256 => "x",
    }
}

/// Adds a key. Several clusters may share a key, but two different keys must not have the same kid.
fn insert_shared(
    keys: &mut KeySet,
    kid: &str,
    key: VerificationKey,
    path: &str,
) -> Result<(), ConfigError> {
    if keys.get(kid).is_some_and(|other| other.spki_der() != key.spki_der()) {
        let problem = format_args!("{kid:?} occurs twice, with two keys");
        return Err(ConfigError::new(format!("{path}.kid"), problem));
    }
    let field = number_of(key.algorithm());
    keys.insert(kid.to_owned(), key)
        .map_err(|problem| ConfigError::new(format!("{path}.{field}"), problem))
}

/// A place in a list of keys.
struct Place {
    list: &'static str,
    index: usize,
}

impl Place {
    fn error(&self, field: &str, problem: &dyn fmt::Display) -> ConfigError {
        ConfigError::new(format!("{}[{}].{field}", self.list, self.index), problem)
    }

    /// Reads a key that is written as PEM and adds it to `keys`.
    fn insert(
        &self,
        keys: &mut KeySet,
        kid: String,
        key: &str,
        key_file: &str,
    ) -> Result<(), ConfigError> {
        if !key_file.is_empty() {
            return Err(self.error("keyFile", &"the gate reads no files; put the PEM into key"));
        }
        if kid.is_empty() {
            return Err(self.error("kid", &"must not be empty"));
        }
        // Kuma would take the last one, silently.
        if keys.contains(&kid) {
            return Err(self.error("kid", &format_args!("{kid:?} occurs twice")));
        }
        let public = PublicKey::from_pem(key).map_err(|problem| self.error("key", &problem))?;
        keys.insert(kid, public).map_err(|problem| self.error("key", &problem))
    }
}
