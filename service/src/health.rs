//! The health service of gRPC (<https://github.com/grpc/grpc/blob/master/doc/health-checking.md>).
//!
//! In: the name of a service, or none. Out: whether the gate has a policy, at this very moment and whenever that changes.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::{Stream, stream};
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::gate::Gate;

/// The services that are served as long as there is a policy; an empty name is all of them.
const SERVICES: [&str; 3] =
    ["", "envoy.service.ext_proc.v3.ExternalProcessor", "envoy.service.auth.v3.Authorization"];

/// The health of a gate.
pub(crate) struct Health(pub(crate) Arc<Gate>);

type Changes = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

#[tonic::async_trait]
impl health_server::Health for Health {
    type WatchStream = Changes;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        known(request.get_ref())?;
        Ok(Response::new(answer(*self.0.readiness().borrow())))
    }

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Changes>, Status> {
        known(request.get_ref())?;
        let mut is_ready = self.0.readiness();
        is_ready.mark_changed(); // the first answer comes at once
        let changes = stream::unfold(is_ready, |mut is_ready| async {
            is_ready.changed().await.ok()?;
            let now = answer(*is_ready.borrow_and_update());
            Some((Ok(now), is_ready))
        });
        Ok(Response::new(Box::pin(changes)))
    }
}

fn known(HealthCheckRequest { service }: &HealthCheckRequest) -> Result<(), Status> {
    match SERVICES.contains(&service.as_str()) {
        true => Ok(()),
        false => Err(Status::not_found("no service of this name")),
    }
}

fn answer(is_ready: bool) -> HealthCheckResponse {
    let status = if is_ready { ServingStatus::Serving } else { ServingStatus::NotServing };
    HealthCheckResponse { status: status.into() }
}
