//! The access log of the shipped `gateway.yaml`: whether it shows the cause of a failure.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::sleep;
use zonegate_testkit::certificates::Certificates;
use zonegate_testkit::zone_proxy::Claimed;

use crate::harness::{Bench, LIMIT, Setup};

impl Setup {
    /// The first line of the access log.
    pub(crate) async fn logged(&self) -> Value {
        let start = Instant::now();
        loop {
            let log = self.gateway.log().unwrap();
            let line = log.lines().find(|line| line.starts_with('{'));
            if let Some(line) = line.and_then(|line| serde_json::from_str(line).ok()) {
                return line;
            }
            assert!(start.elapsed() < LIMIT, "{log}");
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The proxy gets 503 in both cases, and Envoy's log has no line about either.
#[tokio::test]
async fn a_wrong_ca_and_a_control_plane_that_is_down_look_different() {
    let mut wrong_ca = Bench::new();
    let elsewhere = wrong_ca.scratch().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    wrong_ca.options.control_plane_ca = Certificates::generate(&elsewhere).unwrap().ca_path;
    let mut down = Bench::new();
    let port = "/static_resources/clusters/0/load_assignment/endpoints/0/lb_endpoints/0/endpoint\
                /address/socket_address/port_value";
    down.options.edits.push((port.to_owned(), json!(1)));
    for (bench, cause) in [(wrong_ca, "CERTIFICATE_VERIFY_FAILED"), (down, "Connection_refused")] {
        let setup = bench.start().await;
        let token = setup.token();
        let refused = setup.connect().await.sotw(Some(&token), Claimed::INGRESS).await;
        assert_eq!(refused.unwrap_err().code() as i32, 14);
        let line = setup.logged().await;
        let failure = line["upstream_failure"].as_str().unwrap_or_default();
        assert!(failure.contains(cause), "{line}");
        let details = line["details"].as_str().unwrap_or_default();
        assert!(details.starts_with("upstream_reset_before_response_started"), "{line}");
    }
}

/// The log field `milliseconds` has this unit.
#[tokio::test]
async fn a_refusal_names_its_cause_and_takes_milliseconds() {
    let setup = Bench::new().start().await;
    let start = Instant::now();
    setup.connect().await.sotw(Some("garbage"), Claimed::INGRESS).await.unwrap_err();
    let elapsed = start.elapsed().as_millis();
    let line = setup.logged().await;
    assert_eq!(line["reason"], "malformed_token", "{line}");
    let milliseconds = line["milliseconds"].as_u64().unwrap();
    assert!(u128::from(milliseconds) <= elapsed, "{line}");
    assert_eq!(line["upstream_failure"], Value::Null, "{line}");
}
