//! Modules that are replaced and restored, with the streams of the previous module.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::time::sleep;

use crate::form::{FilterOnly, WasmOnly};
use crate::harness::{Bench, LIMIT, Setup};
use crate::held::first_message;
use crate::module_swap::{write, write_rebuilt};
use crate::open_stream::{Sotw, goes_on, open};

use super::*;

/// An upgrade with another policy, and the way back to the previous module and policy.
struct RolledBack {
    setup: Setup,
    /// A stream that began under the policy in between, with the token that the first policy revokes.
    stream: Sotw,
}

/// What becomes of the VM of the first module while the module in between serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FirstVm {
    /// Its last stream ends, and so the VM ends.
    Ends,
    /// A stream stays open. The VM may learn of the policy in between or not.
    Stays,
    /// A stream stays open, and the VM learns of the policy in between.
    Learns,
}

const FIRST_VMS: [FirstVm; 3] = [FirstVm::Ends, FirstVm::Stays, FirstVm::Learns];

/// The first policy revokes `id-a`, the policy in between `id-b`. `second` writes the module in between.
async fn rolled_back(first_vm: FirstVm, second: impl Fn(&Path) -> PathBuf) -> RolledBack {
    let mut bench = Bench::text().set("revocations", json!(["id-a"]));
    let folder = bench.scratch().to_owned();
    let (first, second) = (write(&folder, "first"), second(&folder));
    bench.options.module = first.clone();
    let mut setup = bench.start().await;
    let connection = setup.connect().await;
    let kept = open(&connection, &setup.token()).await;
    let mut revoked = open(&connection, &setup.token_of("id-b")).await;
    setup.gateway.use_module(&second).unwrap();
    setup.push_with(json!({ "revocations": ["id-b"] })).await;
    setup.refused_as(&connection, &setup.witness("id-b"), "revoked").await;
    let stream = open(&connection, &setup.token_of("id-a")).await;
    match first_vm {
        FirstVm::Ends => {
            assert!(is_cut_soon(&mut revoked).await);
            setup.gateway.wait_stat(OPEN, 2, 2 * SILENCE).await.unwrap();
            drop(kept);
            setup.gateway.wait_stat(OPEN, 1, 2 * SILENCE).await.unwrap();
        }
        FirstVm::Stays => std::mem::forget((kept, revoked)),
        FirstVm::Learns => {
            assert!(is_cut_soon(&mut revoked).await);
            std::mem::forget(kept);
        }
    }
    setup.gateway.use_module(&first).unwrap();
    setup.push_with(json!({ "revocations": ["id-a"] })).await;
    setup.refused_as(&connection, &setup.witness("id-a"), "revoked").await;
    RolledBack { setup, stream }
}

#[tokio::test]
async fn an_upgrade_that_is_taken_back_cuts_what_the_policy_of_before_revokes() {
    if FilterOnly::Module.is_left_out() {
        return;
    }
    for first_vm in FIRST_VMS {
        // Envoy also takes modules of the same sources for two.
        for second in [write_rebuilt, |folder: &Path| write(folder, "second")] {
            let RolledBack { setup, mut stream } = rolled_back(first_vm, second).await;
            assert!(is_cut_soon(&mut stream).await, "{first_vm:?}: {}", setup.gateway.log_tail());
        }
    }
}

/// Once a stream is refused as the first policy says, a token that only the policy in between revokes is let in. A VM may
/// learn of the policy in between even later, if the upgrade was taken back within a tick. Then its streams must
/// satisfy both policies until another VM says that Envoy has gone back.
#[tokio::test]
async fn an_upgrade_that_is_taken_back_takes_its_policy_back() {
    if FilterOnly::Module.is_left_out() {
        return;
    }
    for first_vm in FIRST_VMS {
        let RolledBack { setup, stream: _ } = rolled_back(first_vm, write_rebuilt).await;
        let allowed = if first_vm == FirstVm::Stays { CUT } else { Duration::ZERO };
        let start = Instant::now();
        let mut refused = start;
        while refused.elapsed() < Duration::from_secs(1) {
            if let Some(reason) = reason(&setup.connect().await, &setup.token_of("id-b")).await {
                refused = Instant::now();
                let late = refused - start;
                assert!(late < allowed, "{first_vm:?}: {reason} {late:?} after the push back");
            }
        }
    }
}

