//! The Envoy beside a zone's control plane: it adds the token, uses a new token without a restart, and lets nothing
//! through without a token.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;
use tokio::time::sleep;
use zonegate_testkit::gateway::{ZoneSide, ZoneSideOptions};
use zonegate_testkit::zone_control_plane::Zone;
use zonegate_testkit::zone_proxy::Connection;

use crate::harness::{Bench, LIMIT, Setup, ZONE, claims_with, from_environment, now};

/// Time between two polls.
const LOOK: Duration = Duration::from_millis(10);
/// The request of a zone control plane of any release of Kuma.
const WITHOUT_TOKEN: Zone<'static> = Zone { token: None, client_id: &[ZONE] };

/// A gateway in front of a global control plane.
async fn gateway() -> Setup {
    let mut bench = Bench::new();
    let key = bench.key.public_key_pem();
    bench.options.policy =
        json!({ "profile": "globalKds", "publicKeys": [{ "kid": "1", "key": key }] });
    bench.start().await
}

impl Setup {
    /// The Envoy beside a zone, with this text in its token file.
    pub(crate) async fn zone_side(&self, token: Option<&str>) -> ZoneSide {
        let options = ZoneSideOptions {
            envoy: from_environment("ENVOY_PATH"),
            gateway: self.gateway.address(),
            gateway_ca: self.ca_path(),
            gateway_name: "localhost".to_owned(),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        ZoneSide::start(options, token).await.unwrap_or_else(|error| panic!("{error:#}"))
    }

    fn token_of_id(&self, id: &str) -> String {
        let mut claims = claims_with("Scope", json!(["cp"]));
        claims["jti"] = json!(id);
        self.sign(claims)
    }

    /// The tokens of the calls that arrived, in order.
    fn tokens_seen(&self) -> Vec<String> {
        let requests = self.control_plane.recorder().requests();
        let tokens = requests.iter().flat_map(|request| {
            request.header("authorization").map(|value| String::from_utf8_lossy(value).into_owned())
        });
        tokens.collect()
    }
}

pub(crate) async fn connect(zone_side: &ZoneSide) -> Connection {
    Connection::open_plain(zone_side.address()).await.unwrap()
}

/// The refusal of a health check; empty if it is let in.
async fn refusal(connection: &Connection, zone: Zone<'_>) -> String {
    connection
        .health_check(zone)
        .await
        .err()
        .map(|status| format!("{:?}: {}", status.code(), status.message()))
        .unwrap_or_default()
}

/// Waits for this refusal of a health check: Envoy reads a changed file some milliseconds later.
async fn wait_refusal(connection: &Connection, wanted: &str) {
    let start = Instant::now();
    loop {
        let seen = refusal(connection, WITHOUT_TOKEN).await;
        if seen == wanted {
            return;
        }
        assert!(start.elapsed() < LIMIT, "{seen:?}, not {wanted:?}");
        sleep(LOOK).await;
    }
}

/// Waits for a text in Envoy's log, which includes the access log.
async fn wait_log(zone_side: &ZoneSide, text: &str) {
    let start = Instant::now();
    while !zone_side.log().unwrap().contains(text) {
        assert!(start.elapsed() < LIMIT, "no {text:?} in:\n{}", zone_side.log().unwrap());
        sleep(LOOK).await;
    }
}

#[tokio::test]
async fn a_zone_that_sends_no_token_arrives_with_one() {
    let setup = gateway().await;
    let token = setup.token_of_id("id-1");
    // The file has a line end, as `zonegate generate` writes it.
    let zone_side = setup.zone_side(Some(&format!("{token}\n"))).await;
    let connection = connect(&zone_side).await;
    connection.health_check(WITHOUT_TOKEN).await.unwrap();
    let mut down = connection.global_to_zone(WITHOUT_TOKEN).await.unwrap();
    assert!(down.next().await.unwrap().is_some());
    // The global control plane sends first here.
    let mut up = connection.zone_to_global(WITHOUT_TOKEN).await.unwrap();
    assert_eq!(up.next().await.unwrap().unwrap().type_url, "Dataplane");
    assert_eq!(setup.tokens_seen(), [token.as_str(); 3]);
    // A token that the zone itself may send one day is replaced.
    let own = Zone { token: Some("another"), client_id: &[ZONE] };
    assert_eq!(refusal(&connection, own).await, "");
    assert_eq!(setup.tokens_seen(), [token.as_str(); 4]);
    // This does not bypass the gate: another zone is not let in.
    let other = Zone { token: None, client_id: &["zone-2"] };
    let said = refusal(&connection, other).await;
    assert!(said.starts_with("PermissionDenied: zonegate: wrong_zone: "), "{said}");
}

#[tokio::test]
async fn a_new_token_is_taken_without_a_restart_and_open_streams_stay() {
    let setup = gateway().await;
    let (old, new) = (setup.token_of_id("old"), setup.token_of_id("new"));
    let zone_side = setup.zone_side(Some(&old)).await;
    let connection = connect(&zone_side).await;
    let mut stream = connection.zone_to_global(WITHOUT_TOKEN).await.unwrap();
    assert!(stream.next().await.unwrap().is_some());
    zone_side.set_token(&new).unwrap();
    let start = Instant::now();
    while setup.tokens_seen().last() != Some(&new) {
        assert!(start.elapsed() < LIMIT, "the old token is still sent");
        connection.health_check(WITHOUT_TOKEN).await.unwrap();
    }
    setup.control_plane.push();
    assert!(stream.next().await.unwrap().is_some());
}

#[tokio::test]
async fn without_a_token_nothing_goes_through_and_the_zone_is_told() {
    const TOLD: &str = "Unauthenticated: zone side: no zone token: its file is missing or empty";
    let setup = gateway().await;
    let token = setup.token_of_id("id-1");
    for file in [None, Some(""), Some("\n")] {
        let zone_side = setup.zone_side(file).await;
        let connection = connect(&zone_side).await;
        assert_eq!(refusal(&connection, WITHOUT_TOKEN).await, TOLD, "{file:?}");
        // A token from the caller does not help either.
        let own = Zone { token: Some(&token), client_id: &[ZONE] };
        assert_eq!(refusal(&connection, own).await, TOLD, "{file:?}");
        assert_eq!(setup.control_plane.recorder().count(), 0);
        zone_side.set_token(&token).unwrap();
        wait_refusal(&connection, "").await;
        // If the file is emptied, requests are refused again.
        zone_side.set_token("").unwrap();
        wait_refusal(&connection, TOLD).await;
        setup.control_plane.recorder().clear();
    }
}

/// A file with more than the token is not a valid header. If the file is removed, the previous token stays; the gate
/// judges it.
#[tokio::test]
async fn a_token_that_is_broken_closes_and_one_that_is_gone_stays_until_a_restart() {
    let setup = gateway().await;
    let token = setup.token_of_id("id-1");
    let zone_side = setup.zone_side(Some(&token)).await;
    let connection = connect(&zone_side).await;
    zone_side.set_token(&format!("{token}\n{token}\n")).unwrap();
    wait_refusal(&connection, "Unavailable: invalid header value for: authorization").await;
    zone_side.set_token(&token).unwrap();
    wait_refusal(&connection, "").await;
    zone_side.remove_token().unwrap();
    assert_eq!(refusal(&connection, WITHOUT_TOKEN).await, "");
    let zone_side = zone_side.restart().await.unwrap();
    let said = refusal(&connect(&zone_side).await, WITHOUT_TOKEN).await;
    assert_eq!(said, "Unauthenticated: zone side: no zone token: its file is missing or empty");
}

#[tokio::test]
async fn the_gate_refuses_an_expired_token_and_a_gateway_that_is_gone_is_named() {
    let setup = gateway().await;
    let mut claims = claims_with("Scope", json!(["cp"]));
    claims["exp"] = json!(now() - 3600);
    let zone_side = setup.zone_side(Some(&setup.sign(claims))).await;
    let connection = connect(&zone_side).await;
    let said = refusal(&connection, WITHOUT_TOKEN).await;
    assert!(
        said.starts_with("Unauthenticated: zonegate: expired: the token expired 60 minutes ago"),
        "{said}"
    );
    setup.gateway.stop().await;
    let said = refusal(&connection, WITHOUT_TOKEN).await;
    assert!(said.starts_with("Unavailable: upstream connect error"), "{said}");
}

/// As the kubelet updates the files of a Secret.
#[tokio::test]
async fn the_symlink_swap_of_a_secret_is_a_new_token() {
    let setup = gateway().await;
    let token = setup.token_of_id("id-1");
    let zone_side = setup.zone_side(None).await;
    let connection = connect(&zone_side).await;
    let folder = zone_side.token_folder();
    for (version, text) in [("..1", "not-a-token"), ("..2", token.as_str())] {
        fs::create_dir(folder.join(version)).unwrap();
        fs::write(folder.join(version).join("token"), text).unwrap();
        symlink(version, folder.join("..data_tmp")).unwrap();
        fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
        if version == "..1" {
            symlink("..data/token", folder.join("token")).unwrap();
        }
    }
    wait_refusal(&connection, "").await;
    assert_eq!(setup.tokens_seen().last(), Some(&token));
}

/// The token is sent only to a gateway with the right CA and name.
#[tokio::test]
async fn the_token_is_not_sent_to_a_gateway_of_another_name_or_ca() {
    let setup = gateway().await;
    let token = setup.token_of_id("id-1");
    let other = TempDir::new().unwrap();
    let other = zonegate_testkit::certificates::Certificates::generate(other.path()).unwrap();
    let dir = TempDir::new().unwrap();
    let ca = dir.path().join("ca.pem");
    fs::write(&ca, other.ca).unwrap();
    for (gateway_ca, gateway_name) in [(ca, "localhost"), (setup.ca_path(), "global-gateway")] {
        let options = ZoneSideOptions {
            envoy: from_environment("ENVOY_PATH"),
            gateway: setup.gateway.address(),
            gateway_ca,
            gateway_name: gateway_name.to_owned(),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        let zone_side = ZoneSide::start(options, Some(&token)).await.unwrap();
        let said = refusal(&connect(&zone_side).await, WITHOUT_TOKEN).await;
        assert!(said.starts_with("Unavailable: upstream connect error"), "{gateway_name}: {said}");
        wait_log(&zone_side, "CERTIFICATE_VERIFY_FAILED").await;
    }
    assert_eq!(setup.control_plane.recorder().count(), 0);
}

/// Envoy does not show the token in its logs or its admin interface.
#[tokio::test]
async fn the_token_is_in_no_log() {
    let setup = gateway().await;
    let token = setup.token_of_id("id-1");
    let zone_side = setup.zone_side(Some(&token)).await;
    connect(&zone_side).await.health_check(WITHOUT_TOKEN).await.unwrap();
    wait_log(&zone_side, "GlobalKDSService/HealthCheck").await;
    let log = zone_side.log().unwrap();
    assert!(!log.contains(&token) && !log.contains(token.split('.').nth(2).unwrap()), "{log}");
    let dump = zone_side.admin("/config_dump?include_eds").await.unwrap();
    assert!(dump.contains("zone-token") && !dump.contains(&token), "{dump}");
}
