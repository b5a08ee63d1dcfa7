//! Example pages, and a server that serves one page as both real servers do.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use zonegate::gate::{Mode, Reason};
use zonegate_page::{Gateway, KeyUse, Poll, Push};

use crate::state::{KEY, State, before, named};

/// A gate on a busy day, with everything that a page can show.
pub(crate) fn busy() -> State {
    let key = KEY.public_key_pem();
    let fields = json!({
        "generation": "2026-11-27T17:03:00Z-0badcafe",
        "revocations": (0..1234).map(|id| format!("id-{id}")).collect::<Vec<_>>(),
        "publicKeys": [{ "kid": "2025", "key": key }, { "kid": "2026", "key": key }],
        "proxies": { "dataplane": "dpToken" },
        "dpToken": {
            "publicKeys": [{ "kid": "1", "key": key, "mesh": "default" }, { "kid": "1", "key": key, "mesh": "shop" }],
            "revocations": { "shop": "one,two" },
        },
        "revocationRules": [
            { "zone": "us-east", "issuedBefore": "2026-11-20T00:00:00Z", "until": "2026-12-20T00:00:00Z",
              "note": "The backup with the old tokens is lost; new ones were handed out on the 20th." },
            { "mesh": "shop", "name": "checkout-01", "until": "2026-11-01T00:00:00Z", "note": "replaced" },
        ],
    });
    let mut state = State::serve(fields)
        .denied(Mode::Enforce, Reason::Expired, 12, 12_345)
        .denied(Mode::Enforce, Reason::Revoked, 3, 3)
        .denied(Mode::Enforce, Reason::WrongServiceAccount, 0, 1_234_567)
        .denied(Mode::Enforce, Reason::Overloaded, 1, 1)
        .denied(Mode::Shadow, Reason::WrongZone, 0, 7);
    state.push = Some(Push {
        at: Some(before(42)),
        refused: Some("publicKeys[1].key: a private key: give the public one (zonegate generate public-key), and \
                       consider this key exposed".to_owned()),
    });
    state.counts.rejected = 1;
    state.counts.open = 4128;
    state.counts.expiring = [2, 17, 230];
    for (label, open, allowed) in
        [("2025", 12, 90_210), ("2026", 3996, 4711), ("default/1", 100, 2000), ("shop/1", 20, 300)]
    {
        state.counts.by_key.insert(label.to_owned(), KeyUse { open, allowed });
    }
    state
}

/// A sync that does not know the gateway, and whose control plane is unreachable.
pub(crate) fn blind() -> State {
    let mut state = State::sync(json!({ "revocations": "one,two,three" }));
    state.unknown = Some(Gateway::NotAsked);
    state.poll = Some(Poll {
        current_at: Some(before(420)),
        failures: 9,
        failing_since: Some(before(400)),
        error: "the control plane does not accept the token in /etc/zonegate/admin-token (401): it is expired, \
                revoked or of another control plane".to_owned(),
    });
    state
}

/// Nothing is wrong.
pub(crate) fn quiet() -> State {
    let mut state = State::sync(json!({}));
    state.counts.open = 3;
    state
}

/// Names that would be markup, and names without a space at which a line could break.
pub(crate) fn hostile() -> State {
    let text = "</code></style><script>alert(1)</script><img src=/x onerror=alert(1)><svg onload=alert(1)>\" \
                onmouseover=\"alert(1)";
    let long = "x".repeat(2000);
    let (mut policy, more) = (named(text), named(&long));
    policy.keys.extend(more.keys);
    policy.rules.extend(more.rules);
    policy.warnings.extend(more.warnings);
    let mut state = State::serve(json!({}));
    state.policy = Some(policy);
    state.push = Some(Push { at: None, refused: Some(format!("{text}{long}")) });
    state
}

/// Serves a page at its URL, and nothing else.
pub(crate) struct Served {
    pub(crate) url: String,
    task: JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Served {
    pub(crate) async fn start(html: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let headers = zonegate_page::headers().map(|(name, value)| format!("{name}: {value}\r\n"));
        let answer = format!(
            "HTTP/1.1 200 OK\r\n{}content-length: {}\r\nconnection: close\r\n\r\n{html}",
            headers.concat(),
            html.len()
        );
        let task = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut asked = [0; 8192];
                // A browser opens connections without a request.
                let length = stream.read(&mut asked).await.unwrap_or_default();
                if asked[..length].starts_with(b"GET / HTTP") {
                    let _ = stream.write_all(answer.as_bytes()).await;
                }
            }
        });
        Self { url, task }
    }
}
