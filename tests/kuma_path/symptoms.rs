//! The messages of a real kuma-dp that cannot get its bootstrap configuration, as in `docs/troubleshoot.md`.

use zonegate_testkit::kuma::{Home, Kind, Proxy, ProxyOptions};

use crate::harness::{Bench, LIMIT};

/// Waits until a proxy logs this text, and looks it up in the table of the page.
async fn says(home: &Home, options: &ProxyOptions, text: &str) {
    let page = include_str!("../../docs/troubleshoot.md");
    let (_, section) = page.split_once("\n## kuma-dp retries\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let cells = section.lines().filter(|line| line.starts_with("| `"));
    let is_told =
        |cell: &str| cell.split('`').nth(1).unwrap().split('…').all(|part| text.contains(part));
    assert!(cells.into_iter().any(is_told), "{text} is not on the page");
    let proxy = Proxy::start(home, options).unwrap();
    proxy.wait_log(text, LIMIT).await.unwrap();
    let log = proxy.process.log().unwrap();
    let (_, retries) = section.split_once("```text\n").unwrap();
    assert!(log.contains(retries.lines().next().unwrap()), "{log}");
    proxy.stop().await;
}

#[tokio::test]
#[ignore = "needs KUMA_HOME: make test-kuma"]
async fn what_kuma_dp_prints_while_it_retries_stands_on_the_page() {
    let setup = Bench::new().start().await;
    let token = setup.sign(&setup.claims());
    let options = |name: &str| setup.proxy_options(Kind::Ingress, name, Some(&token));
    let home = setup.home.clone();

    let mut nowhere = options("nowhere");
    nowhere.control_plane = "https://127.0.0.1:1".to_owned();
    says(&home, &nowhere, "dial tcp 127.0.0.1:1: connect: connection refused").await;

    let mut other_ca = options("other-ca");
    other_ca.ca = setup.control_plane_ca().to_owned();
    let text = "tls: failed to verify certificate: x509: certificate signed by unknown authority";
    says(&home, &other_ca, text).await;

    let control_plane_down = options("control-plane-down");
    setup.control_plane.stop().await;
    says(&home, &control_plane_down, "unexpected status code: 503").await;
}
