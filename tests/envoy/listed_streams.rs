//! `zonegate streams` on the access log of a real Envoy: its list has all open streams and no others.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};
use tokio::time::sleep;
use zonegate_issuer::DataplaneTokenRequest;
use zonegate_testkit::kuma::Kind;
use zonegate_testkit::zone_proxy::{Claimed, discovery_request};

use crate::harness::{Bench, LIMIT, Setup, ZONE, claims_with, now};
use crate::open_stream::open;

const MESH: &str = "default";
/// The interval of the periodic log lines; a minute in the shipped file.
const INTERVAL: &str = "1s";
/// More than twice the interval, plus the delay of Envoy's log.
const SILENT_FOR: &str = "--silent-for=5s";

fn bench() -> Bench {
    let mut bench = Bench::new();
    let place = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config\
                 /access_log_options/access_log_flush_interval";
    bench.options.edits.push((place.to_owned(), json!(INTERVAL)));
    bench
}

/// Runs the tool, and returns its exit code and its list.
fn streams(log: &PathBuf, arguments: &[&str]) -> (i32, Vec<Value>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zonegate"));
    command.args(["streams", SILENT_FOR, "-o", "json"]).args(arguments).arg(log);
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    // Before the first interval has passed, the log has no such line.
    if error.contains("no line of it is one of the access log") {
        return (0, Vec::new());
    }
    assert!(error.is_empty() || error.contains("the last line of the log is from"), "{error}");
    (output.status.code().unwrap(), serde_json::from_slice(&output.stdout).unwrap())
}

/// Waits until the list has these ids, in this order.
async fn listed(log: &PathBuf, arguments: &[&str], wanted: &[&str]) -> Vec<Value> {
    let start = Instant::now();
    loop {
        let (code, list) = streams(log, arguments);
        let ids: Vec<&str> =
            list.iter().map(|stream| stream["id"].as_str().unwrap_or("-")).collect();
        if ids == wanted {
            let is_filtered =
                arguments.iter().any(|it| it.starts_with("--kid") || it.starts_with("--e"));
            assert_eq!(code, i32::from(is_filtered && !wanted.is_empty()), "{list:?}");
            return list;
        }
        assert!(start.elapsed() < LIMIT, "{ids:?}, not {wanted:?}");
        sleep(Duration::from_millis(200)).await;
    }
}

impl Setup {
    fn token_by(&self, kid: &str, id: &str, expires_in: u64) -> String {
        let mut claims = claims_with("jti", json!(id));
        claims["exp"] = json!(now() + expires_in);
        let header = json!({ "alg": "RS256", "kid": kid, "typ": "JWT" }).to_string();
        self.key.sign_raw(&header, claims.to_string())
    }

    fn dataplane_token(&self, name: &str, id: &str) -> String {
        let request = DataplaneTokenRequest {
            name: name.to_owned(),
            mesh: MESH.to_owned(),
            tags: BTreeMap::from([("kuma.io/service".to_owned(), [name.to_owned()].into())]),
            proxy_type: None,
            workload: String::new(),
            valid_for: Duration::from_secs(24 * 3600),
            kid: "d".to_owned(),
            now: SystemTime::now(),
            not_before: None,
            id: id.to_owned(),
        };
        request.issue(&self.key).unwrap()
    }
}

