//! Who issues tokens: keys and revocations, by kind, by mesh, by cluster.
//!
//! In: a kid, before it is known who connects; a kind and a mesh, after that. Out: the key that may have signed a
//! token. No signature is checked here.

use super::{DataplaneIssuers, Identity, Kind, ServiceAccountIssuers};
use crate::revocation::RevocationList;
use crate::token::{Algorithm, Fingerprint, KeySet, VerificationKey};

/// An issuer of tokens.
#[derive(Debug, Default)]
pub struct Issuer {
    /// The keys that sign.
    pub keys: KeySet,
    /// The revoked ids.
    pub revocations: RevocationList,
}

/// All issuers of tokens that are accepted here.
#[derive(Debug, Default)]
pub struct Issuers {
    /// Of zone tokens.
    pub zone_token: Issuer,
    /// Of dataplane tokens.
    pub dp_token: DataplaneIssuers,
    /// Of service-account tokens.
    pub service_account_token: ServiceAccountIssuers,
}

/// The keys and revocations for a token.
#[derive(Debug, Clone, Copy)]
pub struct IssuerOf<'a> {
    /// If a kid is in both, the first counts.
    keys: [Option<&'a KeySet>; 2],
    revocations: Option<&'a RevocationList>,
}

/// The keys that may have signed a token with a kid, before it is known who holds the token.
#[derive(Debug, Clone, Copy)]
pub enum Candidates<'a> {
    /// None.
    None,
    /// Only this key, as a key of this kind of token.
    One(Kind, &'a KeySet),
    /// Several keys: the holder decides.
    Several,
}

impl<'a> IssuerOf<'a> {
    pub(super) fn new(
        keys: [Option<&'a KeySet>; 2],
        revocations: Option<&'a RevocationList>,
    ) -> Self {
        Self { keys, revocations }
    }

    /// The set of keys that has `kid`; `None` if no set has it.
    pub fn keys(self, kid: &str) -> Option<&'a KeySet> {
        self.keys.into_iter().flatten().find(|keys| keys.contains(kid))
    }

    /// Whether the key of this kid has this fingerprint.
    pub fn holds(self, kid: &str, key: Fingerprint) -> bool {
        self.keys(kid).is_some_and(|keys| keys.holds(kid, key))
    }

    /// Whether the token of this ID is revoked.
    pub fn revokes(self, id: &str) -> bool {
        self.revocations.is_some_and(|revocations| revocations.contains(id))
    }
}

impl Issuers {
    /// The keys and revocations for tokens of `kind`, for proxies of `mesh`.
    pub fn of(&self, kind: Kind, mesh: &str) -> IssuerOf<'_> {
        match kind {
            Kind::ZoneToken => self.zone_token.only(),
            Kind::DataplaneToken => self.dp_token.of_mesh(mesh),
            Kind::ServiceAccountToken => self.service_account_token.issuer.only(),
        }
    }

    /// All issuers of tokens of `kind`, each with its mesh. For dataplane tokens: each mesh with its own keys or
    /// revocations, and all other meshes together, without a name.
    pub fn all_of(&self, kind: Kind) -> impl Iterator<Item = (&str, IssuerOf<'_>)> {
        let meshes = (kind == Kind::DataplaneToken).then(|| self.dp_token.by_mesh.keys());
        let meshes = meshes.into_iter().flatten().map(String::as_str);
        std::iter::once("").chain(meshes).map(move |mesh| (mesh, self.of(kind, mesh)))
    }

    /// The keys that may have signed a token with `kid` of one of `kinds`.
    pub fn candidates(&self, kid: &str, kinds: impl Iterator<Item = Kind>) -> Candidates<'_> {
        let mut found: Option<(Kind, &KeySet, Option<Fingerprint>)> = None;
        for (kind, keys) in kinds.flat_map(|kind| self.key_sets(kind).map(move |keys| (kind, keys)))
        {
            if !keys.contains(kid) {
                continue;
            }
            let key = keys.fingerprint(kid);
            match found {
                Some((other, _, same)) if (other, same) == (kind, key) => {}
                Some(_) => return Candidates::Several,
                None => found = Some((kind, keys, key)),
            }
        }
        found.map_or(Candidates::None, |(kind, keys, _)| Candidates::One(kind, keys))
    }

    /// The kind among `kinds` that has the key which signed the token of `identity`; `None` if no kind or several kinds
    /// have it.
    pub fn kind_of_key(
        &self,
        identity: &Identity,
        kinds: impl Iterator<Item = Kind>,
    ) -> Option<Kind> {
        let has_it =
            |kind: &Kind| self.key_sets(*kind).any(|keys| keys.holds(&identity.kid, identity.key));
        let mut kinds = kinds.filter(has_it);
        kinds.next().filter(|_| kinds.next().is_none())
    }

    /// The algorithms that a token of one of `kinds` may be signed with: those of the kind with keys that allows the
    /// most.
    pub fn algorithms(&self, kinds: impl Iterator<Item = Kind>) -> &'static [Algorithm] {
        let with_keys = kinds.filter(|kind| self.has_keys(*kind)).map(Kind::algorithms);
        with_keys.max_by_key(|algorithms| algorithms.len()).unwrap_or(&[Algorithm::Rs256])
    }

    /// Whether there is a key of this kind.
    pub fn has_keys(&self, kind: Kind) -> bool {
        self.key_sets(kind).any(|keys| keys.iter().next().is_some())
    }

    /// The keys of one kind, one set for each issuer.
    pub fn key_sets(&self, kind: Kind) -> impl Iterator<Item = &KeySet> {
        let single = match kind {
            Kind::ZoneToken => Some(&self.zone_token.keys),
            Kind::ServiceAccountToken => Some(&self.service_account_token.issuer.keys),
            Kind::DataplaneToken => None,
        };
        let by_mesh = single.is_none().then(|| self.dp_token.key_sets());
        single.into_iter().chain(by_mesh.into_iter().flatten())
    }

    /// All keys, each with the label under which its tokens are counted.
    pub fn keys(&self) -> impl Iterator<Item = (&str, &VerificationKey)> {
        let sets = Kind::ALL.into_iter().flat_map(|kind| self.key_sets(kind));
        sets.flat_map(KeySet::labelled)
    }

    /// All lists of revoked ids.
    pub fn revocations(&self) -> impl Iterator<Item = &RevocationList> {
        let meshes = self.dp_token.by_mesh.values().map(|issuer| &issuer.revocations);
        let service_accounts = &self.service_account_token.issuer.revocations;
        [&self.zone_token.revocations].into_iter().chain(meshes).chain([service_accounts])
    }

    /// How many ids are revoked.
    pub fn revoked_ids(&self) -> usize {
        self.revocations().map(RevocationList::ids).fold(0, usize::saturating_add)
    }

    /// About how many bytes they take, counting what grows with their lists.
    pub fn bytes(&self) -> usize {
        const KEY: usize = 4096;
        let keys = self.keys().count().saturating_mul(KEY);
        self.revocations().map(RevocationList::bytes).fold(keys, usize::saturating_add)
    }
}

