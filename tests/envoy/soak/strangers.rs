//! Strangers: bad tokens, garbage, floods of bodies, and connections that send nothing.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use zonegate::gate::{ADS_SOTW, BOOTSTRAP};
use zonegate_testkit::raw_client::{End, RawConnection, RawRequest, grpc_frame, http1};
use zonegate_testkit::zone_proxy::{Claimed, Connection};

use super::world::{World, count};
use crate::harness::grpc_headers;

/// Longer than the gate holds a request: two seconds, and a tick.
const ANSWERED: Duration = Duration::from_secs(15);

/// Starts all of them.
pub(super) fn all(world: &Arc<World>) -> JoinSet<()> {
    let mut all = JoinSet::new();
    for _ in 0..2 {
        all.spawn(with_bad_tokens(Arc::clone(world)));
        all.spawn(with_garbage(Arc::clone(world)));
        all.spawn(with_floods(Arc::clone(world)));
        all.spawn(half_open(Arc::clone(world)));
    }
    all
}

async fn pause(milliseconds: u64) {
    let random = rand::rng().random_range(milliseconds / 2..milliseconds * 2);
    sleep(Duration::from_millis(random)).await;
}

async fn with_bad_tokens(world: Arc<World>) {
    let tokens = world.bad_tokens();
    loop {
        for token in &tokens {
            if let Ok(connection) = Connection::open(world.address, &world.ca).await {
                for claimed in [Claimed::INGRESS, Claimed::DATAPLANE] {
                    match connection.sotw(Some(token), claimed).await {
                        Ok(_) => count(&world.seen.let_in),
                        Err(_) => count(&world.seen.refused),
                    }
                }
            }
            pause(200).await;
        }
    }
}

async fn with_garbage(world: Arc<World>) {
    loop {
        let mut bytes = vec![0; 2_000];
        rand::rng().fill(&mut bytes[..]);
        if let Ok(mut tcp) = TcpStream::connect(world.address).await {
            let _ = tcp.write_all(&bytes).await;
            let _ = timeout(Duration::from_secs(1), tcp.read(&mut [0; 100])).await;
        }
        let _ = http1(world.address, &world.ca, &bytes).await;
        if let Ok(connection) = RawConnection::open(world.address, &world.ca).await {
            // Also with a good token: garbage opens no stream.
            for token in [world.token("garbage"), "garbage".to_owned()] {
                let chunks = vec![grpc_frame(&bytes)];
                let headers = grpc_headers(&token);
                let request =
                    RawRequest { method: "POST", path: ADS_SOTW, headers, chunks, end: End::Never };
                match timeout(ANSWERED, connection.send(request)).await {
                    Ok(Ok(answer)) if answer.grpc_status() == Some(0) => count(&world.seen.let_in),
                    Ok(Ok(_)) => count(&world.seen.refused),
                    // A restart closed the connection.
                    Ok(Err(_)) => {}
                    Err(_) => count(&world.seen.unanswered),
                }
            }
        }
        pause(500).await;
    }
}

/// Bodies that are never complete, some of them up to the size limit.
async fn with_floods(world: Arc<World>) {
    let body = format!("{{\"name\":\"{}", "x".repeat(100 * 1024)).into_bytes();
    let json = vec![("content-type", b"application/json".to_vec())];
    loop {
        let Ok(connection) = RawConnection::open(world.address, &world.ca).await else {
            pause(500).await;
            continue;
        };
        let mut streams = Vec::new();
        for _ in 0..20 {
            let Ok(mut stream) = connection.begin("POST", BOOTSTRAP, json.clone()).await else {
                break;
            };
            stream.send(body.clone(), false);
            streams.push(stream);
        }
        pause(1_500).await;
        let leaves = rand::rng().random_bool(0.5);
        for stream in streams {
            // Half of them wait for the answer, the others leave.
            if !leaves && stream.answer(ANSWERED).await.is_ok_and(|answer| answer.status != 200) {
                count(&world.seen.refused);
            }
        }
    }
}

/// TCP without TLS, TLS without a request, a request without a message, half a message.
async fn half_open(world: Arc<World>) {
    let whole = crate::held::first_message();
    loop {
        let tcp = TcpStream::connect(world.address).await;
        let tls = RawConnection::open(world.address, &world.ca).await;
        if let Ok(connection) = &tls {
            for part in [&[][..], &whole[..whole.len() / 2]] {
                let headers = grpc_headers(&world.token("half-open"));
                let Ok(mut stream) = connection.begin("POST", ADS_SOTW, headers).await else {
                    continue;
                };
                stream.send(part.to_vec(), false);
                let answer = stream.answer(ANSWERED).await;
                // A restart may close the connection; a running gate answers.
                match answer {
                    Ok(answer) if answer.grpc_status() == Some(0) => count(&world.seen.let_in),
                    Ok(_) => count(&world.seen.refused),
                    Err(error) if format!("{error:#}").contains("no end in time") => {
                        count(&world.seen.unanswered);
                    }
                    Err(_) => {}
                }
            }
        }
        pause(3_000).await;
        drop((tcp, tls));
    }
}
