//! A push while a first message arrives in pieces.
//!
//! One worker. The push comes after the first piece, and the stream is judged by the pushed policy.

use serde_json::{Value, json};
use zonegate_issuer::SigningKey;

use crate::harness::{Bench, LIMIT, Setup};
use crate::held::first_message;

/// In three pieces, byte by byte, and in two.
fn ways_to_cut(message: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let pieces = |at: &[usize]| {
        let ends = at.iter().copied().chain([message.len()]);
        let starts = [0].into_iter().chain(at.iter().copied());
        starts.zip(ends).map(|(start, end)| message[start..end].to_vec()).collect()
    };
    let bytes: Vec<usize> = (1..message.len()).collect();
    vec![pieces(&[9, 60]), pieces(&bytes), pieces(&[9])]
}

/// Asserts that a stream is denied if `fields` are pushed after its first piece.
async fn assert_denied(fields: impl Fn(&Setup) -> Value, reason: &str) {
    let setup = Bench::text().start().await;
    let (connection, raw) = (setup.connect().await, setup.raw().await);
    let witness = setup.witness("id-1");
    for pieces in ways_to_cut(&first_message()) {
        let (count, mut pieces) = (pieces.len(), pieces.into_iter());
        setup.push_with(json!({})).await;
        setup.refused_as(&connection, &witness, "wrong_zone").await;
        let mut stream = setup.begin(&raw, &setup.token()).await;
        stream.send(pieces.next().unwrap(), false);
        raw.settled().await.unwrap();
        setup.push_with(fields(&setup)).await;
        setup.refused_as(&connection, &witness, reason).await;
        for piece in pieces {
            stream.send(piece, false);
            if count < 10 {
                raw.settled().await.unwrap();
            }
        }
        // The stream ends only if it was let in.
        stream.send(Vec::new(), true);
        let answer = stream.answer(LIMIT).await.unwrap();
        let message = answer.grpc_message().unwrap_or_default();
        let wanted = format!("zonegate: {reason}: ");
        assert!(message.starts_with(&wanted), "{count} pieces, not {reason}: {answer:?}");
    }
    assert_eq!(setup.stat("allowed").await, 0);
    assert_eq!(setup.control_plane.recorder().count(), 0);
}

fn key_of(kid: &str, key: &SigningKey) -> Value {
    json!({ "publicKeys": [{ "kid": kid, "key": key.public_key_pem() }] })
}

#[tokio::test]
async fn a_key_that_is_removed_meanwhile_lets_nothing_in() {
    let other = SigningKey::generate(2048).unwrap();
    assert_denied(|_| key_of("2", &other), "unknown_kid").await;
}

#[tokio::test]
async fn a_key_that_is_replaced_meanwhile_lets_nothing_in() {
    let other = SigningKey::generate(2048).unwrap();
    assert_denied(|_| key_of("1", &other), "invalid_signature").await;
}

#[tokio::test]
async fn a_token_that_is_revoked_meanwhile_is_not_let_in() {
    assert_denied(|_| json!({ "revocations": ["id-1"] }), "revoked").await;
}

/// Pushes about other tokens, between all pieces of the message.
#[tokio::test]
async fn a_push_that_leaves_the_key_lets_the_stream_in() {
    let setup = Bench::text().start().await;
    let (connection, raw) = (setup.connect().await, setup.raw().await);
    let witness = setup.witness("other");
    let mut stream = setup.begin(&raw, &setup.token()).await;
    let message = first_message();
    for (index, piece) in message.chunks(message.len() / 3).enumerate() {
        stream.send(piece.to_vec(), false);
        raw.settled().await.unwrap();
        let (revoked, reason) =
            if index % 2 == 0 { (json!(["other"]), "revoked") } else { (json!([]), "wrong_zone") };
        setup.push_with(json!({ "revocations": revoked })).await;
        setup.refused_as(&connection, &witness, reason).await;
    }
    stream.send(Vec::new(), true);
    let answer = stream.answer(LIMIT).await.unwrap();
    assert_eq!(answer.grpc_status(), Some(0), "{answer:?}");
    assert_eq!(setup.stat("allowed").await, 1);
}
