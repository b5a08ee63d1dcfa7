//! Tokens that are spelt in thousands of ways, as a bootstrap body allows: Kuma and the gate ignore line ends in
//! base64.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use zonegate::gate::BOOTSTRAP;
use zonegate_testkit::raw_client::{End, RawConnection, RawRequest};

use crate::harness::{Bench, Setup, claims_with, now};

/// The number of spellings of one token. A quadratic cost would show.
const SPELLINGS: usize = 12_000;
const OF_EXPIRED: usize = 4_000;
/// The number of different tokens.
const DISTINCT: usize = 1_500;
/// The number of requests that are open at once.
const AT_ONCE: usize = 16;

/// The `index`th spelling of a token: it has line ends in its signature, at the places of the ones in the binary
/// number. The end of the text does not change.
fn spelling(token: &str, index: usize) -> String {
    let (rest, signature) = token.rsplit_once('.').unwrap();
    let mut spelt = format!("{rest}.");
    for (place, letter) in signature.chars().enumerate() {
        spelt.push(letter);
        if place < 16 && index >> place & 1 == 1 {
            spelt.push(if place % 2 == 0 { '\n' } else { '\r' });
        }
    }
    spelt
}

/// Requests a bootstrap with each token, and returns how many were answered with 200.
async fn ask(setup: &Setup, tokens: Vec<String>) -> usize {
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let connection = setup.raw().await;
    let mut clients = JoinSet::new();
    for token in tokens {
        let turn = Arc::clone(&turns).acquire_owned().await.unwrap();
        let connection = connection.clone();
        clients.spawn(async move {
            let status = bootstrap(&connection, &token).await;
            drop(turn);
            status
        });
    }
    clients.join_all().await.into_iter().filter(|status| *status == 200).count()
}

async fn bootstrap(connection: &RawConnection, token: &str) -> u16 {
    let body = json!({ "mesh": "", "proxyType": "ingress", "dataplaneToken": token });
    let request = RawRequest {
        method: "POST",
        path: BOOTSTRAP,
        headers: vec![("content-type", b"application/json".to_vec())],
        chunks: vec![body.to_string().into_bytes()],
        end: End::Stream,
    };
    connection.send(request).await.unwrap().status
}

/// The cost of a flood: CPU time per request in its first and in its last tenth, and the growth of the VM's memory
/// after the first.
struct Cost {
    first: Duration,
    last: Duration,
    grown: u64,
    passed: usize,
}

async fn flood(setup: &Setup, tokens: Vec<String>) -> Cost {
    let tenth = tokens.len() / 10;
    let (mut costs, mut memory, mut passed) = (Vec::new(), Vec::new(), 0);
    for part in tokens.chunks(tenth) {
        let before = setup.cpu_time();
        passed += ask(setup, part.to_vec()).await;
        costs.push((setup.cpu_time() - before) / u32::try_from(part.len()).unwrap());
        memory.push(setup.vm_memory());
    }
    println!("CPU time a request: {costs:?}; KiB of the VM: {:?}", memory.last().unwrap() / 1024);
    let grown = memory.last().unwrap() - memory[0];
    Cost { first: costs[0], last: *costs.last().unwrap(), grown, passed }
}

impl Cost {
    /// Asserts that a request costs no more than at first, and that no memory was kept. The limit for the time is
    /// generous: it is CPU time, but the machine may be busy.
    fn assert_flat(&self) {
        let Self { first, last, grown, passed: _ } = *self;
        assert!(grown <= 1024 * 1024, "the VM keeps {} KiB of it", grown / 1024);
        assert!(last <= 3 * first.max(Duration::from_micros(200)), "{first:?}, then {last:?}");
    }
}

async fn start() -> Setup {
    let mut bench = Bench::text();
    bench.record_bodies = false;
    bench.start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn spellings_of_a_good_token_cost_no_more_than_the_first() {
    let setup = start().await;
    let token = setup.token();
    let tokens = (0..SPELLINGS).map(|index| spelling(&token, index)).collect();
    let cost = flood(&setup, tokens).await;
    assert_eq!(cost.passed, SPELLINGS, "they are one token");
    cost.assert_flat();
}

#[tokio::test(flavor = "multi_thread")]
async fn spellings_of_an_expired_token_cost_no_more_than_the_first() {
    let setup = start().await;
    let token = setup.sign(claims_with("exp", json!(now() - 60)));
    let tokens = (0..OF_EXPIRED).map(|index| spelling(&token, index)).collect();
    let cost = flood(&setup, tokens).await;
    assert_eq!(cost.passed, 0);
    assert_eq!(setup.denied("expired").await, OF_EXPIRED as u64);
    cost.assert_flat();
}

/// Different old tokens that their owners still try are not spellings of one token. Each may be kept, within the common
/// limit, and costs the same.
#[tokio::test(flavor = "multi_thread")]
async fn expired_tokens_that_differ_cost_no_more_than_the_first() {
    let setup = start().await;
    let token = |index| {
        let mut claims = claims_with("exp", json!(now() - 60));
        claims["jti"] = json!(format!("id-{index}"));
        setup.sign(claims)
    };
    let tokens = (0..DISTINCT).map(token).collect();
    let Cost { first, last, grown, passed } = flood(&setup, tokens).await;
    assert_eq!(passed, 0);
    assert_eq!(setup.denied("expired").await, DISTINCT as u64);
    assert!(last <= 3 * first.max(Duration::from_micros(200)), "{first:?}, then {last:?}");
    assert!(grown <= 4 * 1024 * 1024, "the VM keeps {} KiB of it", grown / 1024);
}
