//! Bodies of bootstrap requests.
//!
//! In: a body, in which `TOKEN0` to `TOKEN7` stand for tokens. Out: a panic, unless
//!
//! - a request that is read means the same once it is written and read again;
//! - the request ends in the same way, no matter in which pieces its body comes;
//! - the lifecycle decides as the judge alone does;
//! - nothing passes without the right token.

use serde_json::json;
use zonegate::credential::TokenCache;
use zonegate::gate::{BOOTSTRAP, BootstrapRequest, Head, Judge, MAX_BOOTSTRAP};

use crate::conversation::{End, NOW, cuts, end};
use crate::first_message::{POLICY, TOKENS};

/// See the module.
pub fn bootstrap(bytes: &[u8]) {
    let body = with_tokens(bytes);
    if body.len() > MAX_BOOTSTRAP {
        return;
    }
    if let Ok(request) = BootstrapRequest::parse(&body) {
        let again = written(&request);
        assert_eq!(BootstrapRequest::parse(again.as_bytes()).as_ref(), Ok(&request));
    }
    let head = Head {
        method: b"POST",
        path: BOOTSTRAP.as_bytes(),
        content_type: vec![b"application/json"],
        authorization: Vec::new(),
        client_id: Vec::new(),
    };
    let whole = end(&POLICY, &head, &body, &[]);
    for cuts in cuts(body.len()) {
        assert_eq!(end(&POLICY, &head, &body, &cuts), whole, "{cuts:?}");
    }
    let passes = matches!(whole, End::Passes(_));
    // JSON can spell a token in many ways, so the text is taken from the reader.
    let named = BootstrapRequest::parse(&body).map(|request| request.token).unwrap_or_default();
    let good = &TOKENS[..4];
    assert!(!passes || good.iter().any(|token| same_signed_text(token, &named)), "{whole:?}");
    let cache = TokenCache::default();
    for _ in 0..2 {
        let judged = Judge::new(&POLICY, &cache).bootstrap_body(&body, NOW).is_ok();
        assert_eq!(judged, passes, "{whole:?}");
    }
}

/// A signature may be spelled with spare bits and line breaks, as in Go; the signed text may not.
fn same_signed_text(token: &str, named: &str) -> bool {
    let signed = |text: &str| text.rsplit_once('.').map(|(signed, _)| signed.to_owned());
    signed(token) == signed(named)
}

fn with_tokens(bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [first, behind @ ..] = rest {
        match rest.strip_prefix(b"TOKEN") {
            Some([digit @ b'0'..=b'7', behind @ ..]) => {
                body.extend(TOKENS[usize::from(digit - b'0')].as_bytes());
                rest = behind;
            }
            Some(_) | None => {
                body.push(*first);
                rest = behind;
            }
        }
    }
    body
}

fn written(request: &BootstrapRequest) -> String {
    let BootstrapRequest { mesh, name, proxy_type, resource, token } = request;
    json!({
        "mesh": mesh, "name": name, "proxyType": proxy_type,
        "dataplaneResource": resource, "dataplaneToken": token,
    })
    .to_string()
}
