//! The memory that a VM uses for policies that are no longer in force.

use serde_json::json;
use uuid::Uuid;

use crate::harness::{Bench, LIMIT};
use crate::open_stream::{goes_on, open};

const PUSHES: usize = 60;
/// After this many pushes, the earlier policies are as large as they may be in total.
const FILLED: usize = 16;
const IDS: usize = 20_000;

/// Pushes of another long list each time, with one stream left open under each. The VM needs memory for the lists in
/// use at a push, however many older streams are open.
#[tokio::test]
async fn open_streams_hold_no_policy() {
    let setup = Bench::text().start().await;
    let connection = setup.connect().await;
    let mut streams = Vec::new();
    let mut held = Vec::new();
    let mut text = 0;
    for push in 0..PUSHES {
        let mut ids: Vec<String> = (0..IDS).map(|_| Uuid::new_v4().to_string()).collect();
        ids.push(format!("push-{push}"));
        text = ids.iter().map(|id| id.len() + 1).sum::<usize>();
        setup.push_with(json!({ "revocations": ids.join(",") })).await;
        setup.refused_as(&connection, &setup.witness(&format!("push-{push}")), "revoked").await;
        streams.push(open(&connection, &setup.token_of(&format!("id-{push}"))).await);
        held.push((setup.vm_memory() / 1024, setup.allocated().await / 1024));
    }
    println!("KiB of each list as text: {}", text / 1024);
    println!("KiB that the VM has, and that Envoy has allocated, after each push: {held:?}");
    // Earlier policies are kept up to 4 MiB in total, a dozen of these: memory grows until then.
    let (first, last) = (held[FILLED - 1].0, held[PUSHES - 1].0);
    // The memory of a VM never shrinks, and free memory between the kept policies is not in one piece. So it may grow
    // by what one push needs for a moment: the text as received, and the text as read. All lists of the pushes in
    // between are more than nine times as large.
    let room = 2 * text as u64 / 1024;
    assert!(last <= first + room, "the VM grew from {first} to {last} KiB");
    setup.control_plane.push();
    for stream in &mut streams {
        assert!(goes_on(stream).await);
    }
    let stat = "zonegate.streams.open";
    setup.gateway.wait_stat(stat, PUSHES as u64, LIMIT).await.unwrap();
}
