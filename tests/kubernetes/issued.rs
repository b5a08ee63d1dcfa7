//! Tokens that the API server issued, as kubelets and operators request them, and legacy tokens in secrets, which a
//! controller would sign.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tokio::time::sleep;
use zonegate_testkit::kubernetes::{Api, Bound, TokenRequest};

use crate::cases::{Case, Draft, Origin, ask, node_id};
use crate::mint::segments;
use crate::world::{ISSUER, NAMESPACE, POD, Place, World};

/// The longest time until the API server notices that an object is gone. It caches a valid token for ten seconds.
const GONE: Duration = Duration::from_secs(60);

pub(crate) async fn cases(world: &World) -> Vec<Case> {
    let mut cases = good(&world.east).await;
    cases.extend(audiences_and_lives(&world.east).await);
    cases.extend(other_clusters(world).await);
    cases.extend(legacy(world).await);
    cases.extend(gone(&world.east).await);
    cases
}

async fn issue(api: &Api, request: &TokenRequest<'_>) -> String {
    api.token_for(request).await.unwrap_or_else(|error| panic!("{request:?}: {error:#}"))
}

async fn good(east: &Place) -> Vec<Case> {
    let api = east.api();
    let backend = TokenRequest::new(NAMESPACE, "backend");
    let frontend = TokenRequest::new(NAMESPACE, "frontend");
    let other = TokenRequest::new("other", "backend");
    let secrets = format!("/api/v1/namespaces/{NAMESPACE}/secrets");
    api.create(&secrets, &json!({ "metadata": { "name": "binds" } })).await.unwrap();
    let pod = |name| Some(Bound::Pod(name));
    let table = [
        ("bound", "bound to the pod that shows it", &backend, pod(POD), node_id(POD, NAMESPACE)),
        (
            "bound-on-a-node",
            "bound to a pod that runs on a node",
            &backend,
            pod("backend-on-a-node"),
            node_id("backend-on-a-node", NAMESPACE),
        ),
        (
            "bound-dots",
            "bound to a pod with dots in its name",
            &backend,
            pod("backend.with.dots"),
            node_id("backend.with.dots", NAMESPACE),
        ),
        ("unbound", "bound to nothing", &backend, None, node_id(POD, NAMESPACE)),
        (
            "bound-to-node",
            "bound to a node, as operators ask for it",
            &backend,
            Some(Bound::Node("node-1")),
            node_id(POD, NAMESPACE),
        ),
        (
            "bound-to-secret",
            "bound to a secret",
            &backend,
            Some(Bound::Secret("binds")),
            node_id(POD, NAMESPACE),
        ),
        (
            "of-another-pod",
            "bound to another pod of the same account",
            &backend,
            pod("backend-7d9f4c-second"),
            node_id(POD, NAMESPACE),
        ),
        (
            "of-another-account",
            "of another account, bound to its own pod",
            &frontend,
            pod("frontend-0"),
            node_id(POD, NAMESPACE),
        ),
        (
            "of-another-account-unbound",
            "of another account, bound to nothing",
            &frontend,
            None,
            node_id(POD, NAMESPACE),
        ),
        (
            "of-another-namespace",
            "of the account of this name in another namespace",
            &other,
            pod("backend-0"),
            node_id(POD, NAMESPACE),
        ),
        (
            "in-another-namespace",
            "the same, shown by its own pod",
            &other,
            pod("backend-0"),
            node_id("backend-0", "other"),
        ),
        (
            "of-an-unknown-pod",
            "a good token, shown by a pod that is not there",
            &backend,
            None,
            node_id("nobody", NAMESPACE),
        ),
    ];
    let mut cases = Vec::new();
    for (name, description, request, bound, node_id) in table {
        let token = issue(api, &TokenRequest { bound, ..request.clone() }).await;
        cases.push(ask(east, Origin::Issued, Draft::new(name, description, token), &node_id).await);
    }
    cases
}

async fn audiences_and_lives(east: &Place) -> Vec<Case> {
    let bound = TokenRequest::new(NAMESPACE, "backend").bound(Bound::Pod(POD));
    let table: [(&str, &str, &[&str], u64); 5] = [
        ("audience-other", "for another audience", &["vault"], 3600),
        ("audience-several", "for another audience and the API server", &["vault", ISSUER], 3600),
        (
            "audience-several-other",
            "for two other audiences",
            &["vault", "https://mesh.example"],
            3600,
        ),
        ("short", "for ten minutes, the least that the API server issues", &[], 600),
        (
            "extended",
            "for 3607 s, which kubelets ask for: the API server makes a year of it, and adds warnafter",
            &[],
            3607,
        ),
    ];
    let mut cases = Vec::new();
    for (name, description, audiences, valid_for) in table {
        let request = TokenRequest { audiences, valid_for, ..bound.clone() };
        let draft = Draft::new(name, description, issue(east.api(), &request).await);
        cases.push(ask(east, Origin::Issued, draft, &node_id(POD, NAMESPACE)).await);
    }
    cases
}