/// An upgrade with a list of more than 1 MiB, which is too long to be passed to the VMs of the previous module. They
/// wait half a minute for it. Meanwhile their streams go on, even revoked ones. Then all their streams are cut, even
/// those that the list does not revoke.
#[tokio::test]
async fn an_upgrade_with_a_long_list_cuts_all_streams_of_the_module_before() {
    if FilterOnly::Module.is_left_out() {
        return;
    }
    if WasmOnly::LongLists.is_left_out() {
        return;
    }
    let mut bench = Bench::text();
    let folder = bench.scratch().to_owned();
    bench.options.module = write(&folder, "first");
    let mut setup = bench.start().await;
    let connection = setup.connect().await;
    let mut revoked = open(&connection, &setup.token()).await;
    let mut kept = open(&connection, &setup.token_of("id-2")).await;
    setup.gateway.use_module(&write(&folder, "second")).unwrap();
    let list = [vec!["id-1".to_owned()], ids(40_000)].concat().join(",");
    setup.push_with(json!({ "revocations": list })).await;
    setup.refused_as(&connection, &setup.witness("id-1"), "revoked").await;
    let in_force = Instant::now();
    setup.control_plane.push();
    assert!(goes_on(&mut revoked).await && goes_on(&mut kept).await);
    let cut = "zonegate.streams.cut.module_replaced";
    setup.gateway.wait_stat(cut, 2, 4 * LIMIT).await.unwrap();
    let waited = in_force.elapsed();
    assert!(waited > Duration::from_secs(20), "cut {waited:?} after the push");
    assert!(is_cut_soon(&mut revoked).await && is_cut_soon(&mut kept).await);
}

/// Connections that stay with the old listener, and so with the old module, until they close.
#[tokio::test]
async fn an_old_connection_gets_nothing_in_after_an_upgrade_with_a_long_list() {
    if FilterOnly::Module.is_left_out() {
        return;
    }
    let folder = tempfile::TempDir::new().unwrap();
    let mut setup = by_listener(1, Some(write(folder.path(), "first"))).await;
    let old = setup.connect().await;
    let _kept = open(&old, &setup.token_of("id-2")).await;
    setup.gateway.use_module(&write(folder.path(), "second")).unwrap();
    let list = [vec!["id-1".to_owned()], ids(40_000)].concat().join(",");
    setup.push_with(json!({ "revocations": list })).await;
    comes_to(&setup, None, &setup.witness("id-1"), Some("revoked")).await;
    // After half a minute the old module stops waiting for the list.
    let mut let_in = Vec::new();
    for wait in [1, 34] {
        sleep(Duration::from_secs(wait)).await;
        if reason(&old, &setup.token()).await.is_none() {
            let_in.push(wait);
        }
    }
    assert!(let_in.is_empty(), "a revoked token is let in {let_in:?} s after the push");
}

/// Streams that the VM of the previous module holds are judged by the policy that came with the new module.
#[tokio::test]
async fn a_stream_that_the_old_module_holds_is_judged_by_the_newest_policy() {
    if FilterOnly::Module.is_left_out() {
        return;
    }
    let mut bench = Bench::text();
    let folder = bench.scratch().to_owned();
    bench.options.module = write(&folder, "first");
    let mut setup = bench.start().await;
    let connection = setup.connect().await;
    let mut seen = open(&connection, &setup.token()).await;
    let raw = setup.raw().await;
    let mut held = setup.begin(&raw, &setup.token()).await;
    let message = first_message();
    held.send(message[..9].to_vec(), false);
    raw.settled().await.unwrap();
    setup.gateway.use_module(&write(&folder, "second")).unwrap();
    setup.push_with(json!({ "revocations": ["id-1"] })).await;
    // The old module knows the new policy.
    assert!(is_cut_soon(&mut seen).await);
    held.send(message[9..].to_vec(), true);
    let answer = held.answer(LIMIT).await.unwrap();
    let message = answer.grpc_message().unwrap();
    assert!(message.starts_with("zonegate: revoked: "), "{message}");
}
