//! Zones that authenticate to a global control plane: real kuma-cps, a global one and one per zone, an Envoy beside
//! each zone, which adds the zone's token, and a gateway in front of the global one.

mod rollout;
mod world;

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand::RngExt;
use serde_json::{Value, json};
use zonegate_issuer::SigningKey;

use crate::harness::now;
use world::{Claims, Global, KID, dataplane, wait_there};

/// The number of calls to the global control plane that a zone keeps open.
const STREAMS: u64 = 5;

#[tokio::test]
#[ignore = "needs KUMA_HOME: make test-kuma"]
async fn zones_with_their_tokens_are_online_and_a_revocation_takes_one_off() {
    let mut global = Global::start(&[]).await;
    let expires_at = now() + 3_600;
    let east = global.token(Claims { zone: "east", id: "id-east", seconds: 3_600 });
    let west = global.token(Claims { zone: "west", id: "id-west", seconds: 3_600 });
    let (east, west) = (global.zone("east", &east).await, global.zone("west", &west).await);
    global.wait_online("east", true).await;
    global.wait_online("west", true).await;
    global.wait_stat("streams.open", 2 * STREAMS).await;
    global.assert_synced("one", &east.control_plane).await;
    global.assert_synced("two", &west.control_plane).await;
    global.wait_at_least("zone.east.allowed", STREAMS + 1).await;
    assert_eq!(global.stat("zone.east.denied").await, 0);
    // The expiry of a token is shown in advance.
    let shown = global.stat("zone.east.token_expires_at").await;
    assert!(shown.abs_diff(expires_at) < 10, "{shown}, not {expires_at}");

    let begun = Instant::now();
    global.push(&[("revocations", json!("id-east"))]).await;
    // When one stream is cut, the zone's control plane ends the others itself.
    global.wait_stat("streams.open", STREAMS).await;
    println!("the {STREAMS} KDS streams are gone {:?} after the push", begun.elapsed());
    assert!(global.stat("streams.cut.revoked").await >= 1);
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    east.wait_log("zonegate: revoked: token \\\"id-east\\\" is revoked; issue a new one").await;
    global.wait_online("east", false).await;
    println!("the zone is offline {:?} after the push", begun.elapsed());
    assert!(global.is_online("west").await);
    assert_eq!(global.stat("zone.west.denied").await, 0);

    // The zone gets the missed changes when it has its new token.
    let mesh = json!({ "type": "Mesh", "name": "meanwhile" });
    global.control_plane.api().put("/meshes/meanwhile", &mesh).await.unwrap();
    let own = dataplane("meanwhile");
    east.control_plane.api().put("/meshes/default/dataplanes/meanwhile", &own).await.unwrap();
    wait_there(&west.control_plane, "/meshes/meanwhile", "meanwhile").await;
    let seen = east.control_plane.api().get("/meshes/meanwhile").await.unwrap();
    assert_eq!(seen, None);
    let new = global.token(Claims { zone: "east", id: "id-new", seconds: 3_600 });
    east.side.set_token(&new).unwrap();
    global.wait_online("east", true).await;
    wait_there(&east.control_plane, "/meshes/meanwhile", "meanwhile").await;
    wait_there(&global.control_plane, "/meshes/default/dataplanes", "meanwhile").await;
    assert!(!west.control_plane.process().log().unwrap().contains("zonegate: "));
}

#[tokio::test]
#[ignore = "needs KUMA_HOME: make test-kuma"]
async fn a_zone_without_a_good_token_of_its_own_stays_out_and_says_why() {
    let global = Global::start(&[("revocations", json!("gone"))]).await;
    let good = Claims { zone: "east", id: "id-1", seconds: 3_600 };
    let stranger = SigningKey::generate(2048).unwrap();
    let bad = [
        (
            global.token(Claims { zone: "west", id: "id-1", seconds: 3_600 }),
            "zonegate: wrong_zone: the token is for zone \\\"west\\\", the caller says that it is zone \\\"east\\\"",
        ),
        (
            global.token(Claims { zone: "east", id: "id-1", seconds: -7_200 }),
            "zonegate: expired: the token expired 2 hours ago; issue a new one",
        ),
        (
            global.token(Claims { zone: "east", id: "gone", seconds: 3_600 }),
            "zonegate: revoked: token \\\"gone\\\" is revoked; issue a new one",
        ),
        (global.token_by(&stranger, Claims { ..good }), "zonegate: invalid_signature: "),
        ("not-a-token".to_owned(), "zonegate: malformed_token: "),
        (String::new(), "zone side: no zone token: its file is missing or empty"),
    ];
    let east = global.zone("east", &bad[0].0).await;
    for (token, sentence) in &bad {
        east.side.set_token(token).unwrap();
        east.wait_log(sentence).await;
        assert!(!global.is_online("east").await, "{sentence}");
    }
    assert_eq!((global.stat("allowed").await, global.stat("streams.open").await), (0, 0));
    assert!(global.stat("zone.east.denied").await >= 5);
    // Nor has the zone received anything from the global control plane.
    assert_eq!(east.control_plane.api().get("/meshes/default").await.unwrap(), None);
    east.side.set_token(&global.token(good)).unwrap();
    global.wait_online("east", true).await;
    global.assert_synced("one", &east.control_plane).await;
}

