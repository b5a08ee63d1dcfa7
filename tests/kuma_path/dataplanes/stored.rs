//! A sidecar whose resource is in the control plane's store. It sends only its name and its mesh.

use serde_json::{Value, json};
use zonegate_testkit::kuma::{Kind, Proxy, ResourceSource};

use super::{Meshes, OTHER, token};
use crate::harness::{Bench, LIMIT, MESH, Setup};

/// The gate compares name and mesh. The control plane compares the tags, which it has.
#[tokio::test]
#[ignore = "needs KUMA_HOME: make test-kuma"]
async fn a_sidecar_whose_resource_is_stored_is_judged_by_its_name() {
    let (setup, Meshes { default, .. }) = Meshes::start(Bench::new()).await;
    let with = |name: &str, value: Value| token(&default, "1", &[(name, value)]);
    create(&setup, "web").await;
    for (token, says) in [
        (with("Name", json!("api")), "zonegate: wrong_proxy: "),
        (with("Mesh", json!(OTHER)), "zonegate: wrong_mesh: "),
        (with("jti", json!("gone")), "zonegate: revoked: "),
        (
            with("Tags", json!({ "kuma.io/service": ["api"] })),
            "authentication failed: dataplane contains tag",
        ),
    ] {
        let refused = start(&setup, "web", &token);
        refused.wait_log(says, LIMIT).await.unwrap_or_else(|error| panic!("{says}: {error:#}"));
        refused.stop().await;
    }
    let good = start(&setup, "web", &with("Name", json!("web")));
    setup.wait_online(&good, Kind::Dataplane, "web", true).await;
    setup.wait_stat("streams.open", 2).await;
}

async fn create(setup: &Setup, name: &str) {
    let mut resource = Kind::Dataplane.resource(MESH, name, [8080, 8081]);
    if !setup.home.release().has_admin_socket() {
        let port = zonegate_testkit::kuma::free_port().unwrap();
        resource["networking"]["admin"] = json!({ "port": port });
    }
    let path = format!("/meshes/{MESH}/dataplanes/{name}");
    setup.control_plane.api().put(&path, &resource).await.unwrap();
}

fn start(setup: &Setup, name: &str, token: &str) -> Proxy {
    let mut options = setup.proxy_options(Kind::Dataplane, name, Some(token));
    options.resource = ResourceSource::ControlPlane;
    Proxy::start(&setup.home, &options).unwrap()
}
