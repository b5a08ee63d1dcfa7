//! The real kuma-cp in Kubernetes mode, which asks the API server and adds its own checks.

use std::net::SocketAddr;
use std::path::PathBuf;

use envoy_types::pb::envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse};
use serde_json::{Value, json};
use tempfile::TempDir;
use tonic::Status;
use zonegate_testkit::certificates::Certificates;
use zonegate_testkit::gateway::{Delivery, Gateway, Options, ServiceOptions};
use zonegate_testkit::kuma::{Home, Judge, Kind, KubernetesControlPlane};
use zonegate_testkit::process::Log;
use zonegate_testkit::zone_proxy::{Claimed, Connection, Stream, discovery_request};

use crate::cases::{Case, cases};
use crate::issued;
use crate::world::{ISSUER, NAMESPACE, POD, Place, World};

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
        // Asked again: a date may have passed since.
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

/// Clients and servers refuse control characters and bytes outside ASCII, and strip white space around a value.
fn is_carried_by_http(token: &str) -> bool {
    token.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) && token.trim() == token
}

/// Tokens that the gateway refuses do not reach kuma-cp. kuma-cp refuses those that only the API server can judge.
#[tokio::test]
#[ignore = "needs a Kubernetes API server and KUMA_HOME: make test-kubernetes"]
async fn the_gateway_stands_in_front_of_kuma() {
    let world = World::start().await;
    let home = Home::from_environment().unwrap().expect("KUMA_HOME is not set");
    let dir = TempDir::new().unwrap();
    let certificates = Certificates::generate(dir.path()).unwrap();
    let (east, identity) = (&world.east, &certificates.control_plane);
    let started = KubernetesControlPlane::start(&home, &east.cluster, "zone-1", identity).await;
    let kuma = started.unwrap_or_else(|error| panic!("{error:#}"));
    create_dataplane(east).await;
    let gateway = Gateway::start(options(&certificates, kuma.address(), east)).await;
    let gateway = gateway.unwrap_or_else(|error| panic!("{error:#}"));
    let connection = Connection::open(gateway.address(), &certificates.ca).await.unwrap();

    let issued = issued::cases(&world).await;
    let case = |name: &str| issued.iter().find(|case| case.name == name).unwrap();
    let mut stream = open(&connection, case("bound")).await.unwrap();
    let answer = stream.next().await.unwrap().unwrap();
    assert!(answer.type_url.ends_with("envoy.config.cluster.v3.Cluster"), "{answer:?}");
    for (name, reason) in [
        ("of-another-namespace", "wrong_service_account"),
        ("of-another-pod", "wrong_service_account"),
        ("audience-other", "out_of_scope"),
        ("west-in-east", "unknown_kid"),
    ] {
        let refused = ended(open(&connection, case(name)).await).await;
        let wanted = format!("zonegate: {reason}: ");
        assert!(refused.message().starts_with(&wanted), "{name}: {refused:?}");
    }
    let refused = ended(open(&connection, case("deleted-account")).await).await;
    assert!(refused.message().starts_with("authentication failed: "), "{refused:?}");
}

type Opened = Result<Stream<DiscoveryRequest, DiscoveryResponse>, Status>;

async fn open(connection: &Connection, case: &Case) -> Opened {
    let mut message = discovery_request(Claimed::DATAPLANE);
    if let Some(node) = &mut message.node {
        node.id.clone_from(&case.node_id);
    }
    connection.sotw_of(Some(&case.token), message).await
}

/// The final status of a stream that is refused at once, or by its first answer.
async fn ended(opened: Opened) -> Status {
    match opened {
        Ok(mut stream) => stream.next().await.unwrap_err(),
        Err(refused) => refused,
    }
}

/// Creates a dataplane as the controller of pods does. The controller ignores pods without a sidecar.
async fn create_dataplane(east: &Place) {
    let path = format!("/apis/kuma.io/v1alpha1/namespaces/{NAMESPACE}/dataplanes");
    let tags = json!({ "kuma.io/service": "backend_demo_svc_80", "kuma.io/protocol": "tcp" });
    let dataplane = json!({
        "apiVersion": "kuma.io/v1alpha1",
        "kind": "Dataplane",
        "mesh": "default",
        "metadata": { "name": POD, "namespace": NAMESPACE },
        "spec": { "networking": {
            "address": "192.168.0.1", "inbound": [{ "port": 8080, "tags": tags }],
        } },
    });
    east.api().create(&path, &dataplane).await.unwrap();
}

/// A gateway for every proxy of this cluster.
fn options(certificates: &Certificates, control_plane: SocketAddr, east: &Place) -> Options {
    let variable = |name| PathBuf::from(std::env::var(name).unwrap_or_else(|_| panic!("{name}")));
    let jwks: Value = serde_json::from_str(&east.jwks).unwrap();
    Options {
        envoy: variable("ENVOY_PATH"),
        func_e: None,
        module: variable("ZONEGATE_WASM"),
        policy: json!({
            "zone": "zone-1",
            "leewaySeconds": 60,
            "serviceAccountToken": { "issuers": [{ "issuer": ISSUER, "jwks": jwks }] },
            "proxies": {
                "ingress": "serviceAccountToken",
                "egress": "serviceAccountToken",
                "dataplane": "serviceAccountToken",
            },
        }),
        control_plane: control_plane.to_string(),
        control_plane_ca: certificates.ca_path.clone(),
        control_plane_name: "localhost".to_owned(),
        certificate: certificates.gateway.certificate_path.clone(),
        key: certificates.gateway.key_path.clone(),
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        concurrency: 1,
        log: Log::File,
        service: ServiceOptions::default(),
        delivery: Delivery::Ecds,
        probes: false,
        edits: Vec::new(),
        environment: Vec::new(),
    }
}
