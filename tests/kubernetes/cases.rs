//! All cases: tokens, the proxies that send them, and the API server's verdicts.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use zonegate_testkit::kubernetes::{Bound, Review, TokenRequest};

use crate::mint::{Keys, decode, segments};
use crate::world::{NAMESPACE, POD, Place, World};
use crate::{claims, encodings, headers, issued, signatures, texts, times};

/// A token, and the verdict on it.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    /// A unique name.
    pub(crate) name: String,
    /// A description for people.
    pub(crate) description: String,
    /// Whether the API server issued the token, or the tests made it.
    pub(crate) origin: Origin,
    /// The cluster of the API server that was asked.
    pub(crate) cluster: &'static str,
    /// The text in `authorization`.
    pub(crate) token: String,
    /// The keys of that API server: its document `/openid/v1/jwks`, as it is.
    pub(crate) jwks: String,
    /// The node id of the proxy that sends the token: `mesh.pod.namespace`.
    pub(crate) node_id: String,
    /// The service account of that pod; `None` if there is no such pod.
    pub(crate) pod_service_account: Option<String>,
    /// When the API server was asked, in seconds since 1970.
    pub(crate) asked_at: u64,
    /// The API server's verdict.
    pub(crate) api_server_verdict: Review,
}

/// The origin of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The API server.
    Issued,
    /// The tests, mostly with a key of the API server.
    Made,
}

/// A case without its verdict.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) name: &'static str,
    pub(crate) description: String,
    pub(crate) token: String,
}

/// The parts of tokens that the tests make: the claims of a valid token, and the keys.
pub(crate) struct Base<'a> {
    pub(crate) keys: &'a Keys,
    /// As the API server issued them, bound to [`POD`].
    pub(crate) claims: Value,
    /// The claims of another valid token, bound to nothing, of the account `frontend`.
    pub(crate) frontend: Value,
    /// The token with `claims`.
    pub(crate) token: String,
    pub(crate) now: u64,
}

impl Case {
    /// The name of the proxy, as Kuma has it: `pod.namespace`. A mesh has no dot in its name.
    pub(crate) fn proxy_name(&self) -> &str {
        self.node_id.split_once('.').unwrap().1
    }

    /// Whether Kuma accepts the proxy: `pkg/xds/auth/k8s/authenticator.go`.
    pub(crate) fn kuma_accepts(&self) -> bool {
        let Review { authenticated, user, .. } = &self.api_server_verdict;
        let (_, namespace) = self.node_id.rsplit_once('.').unwrap();
        let Some(account) = &self.pod_service_account else { return false };
        *authenticated && user.username == format!("system:serviceaccount:{namespace}:{account}")
    }

    /// Whether the refusal follows from the objects in the store. Kubernetes: `pkg/serviceaccount/claims.go` and
    /// `legacy.go`; Kuma looks up the pod's account.
    pub(crate) fn is_refused_by_store(&self) -> bool {
        let Review { authenticated, error, .. } = &self.api_server_verdict;
        let of_the_store = ["has been invalidated", "not found", "does not match"];
        match authenticated {
            true => !self.kuma_accepts(),
            false => of_the_store.iter().any(|words| error.contains(words)),
        }
    }
}

impl Draft {
    pub(crate) fn new(name: &'static str, description: &str, token: String) -> Self {
        Self { name, description: description.to_owned(), token }
    }
}

/// All cases, with the current verdicts of the API servers.
pub(crate) async fn cases(world: &World) -> Vec<Case> {
    let mut cases = issued::cases(world).await;
    // Group by group, so that cases that depend on the time are asked at that time.
    let groups: [fn(&Base<'_>) -> Vec<Draft>; 6] = [
        times::drafts,
        claims::drafts,
        texts::drafts,
        headers::drafts,
        encodings::drafts,
        signatures::drafts,
    ];
    for group in groups {
        for draft in group(&Base::new(world).await) {
            let node_id = node_id(POD, NAMESPACE);
            cases.push(ask(&world.east, Origin::Made, draft, &node_id).await);
        }
    }
    cases
}

/// The node id in the bootstrap configuration of a proxy in the mesh `default`.
pub(crate) fn node_id(pod: &str, namespace: &str) -> String {
    format!("default.{pod}.{namespace}")
}

/// The verdict of the API server of `place`.
pub(crate) async fn ask(place: &Place, origin: Origin, draft: Draft, node_id: &str) -> Case {
    let asked_at = now();
    let verdict = place.api().review(&draft.token).await;
    let verdict = verdict.unwrap_or_else(|error| panic!("{}: {error:#}", draft.name));
    Case {
        name: draft.name.to_owned(),
        description: draft.description,
        origin,
        cluster: place.name,
        token: draft.token,
        jwks: place.jwks.clone(),
        node_id: node_id.to_owned(),
        pod_service_account: place.account_of(node_id).await,
        asked_at,
        api_server_verdict: verdict,
    }
}

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

impl<'a> Base<'a> {
    async fn new(world: &'a World) -> Self {
        let (api, now) = (world.east.api(), now());
        let bound = TokenRequest::new(NAMESPACE, "backend").bound(Bound::Pod(POD));
        let token = api.token_for(&bound).await.unwrap();
        let other = api.token_for(&TokenRequest::new(NAMESPACE, "frontend")).await.unwrap();
        let claims = |token: &str| decode(segments(token)[1]).unwrap();
        let (claims, frontend) = (claims(&token), claims(&other));
        Self { keys: &world.keys, claims, frontend, token, now }
    }

    /// The claims with one member changed. The last name of the path may be new.
    pub(crate) fn with(&self, path: &[&str], value: impl Into<Value>) -> String {
        let mut claims = self.claims.clone();
        let (last, above) = path.split_last().unwrap();
        let parent = above.iter().fold(&mut claims, |at, name| &mut at[*name]);
        parent[*last] = value.into();
        claims.to_string()
    }

    /// The claims without a member.
    pub(crate) fn without(&self, path: &[&str]) -> String {
        let mut claims = self.claims.clone();
        let (last, above) = path.split_last().unwrap();
        let parent = above.iter().fold(&mut claims, |at, name| &mut at[*name]);
        parent.as_object_mut().unwrap().remove(*last).unwrap();
        claims.to_string()
    }

    /// The claims with these members first, as text: JSON objects in Rust cannot hold a name twice.
    pub(crate) fn after(&self, members: &str) -> String {
        format!("{{{members},{}", &self.claims.to_string()[1..])
    }

    /// The claims with these members last.
    pub(crate) fn before(&self, members: &str) -> String {
        let claims = self.claims.to_string();
        format!("{},{members}}}", &claims[..claims.len() - 1])
    }
}