/// Streams of several kinds are listed with their details. A stream that ends leaves the list. If Envoy is killed, all
/// streams leave the list, because no more lines about them come.
#[tokio::test]
async fn open_streams_are_listed_until_they_end_or_envoy_is_killed() {
    let bench = bench();
    let public = bench.key.public_key_pem().to_owned();
    let keys = ["old", "new"].map(|kid| json!({ "kid": kid, "key": public }));
    let setup = bench
        .set("publicKeys", json!(keys))
        .set("dpToken", json!({ "publicKeys": [{ "mesh": MESH, "kid": "d", "key": public }] }))
        .set("proxies", json!({ "dataplane": "dpToken" }))
        .start()
        .await;
    let log = setup.gateway.log_path();
    let connection = setup.connect().await;
    let began = now();
    let soon = open(&connection, &setup.token_by("old", "soon", 600)).await;
    let _late = open(&connection, &setup.token_by("new", "late", 7_200)).await;
    let resource = Kind::Dataplane.resource(MESH, "web", [8080, 8081]).to_string();
    let claimed = Claimed { proxy_type: Some("dataplane"), resource: Some(&resource) };
    let mut message = discovery_request(claimed);
    message.node.as_mut().unwrap().id = format!("{MESH}.web");
    let token = setup.dataplane_token("web", "of-web");
    let _web = setup.connect().await.sotw_of(Some(&token), message).await.unwrap();
    // Refused streams are never open.
    connection.sotw(Some("garbage"), Claimed::INGRESS).await.unwrap_err();

    let list = listed(&log, &[], &["soon", "late", "of-web"]).await;
    let [first, _, web] = &list[..] else { panic!("{list:?}") };
    for (field, wanted) in
        [("kind", "zoneToken"), ("zone", ZONE), ("kid", "old"), ("verdict", "allow")]
    {
        assert_eq!(first[field], wanted, "{first}");
    }
    let seconds = |field: &str| {
        let time: jiff::Timestamp = first[field].as_str().unwrap().parse().unwrap();
        u64::try_from(time.as_second()).unwrap()
    };
    assert!((began + 600..began + 640).contains(&seconds("expiresAt")), "{first}");
    assert!((began..=now()).contains(&seconds("since")), "{first}");
    assert!(seconds("lastSeen") >= seconds("since"), "{first}");
    for (field, wanted) in [("kind", "dpToken"), ("mesh", MESH), ("name", "web"), ("kid", "d")] {
        assert_eq!(web[field], wanted, "{web}");
    }
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(token.split('.').all(|part| !text.contains(part)), "a part of a token is in the log");

    listed(&log, &["--kid=old"], &["soon"]).await;
    listed(&log, &["--kid=none"], &[]).await;
    listed(&log, &["--expiring-within=1h"], &["soon"]).await;
    listed(&log, &["--sort=kid"], &["of-web", "late", "soon"]).await;
    drop(soon);
    listed(&log, &[], &["late", "of-web"]).await;
    listed(&log, &["--kid=old"], &[]).await;

    let kept = setup.ca_path().with_file_name("log-of-the-killed");
    let pid = setup.gateway.pid().unwrap().to_string();
    assert!(Command::new("kill").args(["-9", &pid]).status().unwrap().success());
    std::fs::copy(&log, &kept).unwrap();
    // The log shows these streams as open, and no line shows their end.
    let text = std::fs::read_to_string(&kept).unwrap();
    let of_late = text.lines().filter(|line| line.contains("jti=late"));
    assert!(
        of_late.clone().count() > 0
            && of_late.clone().all(|line| line.contains("DownstreamPeriodic"))
    );
    listed(&kept, &[], &[]).await;
}

/// In shadow mode the list shows which streams mode enforce would have refused, and why.
#[tokio::test]
async fn streams_that_pass_only_in_shadow_mode_are_marked() {
    let setup = bench().set("mode", json!("shadow")).start().await;
    let connection = setup.connect().await;
    let _good = open(&connection, &setup.token_by("1", "good", 600)).await;
    let foreign = setup.sign(claims_with("Zone", json!("elsewhere")));
    let _foreign = open(&connection, &foreign).await;
    let _nobody = connection.sotw(None, Claimed::INGRESS).await.unwrap();
    let log = setup.gateway.log_path();
    let list = listed(&log, &["--sort=since"], &["good", "id-1", "-"]).await;
    let verdicts: Vec<[&Value; 2]> =
        list.iter().map(|stream| [&stream["verdict"], &stream["reason"]]).collect();
    let [allow, would_deny] = [json!("allow"), json!("would_deny")];
    let [wrong_zone, missing] = [json!("wrong_zone"), json!("missing_token")];
    assert_eq!(
        verdicts,
        [[&allow, &Value::Null], [&would_deny, &wrong_zone], [&would_deny, &missing]]
    );
    let (code, denied) = streams(&log, &["--would-be-denied"]);
    assert_eq!((code, denied.len()), (1, 2), "{denied:?}");
    assert_eq!(denied[0]["zone"], "elsewhere");
}
