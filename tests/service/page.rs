//! The page for people. `tests/page` tests its content; the tests here check that the service serves it, and that no
//! proxy takes it for an allowed request.

use serde_json::json;
use zonegate_testkit::gateway::Service;

use crate::document::Document;
use crate::world::{LIMIT, World, policy, wait_stat};

async fn page(service: &Service) -> Document {
    let (status, html) = service.get("/status").await.unwrap();
    assert_eq!(status, 200, "{html}");
    let page = Document::parse(&html);
    assert_eq!(page.errors(), [""; 0]);
    page
}

/// Asks as nginx does, with this token.
async fn ask(service: &Service, token: &str) -> u16 {
    let request = http::Request::get(format!("http://{}/auth", service.address()))
        .header("x-original-method", "POST")
        .header("x-original-uri", zonegate::gate::ADS_SOTW)
        .header("authorization", token)
        .header("content-type", "application/grpc");
    let client = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new());
    let client = client.build_http::<http_body_util::Empty<hyper::body::Bytes>>();
    let request = request.body(http_body_util::Empty::new()).unwrap();
    let answer = tokio::time::timeout(LIMIT, client.request(request)).await.unwrap().unwrap();
    answer.status().as_u16()
}

#[tokio::test]
async fn the_page_shows_pushes_keys_and_refusals() {
    let world = World::new().set(json!({ "generation": "first" }));
    let service = world.serve().await;
    let first = page(&service).await;
    assert_eq!(first.section("attention"), "Attention Nothing needs attention.");
    assert!(first.section("policy").ends_with("Generation first"), "{}", first.section("policy"));
    assert!(first.section("push").contains("Result accepted"));
    assert!(first.section("refusals").ends_with("None since the gateway started."));
    let print = world.key.public_key().fingerprint().to_string();
    assert!(first.section("keys").contains(&print));

    assert_eq!(ask(&service, &world.token(json!({}))).await, 200);
    let expired = world.token(json!({ "exp": 1_700_000_000, "jti": "an-id" }));
    for _ in 0..2 {
        assert_eq!(ask(&service, &expired).await, 401);
    }
    world.write(&policy(&world.key, json!({ "leewaySeconds": 301 })));
    wait_stat(&service, "zonegate.config.rejected", 1).await;
    let second = page(&service).await;
    assert!(second.section("refusals").ends_with("expired 2 2"), "{}", second.section("refusals"));
    assert!(second.section("keys").ends_with(" 0 1"), "one was let in: {}", second.section("keys"));
    let push = second.section("push");
    assert!(push.contains("Result refused: leewaySeconds: 301: must be from 0 to 300"), "{push}");
    assert!(
        second.section("attention").contains("The last push was refused. The policy before it")
    );
    assert!(second.section("policy").ends_with("Generation first"));
    let (_, html) = service.get("/status").await.unwrap();
    for secret in [&expired, "an-id"] {
        assert!(!html.contains(secret));
    }
    service.kill().await.unwrap();
}

#[tokio::test]
async fn without_a_policy_the_page_says_so() {
    let world = World::new();
    let service = world.serve_whatever(&world.folder().join("nothing.yaml")).await;
    wait_stat(&service, "zonegate.config.rejected", 1).await;
    let page = page(&service).await;
    let attention = page.section("attention");
    assert!(attention.starts_with("Attention Wrong There is no policy"), "{attention}");
    assert!(page.section("push").contains("Result refused: "), "{}", page.section("push"));
    service.kill().await.unwrap();
}

/// nginx, Traefik and Envoy let a request in if the answer has a status of 2xx. A proxy may have been configured with
/// the address of the service and no path. It then asks at `/`, for any client.
#[tokio::test]
async fn a_proxy_that_asks_without_a_path_is_not_told_yes() {
    let world = World::new();
    let service = world.serve().await;
    let (status, body) = service.get("/").await.unwrap();
    assert_eq!((status, body.as_str()), (303, "the page is at /status\n"));
    service.kill().await.unwrap();
}
