//! Streams that are held, and tokens that show whether a push is in force.

use std::time::Instant;

use prost::Message;
use serde_json::{Value, json};
use tokio::time::timeout;
use zonegate::gate::ADS_SOTW;
use zonegate_testkit::gateway::Pushed;
use zonegate_testkit::raw_client::{RawConnection, RawStream, grpc_frame};
use zonegate_testkit::zone_proxy::{Claimed, Connection, discovery_request};

use crate::harness::{LIMIT, Setup, claims, grpc_headers, policy};
use crate::open_stream::open;

/// The first message of a good stream, framed.
pub(crate) fn first_message() -> Vec<u8> {
    grpc_frame(&discovery_request(Claimed::INGRESS).encode_to_vec())
}

impl Setup {
    /// The policy of the harness with these fields.
    pub(crate) fn policy_with(&self, fields: Value) -> Value {
        let mut policy = policy(&self.key);
        policy.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        policy
    }

    /// Pushes this policy; Envoy accepts it.
    pub(crate) async fn push_with(&self, fields: Value) {
        let policy = self.policy_with(fields);
        assert_eq!(self.gateway.push(&policy).await.unwrap(), Pushed::Accepted);
    }

    /// A token for another zone, which no policy of the harness lets in. Errors of its key, or the revocation of this
    /// ID, are reported before the wrong zone.
    pub(crate) fn witness(&self, id: &str) -> String {
        let mut claims = claims();
        claims["Zone"] = json!("elsewhere");
        claims["jti"] = json!(id);
        self.sign(claims)
    }

    /// Waits until new streams on `connection` with this token, which is never good, are refused for this reason. Each
    /// stream is answered.
    pub(crate) async fn refused_as(&self, connection: &Connection, token: &str, reason: &str) {
        let wanted = format!("zonegate: {reason}: ");
        let start = Instant::now();
        loop {
            let answer = timeout(LIMIT, connection.sotw(Some(token), Claimed::INGRESS)).await;
            let refused = answer.expect("a stream is not answered").unwrap_err();
            if refused.message().starts_with(&wanted) {
                return;
            }
            assert!(start.elapsed() < LIMIT, "not refused as {reason}, but: {refused:?}");
        }
    }

    /// Does the same for every worker, on a new connection to each.
    pub(crate) async fn refused_everywhere_as(&self, token: &str, reason: &str) {
        let before = self.connections_by_worker().await;
        let mut connections = Vec::new();
        // Envoy assigns a new connection to the worker with the fewest connections.
        while self.connections_by_worker().await.iter().any(|(worker, now)| *now <= before[worker])
        {
            connections.push(self.connect().await);
        }
        for connection in &connections {
            self.refused_as(connection, token, reason).await;
        }
    }

    /// Waits until a stream with this token would be refused for this reason, in shadow mode.
    pub(crate) async fn would_deny(&self, connection: &Connection, token: &str, reason: &str) {
        let stat = format!("would_deny.{reason}");
        let start = Instant::now();
        while self.stat(&stat).await == 0 {
            assert!(start.elapsed() < LIMIT, "it would not be refused as {reason}");
            drop(open(connection, token).await);
        }
    }

    /// Begins a stream, which is held until its first message is sent.
    pub(crate) async fn begin(&self, connection: &RawConnection, token: &str) -> RawStream {
        connection.begin("POST", ADS_SOTW, grpc_headers(token)).await.unwrap()
    }
}
