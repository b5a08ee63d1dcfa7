//! A federated zone: its control plane gets the keys of zone tokens and of meshes from a global control plane, and the
//! gateway is in front of the zone's control plane.

use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;
use tokio::time::sleep;
use zonegate_testkit::certificates::Certificates;
use zonegate_testkit::kuma::{ControlPlane, Kind, Options, Role};

use super::secrets::base;
use super::{Meshes, token};
use crate::harness::{Bench, LIMIT, MESH, ZONE, home, within};
use crate::kumactl::Way;
use crate::sync::Sync;

/// `zonegate sync` asks the control plane of the zone. A revocation at the global control plane cuts streams here.
#[tokio::test]
#[ignore = "needs KUMA_HOME: make test-kuma"]
async fn a_zone_proxy_and_a_sidecar_of_a_federated_zone_come_through_its_gateway() {
    let dir = TempDir::new().unwrap();
    let certificates = Certificates::generate(dir.path()).unwrap();
    let mut options = Options::new("", &certificates.control_plane);
    options.role = Role::Global;
    let global = ControlPlane::start(&home(), &options).await;
    let global = global.unwrap_or_else(|error| panic!("{error:#}"));
    let Meshes { default, .. } = Meshes::of(global.api()).await;
    let mut bench = Bench::new();
    let address = format!("grpcs://{}", global.kds_address());
    bench.options.role = Role::Federated { global: address, ca: Some(certificates.ca_path) };
    bench.options.public_keys.clear();
    let setup = bench.start().await;
    // The zone gets only the public half of the global control plane's key.
    within(async {
        let api = setup.control_plane.api();
        while api.secret("zone-token-signing-public-key-1").await.unwrap().is_none() {
            sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    let sync = Sync::with_base(&setup, &base()).await;

    let zone_token = global.api().zone_token(ZONE, &["ingress"], LIMIT * 100).await.unwrap();
    let issued = global.api().dataplane_token(MESH, "issued").await.unwrap();
    setup.wait_sidecar(Way::Gateway, &token(&default, "1", &[]), "").await;
    let revoked = token(&default, "1", &[("jti", json!("to-be-revoked"))]);
    let ingress = setup.proxy(Kind::Ingress, "ingress", Some(&zone_token));
    let kept = setup.proxy(Kind::Dataplane, "issued", Some(&issued));
    let sidecar = setup.proxy(Kind::Dataplane, "revoked", Some(&revoked));
    setup.wait_online(&ingress, Kind::Ingress, "ingress", true).await;
    setup.wait_online(&kept, Kind::Dataplane, "issued", true).await;
    setup.wait_online(&sidecar, Kind::Dataplane, "revoked", true).await;

    let ids = b"to-be-revoked";
    global.api().set_secret("dataplane-token-revocations-default", ids).await.unwrap();
    sidecar.wait_log("zonegate: revoked: token \"to-be-revoked\"", LIMIT).await.unwrap();
    setup.wait_online(&sidecar, Kind::Dataplane, "revoked", false).await;
    setup.wait_online(&kept, Kind::Dataplane, "issued", true).await;
    setup.wait_online(&ingress, Kind::Ingress, "ingress", true).await;
    sync.stop(&setup).await;
}