impl Issuer {
    fn only(&self) -> IssuerOf<'_> {
        IssuerOf::new([Some(&self.keys), None], Some(&self.revocations))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use super::*;
    use crate::token::PublicKey;

    const ONE: &str = include_str!("../../tests/data/key-1.pub.pem");
    const OTHER: &str = include_str!("../token/self_test/key.pem");

    /// An issuer with this key as kid 1, and these revoked ids.
    fn issuer(key: &str, revoked: &[&str]) -> Issuer {
        let mut keys = KeySet::default();
        keys.insert("1".to_owned(), PublicKey::from_pem(key).unwrap()).unwrap();
        Issuer { keys, revocations: RevocationList::from_ids(revoked.iter().copied()) }
    }

    /// Issuers with these keys of meshes, and one of zone tokens.
    fn issuers(all_meshes: Option<&str>, east: &str, west: &str, zone_token: &str) -> Issuers {
        let all_meshes = all_meshes.map(|key| issuer(key, &[]).keys).unwrap_or_default();
        let (east, west) = (issuer(east, &["a", "b"]), issuer(west, &["a"]));
        let by_mesh = [("east".to_owned(), east), ("west".to_owned(), west)].into();
        Issuers {
            zone_token: issuer(zone_token, &["c", "d", "e"]),
            dp_token: DataplaneIssuers { all_meshes, by_mesh, ..DataplaneIssuers::default() },
            ..Issuers::default()
        }
    }

    #[test]
    fn a_key_that_meshes_share_is_one_key_and_another_kind_is_another() {
        let (zone, dataplane) = (Kind::ZoneToken, Kind::DataplaneToken);
        for (all_meshes, west, kinds, wanted) in [
            (None, ONE, &[dataplane][..], Some(dataplane)),
            (Some(ONE), ONE, &[dataplane], Some(dataplane)),
            (None, OTHER, &[dataplane], None),
            (Some(OTHER), ONE, &[dataplane], None),
            (None, ONE, &[zone, dataplane], None),
            (None, OTHER, &[zone], Some(zone)),
        ] {
            let issuers = issuers(all_meshes, ONE, west, ONE);
            let found = match issuers.candidates("1", kinds.iter().copied()) {
                Candidates::One(kind, keys) => Some((Some(kind), keys.contains("1"))),
                Candidates::Several => Some((None, true)),
                Candidates::None => None,
            };
            assert_eq!(found, Some((wanted, true)), "{kinds:?}");
            let unknown = issuers.candidates("2", kinds.iter().copied());
            assert!(matches!(unknown, Candidates::None));
        }
    }

    /// Each list is of one issuer: its ids are counted whether or not another list has them.
    #[test]
    fn the_ids_of_all_lists_are_counted() {
        let mut issuers = issuers(None, ONE, ONE, ONE);
        assert_eq!(issuers.revoked_ids(), 3 + 2 + 1);
        issuers.service_account_token.issuer = issuer(ONE, &["f"]);
        assert_eq!(issuers.revoked_ids(), 3 + 2 + 1 + 1);
        assert_eq!(Issuers::default().revoked_ids(), 0);
    }
}