/// The same names in two clusters with the same issuer.
async fn other_clusters(world: &World) -> Vec<Case> {
    let World { east, west, .. } = world;
    let bound = TokenRequest::new(NAMESPACE, "backend").bound(Bound::Pod(POD));
    let eastern = issue(east.api(), &bound).await;
    let western = issue(west.api(), &bound).await;
    let [header, claims, _] = segments(&eastern);
    let mixed = format!("{header}.{claims}.{}", segments(&western)[2]);
    let table = [
        ("west", "of the cluster that signs with ES256, shown there", west, western.clone()),
        ("west-in-east", "of the cluster that signs with ES256, shown in the other", east, western),
        ("east-in-west", "of the cluster that signs with RS256, shown in the other", west, eastern),
        ("west-signature", "the signature of the other cluster's token", east, mixed),
    ];
    let mut cases = Vec::new();
    for (name, description, place, token) in table {
        let draft = Draft::new(name, description, token);
        cases.push(ask(place, Origin::Issued, draft, &node_id(POD, NAMESPACE)).await);
    }
    cases
}

/// Kubernetes: `pkg/serviceaccount/legacy.go`. No exp, no aud; the secret must hold exactly this text.
async fn legacy(world: &World) -> Vec<Case> {
    let (east, keys) = (&world.east, &world.keys);
    let path = format!("/api/v1/namespaces/{NAMESPACE}/serviceaccounts/backend");
    let account = east.api().get(&path).await.unwrap().unwrap();
    let account: serde_json::Value = serde_json::from_str(&account).unwrap();
    let claims = |secret: &str| {
        json!({
            "iss": "kubernetes/serviceaccount",
            "sub": format!("system:serviceaccount:{NAMESPACE}:backend"),
            "kubernetes.io/serviceaccount/namespace": NAMESPACE,
            "kubernetes.io/serviceaccount/secret.name": secret,
            "kubernetes.io/serviceaccount/service-account.name": "backend",
            "kubernetes.io/serviceaccount/service-account.uid": account["metadata"]["uid"],
        })
    };
    let mut expired = claims("legacy-expired");
    expired["exp"] = json!(1);
    let mut audience = claims("legacy-audience");
    audience["aud"] = json!(["vault"]);
    let table = [
        (
            "legacy",
            "a token in a secret, as clusters before 1.24 made them",
            "legacy",
            claims("legacy"),
            true,
        ),
        (
            "legacy-not-stored",
            "the same, but the secret holds another text",
            "legacy-not-stored",
            claims("legacy-not-stored"),
            false,
        ),
        (
            "legacy-expired",
            "the same, with an exp that has passed",
            "legacy-expired",
            expired,
            true,
        ),
        ("legacy-audience", "the same, for another audience", "legacy-audience", audience, true),
    ];
    let mut cases = Vec::new();
    for (name, description, secret, claims, is_stored) in table {
        let token = keys.token(claims.to_string());
        let stored = if is_stored { token.as_str() } else { "another" };
        store(east.api(), secret, stored).await;
        let draft = Draft::new(name, description, token);
        cases.push(ask(east, Origin::Made, draft, &node_id(POD, NAMESPACE)).await);
    }
    cases
}

async fn store(api: &Api, name: &str, token: &str) {
    let secret = json!({
        "metadata": {
            "name": name,
            "annotations": { "kubernetes.io/service-account.name": "backend" },
        },
        "type": "kubernetes.io/service-account-token",
        "data": { "token": STANDARD.encode(token) },
    });
    api.create(&format!("/api/v1/namespaces/{NAMESPACE}/secrets"), &secret).await.unwrap();
}

/// Tokens of deleted objects.
async fn gone(east: &Place) -> Vec<Case> {
    let api = east.api();
    let pods = format!("/api/v1/namespaces/{NAMESPACE}/pods");
    let accounts = format!("/api/v1/namespaces/{NAMESPACE}/serviceaccounts");
    for pod in ["goes", "comes-again"] {
        api.create_pod(NAMESPACE, pod, "backend", None).await.unwrap();
    }
    for account in ["goes", "comes-again"] {
        api.create_service_account(NAMESPACE, account).await.unwrap();
    }
    let backend = TokenRequest::new(NAMESPACE, "backend");
    let bound = |pod| backend.clone().bound(Bound::Pod(pod));
    let deleted_pod = issue(api, &bound("goes")).await;
    let recreated_pod = issue(api, &bound("comes-again")).await;
    let deleted_account = issue(api, &TokenRequest::new(NAMESPACE, "goes")).await;
    let recreated_account = issue(api, &TokenRequest::new(NAMESPACE, "comes-again")).await;
    for name in ["goes", "comes-again"] {
        api.remove(&format!("{pods}/{name}")).await.unwrap();
        api.remove(&format!("{accounts}/{name}")).await.unwrap();
    }
    api.create_pod(NAMESPACE, "comes-again", "backend", None).await.unwrap();
    api.create_service_account(NAMESPACE, "comes-again").await.unwrap();
    let table = [
        ("deleted-pod", "bound to a pod that is gone", deleted_pod, "goes"),
        (
            "recreated-pod",
            "bound to a pod that is gone; there is another one of its name",
            recreated_pod,
            "comes-again",
        ),
        ("deleted-account", "of an account that is gone", deleted_account, POD),
        (
            "recreated-account",
            "of an account that is gone; there is another one of its name",
            recreated_account,
            POD,
        ),
    ];
    let mut cases = Vec::new();
    for (name, description, token, pod) in table {
        wait_until_refused(api, &token).await;
        let draft = Draft::new(name, description, token);
        cases.push(ask(east, Origin::Issued, draft, &node_id(pod, NAMESPACE)).await);
    }
    cases
}

async fn wait_until_refused(api: &Api, token: &str) {
    let begun = Instant::now();
    while api.review(token).await.unwrap().authenticated {
        assert!(begun.elapsed() < GONE, "still good");
        sleep(Duration::from_millis(500)).await;
    }
}
