//! Which servers sync trusts, and its client certificate.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};
use tempfile::TempDir;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use zonegate_testkit::certificates::{Certificates, server_config};

use crate::api::Api;
use crate::tool::{Place, assert_no_secret, once};

async fn sync(api: &Api, host: &str, more: &[&str]) -> (i32, String) {
    let place = Place::new();
    let url = format!("https://{host}:{}", api.address.port());
    let seen = once(place.command_at(&url, &[&["--once"], more].concat())).await;
    assert_eq!(place.ecds.exists(), seen.0 == 0, "{}", seen.1);
    assert_no_secret(api, &seen.1, place.dir.path());
    seen
}

#[tokio::test]
async fn only_the_given_ca_is_trusted_and_only_for_its_names() {
    let (dir, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let certificates = Certificates::generate(dir.path()).unwrap();
    let others = Certificates::generate(other.path()).unwrap();
    let server = server_config(&certificates.control_plane).unwrap();
    let api = Api::start_tls(server.clone()).await;
    api.add_key("1");
    let ca = |certificates: &Certificates| certificates.ca_path.to_str().unwrap().to_owned();
    let (good, wrong) = (ca(&certificates), ca(&others));
    assert_eq!(sync(&api, "localhost", &["--ca-cert-file", &good]).await.0, 0);
    assert_eq!(sync(&api, "127.0.0.1", &["--ca-cert-file", &good]).await.0, 0);
    let (code, said) = sync(&api, "localhost", &["--ca-cert-file", &wrong]).await;
    let begin = "error: no trusted TLS connection: invalid peer certificate: ";
    let end = "; --ca-cert-file must be the CA of the control plane's certificate, and --address a \
               name in it and its HTTPS port (5682)\n";
    assert!(code == 1 && said.starts_with(begin) && said.ends_with(end), "{code}: {said}");
    if let Some(unnamed) = Api::start_tls_unnamed(server).await {
        let (code, said) = sync(&unnamed, "127.0.0.2", &["--ca-cert-file", &good]).await;
        assert!(code == 1 && said.contains("certificate not valid for name"), "{code}: {said}");
    }
    let plain = Api::start().await;
    let (code, said) = sync(&plain, "localhost", &["--ca-cert-file", &good]).await;
    assert!(code == 1 && said.starts_with("error: no trusted TLS connection: "), "{code}: {said}");
}

/// A certificate like the one that kuma-cp makes if it was given none.
fn self_made(names: &[&str], until: i32) -> (String, Arc<ServerConfig>) {
    let mut params =
        CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.not_before = date_time_ymd(2000, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let private = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)
        .unwrap();
    (certificate.pem(), Arc::new(config))
}

#[tokio::test]
async fn a_certificate_that_kuma_cp_made_itself_is_trusted_where_it_is_given() {
    let place = Place::new();
    let (pem, config) = self_made(&["localhost"], 2099);
    let (other, _) = self_made(&["localhost"], 2099);
    let api = Api::start_tls(config).await;
    api.add_key("1");
    let pinned = place.write("cp.pem", &pem);
    let (code, said) = sync(&api, "localhost", &["--ca-cert-file", &pinned]).await;
    assert_eq!(code, 0, "{said}");
    let (code, said) = sync(&api, "127.0.0.1", &["--ca-cert-file", &pinned]).await;
    assert!(code == 1 && said.contains("certificate not valid for name"), "{code}: {said}");
    let other = place.write("other.pem", &other);
    let (code, said) = sync(&api, "localhost", &["--ca-cert-file", &other]).await;
    assert!(
        code == 1
            && said
                .contains("invalid peer certificate: it is one that the control plane made itself"),
        "{code}: {said}"
    );
    assert!(!said.contains("CaUsed"), "{said}");
    let (expired, config) = self_made(&["localhost"], 2020);
    let api = Api::start_tls(config).await;
    api.add_key("1");
    let expired = place.write("expired.pem", &expired);
    let (code, said) = sync(&api, "localhost", &["--ca-cert-file", &expired]).await;
    assert!(code == 1 && said.contains("certificate expired"), "{code}: {said}");
}

#[tokio::test]
async fn a_client_certificate_is_shown_where_it_is_asked_for() {
    let dir = TempDir::new().unwrap();
    let certificates = Certificates::generate(dir.path()).unwrap();
    let place = Place::new();
    let key = KeyPair::generate().unwrap();
    let client =
        CertificateParams::new(vec!["admin".to_owned()]).unwrap().self_signed(&key).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(client.der().clone()).unwrap();
    let provider = Arc::new(ring::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build();
    let identity = &certificates.control_plane;
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.unwrap())
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap(),
        )
        .unwrap();
    let api = Api::start_tls(Arc::new(config)).await;
    api.add_key("1");
    let ca = certificates.ca_path.to_str().unwrap();
    let certificate = place.write("client.pem", &client.pem());
    let private = place.write("client.key", &key.serialize_pem());
    let with = |key: &str| {
        let flags =
            ["--ca-cert-file", ca, "--client-cert-file", &certificate, "--client-key-file", key];
        flags.map(str::to_owned)
    };
    let shown = with(&private);
    let (code, said) = sync(&api, "localhost", &shown.each_ref().map(String::as_str)).await;
    assert_eq!(code, 0, "{said}");
    let (code, said) = sync(&api, "localhost", &["--ca-cert-file", ca]).await;
    assert!(code == 1 && said.starts_with("error: "), "{code}: {said}");
    let wrong = with(identity.key_path.to_str().unwrap());
    let (code, said) = sync(&api, "localhost", &wrong.each_ref().map(String::as_str)).await;
    assert!(code == 2 && said.contains("cannot be used: "), "{code}: {said}");
}

/// The command of `docs/tool.md`, with another address and folder, and `--once`.
#[tokio::test]
async fn the_command_of_the_page_keeps_the_file() {
    let place = Place::new();
    let certificates = Certificates::generate(place.dir.path()).unwrap();
    assert_eq!(certificates.ca_path, place.dir.path().join("ca.pem"));
    let api = Api::start_tls(server_config(&certificates.control_plane).unwrap()).await;
    api.add_key("1");
    place.write("admin-token", "eyJhbGciOiJSUzI1NiJ9.e30.c2ln\n");
    let page = include_str!("../../docs/tool.md");
    let (_, after) = page.split_once("```sh\nzonegate sync ").unwrap();
    let command = after.split("```").next().unwrap().trim_end();
    let command = command
        .replace("control-plane:5682", &format!("localhost:{}", api.address.port()))
        .replace("/etc/zonegate/ecds", place.dir.path().to_str().unwrap());
    let command = format!("exec '{}' sync {command} --once", crate::tool::ZONEGATE);
    let mut shell = tokio::process::Command::new("sh");
    shell.args(["-euc", &command]).current_dir(place.dir.path());
    shell.env_remove("ZONEGATE_ADMIN_TOKEN");
    let (code, said) = once(shell).await;
    assert_eq!(code, 0, "{said}");
    assert_eq!(place.kids(), ["1"]);
    assert_eq!(place.config().policy.zone(), Some("us-east"));
}
