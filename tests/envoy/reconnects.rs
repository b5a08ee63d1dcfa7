//! A revoked proxy that reconnects again and again, as kuma-dp does.

use std::time::Instant;

use serde_json::json;
use tonic::Code;
use zonegate_testkit::zone_proxy::Claimed;

use crate::harness::{Bench, LIMIT};
use crate::open_stream::{is_cut, open};
use crate::refusals::assert_refused;

#[tokio::test]
async fn a_revoked_proxy_that_reconnects_in_a_loop_is_refused_each_time() {
    const BURST: u64 = 50;
    const TRIES: u64 = 600;
    let setup = Bench::new().start().await;
    let token = setup.token();
    let mut stream = open(&setup.connect().await, &token).await;
    setup.push("revocations", json!("id-1")).await;
    assert!(is_cut(&mut stream).await);
    drop(stream);
    // On the other worker too.
    setup.refused_everywhere_as(&setup.witness("id-1"), "revoked").await;
    let before = setup.denied("revoked").await;
    setup.control_plane.recorder().clear();
    let start = Instant::now();
    // At once, so that lines are left out however slow the machine is.
    let connection = setup.connect().await;
    let burst = (0..BURST).map(|_| connection.sotw(Some(&token), Claimed::INGRESS));
    for answer in futures_util::future::join_all(burst).await {
        assert_eq!(answer.unwrap_err().code(), Code::Unauthenticated);
    }
    drop(connection);
    let mut memory = Vec::new();
    for index in 1..=TRIES {
        // A new connection, as the proxy opens after its stream is cut.
        let connection = setup.connect().await;
        let refused = connection.sotw(Some(&token), Claimed::INGRESS).await.unwrap_err();
        assert_refused(&refused, "revoked", Code::Unauthenticated, "token \"id-1\" is revoked");
        if index % (TRIES / 3) == 0 {
            memory.push(setup.gateway.stat("server.memory_allocated").await.unwrap().unwrap());
        }
    }
    let seconds = start.elapsed().as_secs() + 2;
    assert_eq!(setup.denied("revoked").await, before + BURST + TRIES);
    assert_eq!(setup.stat("allowed").await, 1);
    setup.gateway.wait_stat("zonegate.streams.open", 0, LIMIT).await.unwrap();
    setup.gateway.wait_stat("http.zonegate.downstream_cx_active", 0, LIMIT).await.unwrap();
    assert!(memory[2] < memory[0] + 1024 * 1024, "{memory:?}");
    // Ten lines per second for each worker, each with the number of refusals that it represents.
    let log = setup.gateway.log().unwrap();
    let lines = log.lines().filter(|line| line.contains("zonegate: denied reason=revoked "));
    let lines: Vec<&str> = lines.filter(|line| !line.contains("zone=\"elsewhere\"")).collect();
    let written = lines.len() as u64;
    assert!(written <= 2 * 10 * seconds, "{written} lines in {seconds} s");
    assert!(lines.iter().all(|line| line.contains(r#" jti="id-1" zone="zone-1""#)), "{lines:?}");
    let suppressed = lines.iter().filter_map(|line| line.rsplit_once(" suppressed="));
    let suppressed: u64 = suppressed.map(|(_, count)| count.parse::<u64>().unwrap()).sum();
    println!(
        "{BURST} tries at once and {TRIES} more in {:?}: {written} lines, {suppressed} left out",
        start.elapsed()
    );
    assert!(written < TRIES && suppressed > 0, "nothing was left out");
    assert!(written + suppressed <= before + BURST + TRIES);
    assert_eq!(setup.control_plane.recorder().count(), 0);
}
