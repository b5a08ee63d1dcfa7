//! Subrequests over plain HTTP, as nginx and Traefik make them.

use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::json;
use tokio::time::timeout;
use zonegate::gate::{ADS_SOTW, KDS};
use zonegate_testkit::gateway::Service;

use crate::world::{LIMIT, World, policy, wait_stat};

/// A subrequest.
#[derive(Debug, Clone)]
pub(crate) struct Asked<'a> {
    path: &'a str,
    headers: Vec<(&'a str, &'a str)>,
}

/// The answer to a subrequest.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) grpc_status: Option<u32>,
    pub(crate) message: String,
}

impl<'a> Asked<'a> {
    /// A subrequest of nginx about a stream with this token.
    pub(crate) fn stream(token: &'a str) -> Self {
        let headers = vec![
            ("x-original-method", "POST"),
            ("x-original-uri", ADS_SOTW),
            ("content-type", "application/grpc"),
            ("authorization", token),
        ];
        Self { path: "/auth", headers }
    }

    fn with(mut self, name: &'a str, value: &'a str) -> Self {
        self.headers.push((name, value));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self
    }

    fn at(mut self, path: &'a str) -> Self {
        self.path = path;
        self
    }
}

impl Answer {
    /// The reason in the answer's message.
    pub(crate) fn reason(&self) -> &str {
        self.message.split(": ").nth(1).unwrap_or_default()
    }
}

/// Sends a subrequest.
pub(crate) async fn auth(service: &Service, asked: &Asked<'_>) -> Answer {
    let mut request = Request::get(format!("http://{}{}", service.address(), asked.path));
    for (name, value) in &asked.headers {
        request = request.header(*name, *value);
    }
    let client = Client::builder(TokioExecutor::new()).build_http();
    let answer = client.request(request.body(Empty::<Bytes>::new()).unwrap());
    let answer = timeout(LIMIT, answer).await.unwrap().unwrap();
    let grpc_status = answer.headers().get("x-zonegate-grpc-status");
    let grpc_status = grpc_status.map(|status| status.to_str().unwrap().parse().unwrap());
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    Answer { status, grpc_status, message: String::from_utf8(body.to_vec()).unwrap() }
}

#[tokio::test]
async fn a_subrequest_is_judged_by_its_headers() {
    let world = World::new();
    let service = world.serve().await;
    let token = |fields| world.token(fields);
    let (good, cp) = (token(json!({})), token(json!({ "Scope": ["cp"] })));
    let (wrong_zone, expired) = (token(json!({ "Zone": "z" })), token(json!({ "exp": 1 })));
    let twice = format!("{good},{good}");
    for (asked, wanted) in [
        (Asked::stream(&good), (200, None, "")),
        (Asked::stream("garbage"), (401, Some(16), "malformed_token")),
        (Asked::stream(&expired), (401, Some(16), "expired")),
        // A scope that no accepted proxy has.
        (Asked::stream(&cp), (403, Some(7), "out_of_scope")),
        (Asked::stream(&wrong_zone), (403, Some(7), "wrong_zone")),
        (Asked::stream(&good).without("authorization"), (401, Some(16), "missing_token")),
        (Asked::stream(&twice), (401, Some(16), "multiple_tokens")),
        (Asked::stream(&good).with("authorization", &good), (401, Some(16), "multiple_tokens")),
        // nginx turns 404 and 400 into 500.
        (Asked::stream(&good).without("content-type"), (403, Some(12), "path_denied")),
    ] {
        let answer = auth(&service, &asked).await;
        let seen = (answer.status, answer.grpc_status, answer.reason());
        assert_eq!(seen, wanted, "{asked:?}: {answer:?}");
    }
    wait_stat(&service, "zonegate.allowed", 1).await;
    wait_stat(&service, "zonegate.denied.multiple_tokens", 2).await;
    // The service keeps no state for subrequests.
    wait_stat(&service, "zonegate.streams.open", 0).await;
}

/// Headers that a client adds do not change the request that is judged.
#[tokio::test]
async fn each_dialect_reads_its_own_headers_and_no_others() {
    let world = World::new().set(json!({ "bootstrap": "pass" }));
    let service = world.serve().await;
    let good = world.token(json!({}));
    let forwarded = Asked::stream(&good)
        .without("x-original-method")
        .without("x-original-uri")
        .with("x-forwarded-method", "POST")
        .with("x-forwarded-uri", ADS_SOTW);
    assert_eq!(auth(&service, &forwarded.clone().at("/forward-auth")).await.status, 200);
    assert_eq!(auth(&service, &forwarded).await.status, 403);
    assert_eq!(auth(&service, &Asked::stream(&good).at("/forward-auth")).await.status, 403);
    // A bootstrap request passes here without a check. A stream with a client's header for `/bootstrap` must not pass.
    let none = Asked::stream("garbage").with("x-forwarded-uri", "/bootstrap");
    assert_eq!(auth(&service, &none).await.reason(), "malformed_token");
    let none = Asked::stream("garbage").with("x-original-uri", "/bootstrap");
    assert_eq!(auth(&service, &none).await.status, 403);
    // Traefik's statuses are not changed.
    let elsewhere = forwarded.without("x-forwarded-uri").with("x-forwarded-uri", "/elsewhere");
    assert_eq!(auth(&service, &elsewhere.at("/forward-auth")).await.status, 404);
}

/// In front of a global control plane the headers contain all that is judged.
#[tokio::test]
async fn zones_are_judged_in_full() {
    let world = World::new();
    let mut fields = policy(&world.key, json!({ "profile": "globalKds" }));
    fields.as_object_mut().unwrap().remove("zone");
    let mut world = world;
    world.options.policy = fields;
    let service = world.serve().await;
    let token = world.token(json!({ "Scope": ["cp"] }));
    let asked = Asked::stream(&token).without("x-original-uri").with("x-original-uri", KDS[0]);
    let of_zone = |zone| asked.clone().with("client-id", zone);
    assert_eq!(auth(&service, &of_zone("zone-1")).await.status, 200);
    assert_eq!(auth(&service, &of_zone("zone-2")).await.reason(), "wrong_zone");
    assert_eq!(auth(&service, &asked).await.reason(), "malformed_request");
    // The metrics are on the same port.
    let (status, text) = service.get("/metrics").await.unwrap();
    assert!(status == 200 && text.contains("# TYPE zonegate_allowed counter"), "{text}");
}

/// A proxy that asks at the wrong path must not get a 2xx.
#[tokio::test]
async fn no_request_is_allowed_at_another_path() {
    let world = World::new();
    let service = world.serve().await;
    let good = world.token(json!({}));
    for (path, wanted) in [
        // A redirect to the page, which has its own path.
        ("/", 303),
        ("/auth/", 404),
        ("/auth/x", 404),
        ("//auth", 404),
        ("/forward-auth/", 404),
        ("/envoy.service.auth.v3.Authorization/Check", 415),
        ("/envoy.service.auth.v3.Authorization/Nothing", 415),
        ("/grpc.health.v1.Health/Check", 415),
    ] {
        let asked = Asked::stream(&good).without("content-type").at(path);
        assert_eq!(auth(&service, &asked).await.status, wanted, "{path}");
    }
    // nginx forwards the content type of a stream.
    let asked = Asked::stream(&good).at("/elsewhere");
    assert_eq!(auth(&service, &asked).await.status, 404);
}
