//! The page at `/`. `tests/page` tests its content; the tests here check that it is served, to whom, and that it is
//! current.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{Duration, sleep, timeout};

use crate::api::{Answer, Api};
use crate::document::Document;
use crate::tool::{LIMIT, Place, Running, assert_no_secret, get_as, once};

/// Waits until a section of the page contains this text.
async fn shows(running: &Running, section: &str, wanted: &str) -> String {
    let last = Mutex::new(String::new());
    let waiting = async {
        loop {
            let (status, html) = running.get("/").await;
            assert_eq!(status, 200);
            let said = Document::parse(&html).section(section);
            if said.contains(wanted) {
                return html;
            }
            *last.lock().unwrap() = said;
            sleep(Duration::from_millis(20)).await;
        }
    };
    let shown = timeout(LIMIT, waiting).await;
    shown.unwrap_or_else(|_| panic!("no {wanted:?} in {:?}", last.lock().unwrap()))
}

#[tokio::test]
async fn the_page_follows_the_control_plane() {
    let (api, place) = (Api::start().await, Place::new());
    api.state().token = Some("an-admin-token".to_owned());
    let token = place.write("token", "an-admin-token");
    let base = place.write("base.yaml", "zone: us-east\nmode: shadow\n");
    let running = place.run(&api, &["--token-file", &token, "--base", &base]);
    shows(&running, "attention", "The file has not been current since").await;
    shows(&running, "push", "the last one: no key is among the secrets").await;
    let key = api.add_key("key-1");
    api.revoke("a,b,c");
    let html = shows(&running, "push", "Control plane answers").await;
    assert_no_secret(&api, &html, place.dir.path());
    let page = Document::parse(&html);
    assert_eq!(page.errors(), [""; 0]);
    let policy = page.section("policy");
    assert!(policy.contains("Mode shadow Profile dpServer, zone us-east Since 20"), "{policy}");
    let generation = policy.split_once("Generation ").unwrap().1;
    assert!(std::fs::read_to_string(&place.ecds).unwrap().contains(generation), "{generation}");
    let print = key.public_key().fingerprint().to_string();
    assert!(page.section("keys").contains(&print));
    assert!(page.section("revocations").contains("3 ids of zone tokens"));
    assert!(page.section("refusals").contains("Not known here"));
    api.state().answer = Answer::With(http::StatusCode::BAD_GATEWAY, "text/plain", String::new());
    let html = shows(&running, "push", "502").await;
    assert!(
        Document::parse(&html)
            .section("attention")
            .contains("The file has not been brought up to date for ")
    );
    // The keys are still those of the policy in the file.
    assert!(Document::parse(&html).section("keys").contains(&print));
    running.stop(&api, &place).await;
}

#[tokio::test]
async fn the_page_is_for_browsers_of_this_machine_under_its_own_names() {
    let (api, place) = (Api::start().await, Place::new());
    api.add_key("1");
    let running = place.run(&api, &[]);
    let address = running.address().await;
    for (host, status) in [(&*address, "200"), ("localhost", "200"), ("evil.example", "403")] {
        let (head, body) = get_as(&address, "/", host).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{host}: {head}");
        assert_eq!(body.contains("Keys"), status == "200", "{body}");
    }
    let (head, _) = get_as(&address, "/", "localhost").await;
    for (name, value) in zonegate_page::headers() {
        assert_eq!(head.matches(&format!("\r\n{name}: {value}")).count(), 1, "{name}: {head}");
    }
    running.stop(&api, &place).await;
}

/// A stand-in for Envoy's admin interface, with these stats.
struct Admin {
    stats: Arc<Mutex<String>>,
    url: String,
    task: JoinHandle<()>,
}

impl Admin {
    async fn start(stats: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let stats = Arc::new(Mutex::new(stats.to_owned()));
        let shared = Arc::clone(&stats);
        let task = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut asked = [0; 4096];
                let length = stream.read(&mut asked).await.unwrap();
                let asked = String::from_utf8_lossy(&asked[..length]).into_owned();
                assert!(
                    asked.starts_with("GET /stats?filter=zonegate%5C. HTTP/1.1\r\n"),
                    "{asked}"
                );
                let stats = shared.lock().unwrap().clone();
                let answer = format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{stats}",
                    stats.len()
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        Self { stats, url, task }
    }

    fn set(&self, stats: &str) {
        stats.clone_into(&mut self.stats.lock().unwrap());
    }
}

fn stats(expired: u64, keys: u64) -> String {
    format!(
        "wasmcustom.zonegate.denied.expired: {expired}\nwasmcustom.zonegate.config.keys: {keys}\n\
         wasmcustom.zonegate.config.revocations: 0\nwasmcustom.zonegate.kid.1.open: 6\n\
         wasmcustom.zonegate.streams.open: 9\nwasmcustom.zonegate.tokens.expiring.7d: 2\n"
    )
}

#[tokio::test]
async fn with_the_gateways_admin_interface_the_page_shows_what_it_counts() {
    let (api, place) = (Api::start().await, Place::new());
    api.add_key("1");
    let admin = Admin::start(&stats(3, 7)).await;
    let running = place.run(&api, &["--gateway-admin", &admin.url]);
    // Refusals before the first look are not in the last hour.
    shows(&running, "refusals", "expired 0 3").await;
    shows(
        &running,
        "attention",
        "The keys or revoked ids in the gateway differ from those in the file",
    )
    .await;
    admin.set(&stats(5, 1));
    let html = shows(&running, "refusals", "expired 2 5").await;
    let page = Document::parse(&html);
    assert_eq!(
        page.section("attention"),
        "Attention Look 2 open streams have tokens that expire within a week."
    );
    assert!(page.section("streams").contains("Open 9 Waiting"));
    assert!(page.section("keys").ends_with(" 6 0"), "{}", page.section("keys"));
    admin.task.abort();
    shows(&running, "refusals", "Not known: the gateway's admin interface does not answer").await;
    running.says("warning: --gateway-admin: Connection refused").await;
    running.stop(&api, &place).await;
}

#[tokio::test]
async fn a_bad_url_of_an_admin_interface_is_refused_at_once() {
    let (api, place) = (Api::start().await, Place::new());
    let wanted = "error: --gateway-admin: not the URL of an admin interface: use for example http://127.0.0.1:9901\n";
    for url in ["https://127.0.0.1:9901", "127.0.0.1:9901", "http://u:secret@127.0.0.1:9901"] {
        let seen = once(place.command(&api, &["--gateway-admin", url])).await;
        assert_eq!(seen, (2, wanted.to_owned()), "{url}");
    }
}
