//! TLS with files that are checked again and again, and clients that must have a certificate.

use std::fs;

use tokio::net::TcpStream;
use tokio::time::{Duration, Instant, sleep};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};
use zonegate_testkit::certificates::Certificates;
use zonegate_testkit::gateway::Service;

use crate::world::{LIMIT, World};

/// Whether a client that trusts `ca` and presents `identity` gets an answer.
async fn answers(service: &Service, ca: &str, identity: Option<&Certificates>) -> bool {
    let mut tls =
        ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca)).domain_name("localhost");
    if let Some(certificates) = identity {
        let certificate = fs::read(&certificates.gateway.certificate_path).unwrap();
        tls = tls.identity(Identity::from_pem(
            certificate,
            fs::read(&certificates.gateway.key_path).unwrap(),
        ));
    }
    let endpoint = Endpoint::from_shared(format!("https://{}", service.address())).unwrap();
    let Ok(channel) = endpoint.tls_config(tls).unwrap().connect().await else { return false };
    let mut health = tonic_health::pb::health_client::HealthClient::new(channel);
    health.check(tonic_health::pb::HealthCheckRequest::default()).await.is_ok()
}

#[tokio::test]
async fn clients_need_a_certificate_and_a_new_one_of_the_service_is_taken() {
    let mut world = World::new();
    let folder = |name: &str| {
        let folder = world.folder().join(name);
        fs::create_dir(&folder).unwrap();
        Certificates::generate(&folder).unwrap()
    };
    let (clients, strangers, next) = (folder("clients"), folder("strangers"), folder("next"));
    let own = world.folder().join("own");
    fs::create_dir(&own).unwrap();
    let (cert, key) = (own.join("cert.pem"), own.join("key.pem"));
    fs::copy(&world.certificates.gateway.certificate_path, &cert).unwrap();
    fs::copy(&world.certificates.gateway.key_path, &key).unwrap();
    let text = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    world.options.service.arguments = vec![
        "--cert-file".to_owned(),
        text(&cert),
        "--key-file".to_owned(),
        text(&key),
        "--client-ca-file".to_owned(),
        text(&clients.ca_path),
    ];
    world.write(&world.options.policy);
    let service = world.serve_whatever(&world.file()).await;
    let ca = world.certificates.ca.clone();
    assert!(answers(&service, &ca, Some(&clients)).await);
    assert!(!answers(&service, &ca, Some(&strangers)).await);
    assert!(!answers(&service, &ca, None).await);
    assert!(!answers(&service, &next.ca, Some(&clients)).await);
    // A silent client does not hold up the service: others are served at the same time.
    let silent = TcpStream::connect(service.address()).await.unwrap();
    // A new certificate is not taken until its key is there.
    fs::copy(&next.gateway.certificate_path, own.join("new")).unwrap();
    fs::rename(own.join("new"), &cert).unwrap();
    let start = Instant::now();
    while !service.log().unwrap().contains("certificate files: ") {
        assert!(start.elapsed() < LIMIT, "{}", service.log().unwrap());
        sleep(Duration::from_millis(20)).await;
    }
    assert!(answers(&service, &ca, Some(&clients)).await);
    fs::copy(&next.gateway.key_path, own.join("new")).unwrap();
    fs::rename(own.join("new"), &key).unwrap();
    while !answers(&service, &next.ca, Some(&clients)).await {
        assert!(start.elapsed() < LIMIT, "{}", service.log().unwrap());
        sleep(Duration::from_millis(50)).await;
    }
    assert!(!answers(&service, &ca, Some(&clients)).await);
    drop(silent);
}
