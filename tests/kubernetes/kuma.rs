//! The real kuma-cp in Kubernetes mode, which asks the API server and adds its own checks.

use tempfile::TempDir;
use zonegate_testkit::certificates::Certificates;
use zonegate_testkit::kuma::{Home, Judge, Kind, KubernetesControlPlane};

use crate::cases::{Case, cases};
use crate::world::World;

#[tokio::test]
#[ignore = "needs a Kubernetes API server and KUMA_HOME: make test-kubernetes"]
async fn kuma_says_what_it_is_recorded_to_say() {
    let world = World::start().await;
    let home = Home::from_environment().unwrap().expect("KUMA_HOME is not set");
    let dir = TempDir::new().unwrap();
    let certificates = Certificates::generate(dir.path()).unwrap();
    let (east, identity) = (&world.east, &certificates.control_plane);
    let started = KubernetesControlPlane::start(&home, &east.cluster, "zone-1", identity).await;
    let kuma = started.unwrap_or_else(|error| panic!("{error:#}"));
    let judge = Judge::open(kuma.address(), &certificates.ca, 1).await.unwrap();
    let (mut others, mut asked, mut accepted) = (Vec::new(), 0, 0);
    for case in cases(&world).await {
        if case.cluster != east.name || !is_carried_by_http(&case.token) {
            continue;
        }
        let name = case.proxy_name();
        let verdict = judge.verdict_of(Kind::Dataplane, name, &[case.token.as_bytes()]).await;
        let verdict = verdict.unwrap_or_else(|error| panic!("{}: {error:#}", case.name));
        // Anew: what is near a date may have passed it since.
        let api_server_verdict = east.api().review(&case.token).await.unwrap();
        let case = Case { api_server_verdict, ..case };
        asked += 1;
        accepted += u32::from(verdict.is_ok());
        if verdict.is_ok() != case.kuma_accepts() {
            others.push(format!("{}: {verdict:?}", case.name));
        }
    }
    println!("{asked} tokens, {accepted} accepted");
    assert!(others.is_empty(), "{}", others.join("\n"));
    assert!(asked > 280 && accepted > 100, "{asked} tokens, {accepted} accepted");
}

/// Control characters and other bytes than ASCII are refused by clients and servers, and white space
/// around a value is no part of it.
fn is_carried_by_http(token: &str) -> bool {
    token.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) && token.trim() == token
}