/// Kuma's largest message is 10 MiB. A new zone gets all resources of a type in one message.
#[tokio::test]
#[ignore = "needs KUMA_HOME: make test-kuma"]
async fn a_message_of_nine_megabytes_comes_through() {
    const SECRETS: usize = 10;
    let global = Global::start(&[]).await;
    let api = global.control_plane.api();
    for number in 0..SECRETS {
        let mut bytes = vec![0; 900_000];
        // Random bytes, which gzip cannot compress.
        rand::rng().fill(&mut bytes[..]);
        let (name, data) = (format!("large-{number}"), STANDARD.encode(&bytes));
        let secret = json!({ "type": "Secret", "mesh": "default", "name": name, "data": data });
        api.put(&format!("/meshes/default/secrets/{name}"), &secret).await.unwrap();
    }
    let token = global.token(Claims { zone: "east", id: "id-1", seconds: 3_600 });
    let east = global.zone("east", &token).await;
    for number in 0..SECRETS {
        let path = format!("/meshes/default/secrets/large-{number}");
        wait_there(&east.control_plane, &path, "large-").await;
        let (here, there) = (east.control_plane.api().get(&path), api.get(&path));
        let data = |text: Option<String>| {
            serde_json::from_str::<Value>(&text.unwrap()).unwrap()["data"].clone()
        };
        assert!(data(here.await.unwrap()) == data(there.await.unwrap()), "{path} is another");
    }
    assert!(global.is_online("east").await);
}

#[tokio::test]
#[ignore = "needs KUMA_HOME: make test-kuma"]
async fn a_token_that_runs_out_is_refused_at_the_next_health_check() {
    let global = Global::start(&[]).await;
    let short = global.token(Claims { zone: "east", id: "short", seconds: 15 });
    let east = global.zone("east", &short).await;
    global.wait_online("east", true).await;
    // The policy keeps open streams of an expired token. The zone itself ends them.
    east.wait_log("zonegate: expired: ").await;
    global.wait_online("east", false).await;
    assert_eq!(global.stat("streams.cut.expired").await, 0);
    let new = global.token(Claims { zone: "east", id: "new", seconds: 3_600 });
    east.side.set_token(&new).unwrap();
    global.wait_online("east", true).await;
}

#[tokio::test]
#[ignore = "needs KUMA_HOME: make test-kuma"]
async fn a_key_is_rotated_and_both_envoys_are_restarted_with_nothing_lost() {
    let mut global = Global::start(&[]).await;
    let old = global.token(Claims { zone: "east", id: "old", seconds: 3_600 });
    let mut east = global.zone("east", &old).await;
    global.wait_online("east", true).await;
    global.assert_synced("before", &east.control_plane).await;

    // Both keys, then a new token, then only the new key. No stream is cut.
    let new_key = SigningKey::generate(2048).unwrap();
    let key = |kid: &str, key: &SigningKey| json!({ "kid": kid, "key": key.public_key_pem() });
    let both = json!([key(KID, &global.key), key("2", &new_key)]);
    global.push(&[("publicKeys", both)]).await;
    let claims = json!({ "Zone": "east", "Scope": ["cp"], "exp": now() + 3_600, "jti": "new" });
    let new = new_key.sign_raw(r#"{"alg":"RS256","kid":"2"}"#, claims.to_string());
    east.side.set_token(&new).unwrap();
    global.wait_at_least("kid.2.allowed", 1).await;
    global.push(&[("publicKeys", json!([key("2", &new_key)]))]).await;
    global.assert_synced("rotated", &east.control_plane).await;
    assert_eq!(global.stat("zone.east.denied").await, 0);
    assert_eq!(global.stat("streams.open").await, STREAMS);

    east.side = east.side.restart().await.unwrap();
    global.assert_synced("zone-side", &east.control_plane).await;
    global.wait_online("east", true).await;

    // The gateway: a change that is made while the gateway is down arrives when the gateway is back.
    let global = global
        .restart_gateway(async |global| {
            let mesh = json!({ "type": "Mesh", "name": "meanwhile" });
            global.api().put("/meshes/meanwhile", &mesh).await.unwrap();
            let own = dataplane("meanwhile");
            let place = "/meshes/default/dataplanes/meanwhile";
            east.control_plane.api().put(place, &own).await.unwrap();
        })
        .await;
    wait_there(&east.control_plane, "/meshes/meanwhile", "meanwhile").await;
    wait_there(&global.control_plane, "/meshes/default/dataplanes", "meanwhile").await;
    global.wait_online("east", true).await;
    global.assert_synced("gateway", &east.control_plane).await;
}
