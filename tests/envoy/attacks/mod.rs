//! Orders of events that an attacker who knows the gateway would try: pushes back, modules that are replaced and
//! restored, and configurations that Envoy refuses because of another part.
//!
//! The guarantees are the same as everywhere: soon after a revocation, no stream with the token is open; the newest
//! configuration that Envoy accepted is in force; and a refused configuration changes nothing for later streams. The
//! comment of a test says if it guarantees less.

mod failing_vms;
mod gauges;
mod listeners;
mod pushes_back;
mod strangers;
mod upgrades;

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use prost::Message;
use serde_json::Value;
use tokio::time::{sleep, timeout};
use tonic::Code;
use uuid::Uuid;
use zonegate::gate::ADS_SOTW;
use zonegate_testkit::gateway::{Delivery, Form, Pushed};
use zonegate_testkit::raw_client::{End, RawRequest, grpc_frame};
use zonegate_testkit::zone_proxy::{Claimed, Connection, discovery_request};

use crate::form::form;
use crate::harness::{Bench, LIMIT, Setup, grpc_headers};
use crate::open_stream::Sotw;

pub(super) const OPEN: &str = "zonegate.streams.open";

/// How long a VM must be silent until it no longer counts, and one second more.
pub(super) const SILENCE: Duration = Duration::from_secs(5 + 1);

/// A cut takes one second at most, and longer on a busy machine.
pub(super) const CUT: Duration = Duration::from_secs(8);

/// Whether the stream ends within [`CUT`]; earlier messages are skipped.
pub(super) async fn is_cut_soon(stream: &mut Sotw) -> bool {
    let end = async { while let Ok(Some(_)) = stream.next().await {} };
    timeout(CUT, end).await.is_ok()
}

/// The reason for which a stream is refused; `None` if it is let in.
pub(super) async fn reason(connection: &Connection, token: &str) -> Option<String> {
    let answer = timeout(LIMIT, connection.sotw(Some(token), Claimed::INGRESS)).await;
    let refused = answer.expect("a stream is not answered").err()?;
    Some(refused.message().split(": ").nth(1).unwrap_or(refused.message()).to_owned())
}

/// Waits until a stream with this token, on this connection or on a new one each time, has this result.
pub(super) async fn comes_to(
    setup: &Setup,
    on: Option<&Connection>,
    token: &str,
    fate: Option<&str>,
) {
    let start = Instant::now();
    loop {
        let seen = match on {
            Some(connection) => reason(connection, token).await,
            None => reason(&setup.connect().await, token).await,
        };
        if seen.as_deref() == fate {
            return;
        }
        assert!(start.elapsed() < CUT, "{seen:?}, not {fate:?}, {:?} later", start.elapsed());
        sleep(Duration::from_millis(20)).await;
    }
}

/// `count` ids of no token.
pub(super) fn ids(count: usize) -> Vec<String> {
    (0..count).map(|_| Uuid::new_v4().to_string()).collect()
}

/// Edits Envoy's listener and pushes it. Returns whether Envoy accepted it.
pub(super) async fn push_listeners(setup: &Setup, edit: impl FnOnce(&mut Value)) -> Pushed {
    let place = setup.gateway.folder().join("ecds/zonegate.json");
    let mut file: Value = serde_json::from_str(&fs::read_to_string(&place).unwrap()).unwrap();
    edit(&mut file);
    let stat = |what: &'static str| async move {
        let name = format!("listener_manager.lds.{what}");
        setup.gateway.stat(&name).await.unwrap().unwrap_or_default()
    };
    let before = (stat("update_success").await, stat("update_rejected").await);
    fs::write(place.with_extension("new"), file.to_string()).unwrap();
    fs::rename(place.with_extension("new"), &place).unwrap();
    let start = Instant::now();
    loop {
        if stat("update_rejected").await > before.1 {
            return Pushed::Rejected;
        }
        if stat("update_success").await > before.0 {
            return Pushed::Accepted;
        }
        assert!(start.elapsed() < LIMIT, "Envoy did not react to the listener");
        sleep(Duration::from_millis(20)).await;
    }
}

/// The place of the HTTP filters in a listener.
pub(super) const FILTERS: &str = "/filter_chains/0/filters/0/typed_config/http_filters";

/// The policy of the gateway in a listener, as JSON.
pub(super) fn policy_text(listener: &mut Value) -> &mut Value {
    let policy = form().policy();
    listener.pointer_mut(&format!("{FILTERS}/0/typed_config{policy}/value")).unwrap()
}

/// The name of the gateway in a listener.
pub(super) fn gateway_name(listener: &mut Value) -> &mut Value {
    let name = match form() {
        Form::Wasm => "config/name",
        Form::Native => "filter_name",
        Form::Service => panic!("a service is no part of a listener"),
    };
    listener.pointer_mut(&format!("{FILTERS}/0/typed_config/{name}")).unwrap()
}

/// A gateway whose policy is a part of its listener.
pub(super) async fn by_listener(workers: u32, module: Option<PathBuf>) -> Setup {
    let mut bench = Bench::new().workers(workers);
    bench.options.delivery = Delivery::Lds;
    if let Some(module) = module {
        bench.options.module = module;
    }
    bench.start().await
}

pub(super) async fn trap(setup: &Setup, connection: &zonegate_testkit::raw_client::RawConnection) {
    let mut headers = grpc_headers(&setup.token());
    headers.push(("x-zonegate-fault", b"trap".to_vec()));
    let chunks = vec![grpc_frame(&discovery_request(Claimed::INGRESS).encode_to_vec())];
    let request = RawRequest { method: "POST", path: ADS_SOTW, headers, chunks, end: End::Stream };
    let answer = connection.send(request).await.unwrap();
    assert_eq!(answer.grpc_status(), Some(Code::Unavailable as u32), "{answer:?}");
}
