//! No text of a policy can make the page run, load or send anything.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use sha2::{Digest, Sha256};
use zonegate::gate::{Mode, Reason};
use zonegate_page::{Gateway, Poll, Push};

use crate::document::Document;
use crate::state::{KEY, State, named};

/// Tries to close each element around it, in each way that a browser might accept.
const HOSTILE: &str = "</code></td></dd></p></style></title><script>alert(1)</script>\
     <img src=x onerror=alert(1)>\" onmouseover=\"alert(1)\" '><!--<svg/onload=alert(1)>&#60;b&#62;";

/// Pages in which this text stands in for every text from outside.
fn states(text: &str) -> Vec<State> {
    let mut serve = State::serve(json!({})).denied(Mode::Enforce, Reason::Expired, 1, 2);
    serve.push = Some(Push { at: None, refused: Some(text.to_owned()) });
    let mut sync = State::sync(json!({}));
    sync.poll = Some(Poll { failures: 1, error: text.to_owned(), ..Poll::default() });
    (serve.policy, sync.policy) = (Some(named(text)), Some(named(text)));
    let leaked: &'static str = text.to_owned().leak();
    sync.unknown = Some(Gateway::Silent(leaked));
    vec![serve, sync]
}

/// A page with harmless names has the same elements and attributes.
#[test]
fn hostile_names_stay_text() {
    for (hostile, harmless) in states(HOSTILE).iter().zip(states("harmless")) {
        let (hostile, harmless) = (hostile.document(), harmless.document());
        assert_eq!(hostile.elements(), harmless.elements());
        assert_eq!(hostile.errors(), [""; 0]);
        let codes = hostile.texts("code");
        let shown: String = HOSTILE.split_whitespace().collect::<Vec<_>>().join(" ");
        let times =
            |codes: &[String], text: &str| codes.iter().filter(|code| *code == text).count();
        assert!(times(&codes, &shown) >= 8, "{codes:#?}");
        assert_eq!(times(&codes, &shown), times(&harmless.texts("code"), "harmless"));
    }
}

#[test]
fn bidirectional_and_invisible_characters_are_escaped() {
    for state in states("a\u{202e}gro.elpmaxe\u{200b}\r\n\u{7}") {
        let html = state.html();
        assert!(html.contains("a\\u{202e}gro.elpmaxe\\u{200b}\\r\\n\\u{7}"), "{html}");
        assert!(html.chars().all(|rune| rune == '\n' || !rune.is_control()));
        assert!(!html.contains(['\u{202e}', '\u{200b}']));
    }
}

/// Only these element names are allowed.
#[test]
fn the_page_runs_and_loads_nothing() {
    const ELEMENTS: &str = "html head meta title style body header h1 h2 p span main section ul li b dl dt dd \
                            table thead tbody tr th td code small em br footer a";
    let mut states = states("x");
    states.push(State::sync(json!({})));
    for state in states {
        let document = state.document();
        assert_eq!(document.errors(), [""; 0]);
        for (name, attributes) in document.elements() {
            assert!(ELEMENTS.split_whitespace().any(|one| one == name), "{name}");
            for attribute in attributes {
                let (name, value) = attribute.split_once('=').unwrap();
                let is_known = match name {
                    "href" => value == "/metrics",
                    "class" | "id" | "data-label" | "charset" | "name" | "content" | "lang" => true,
                    _ => false,
                };
                assert!(is_known, "{attribute}");
            }
        }
        let style = document.texts("style");
        assert!(!style[0].contains("url(") && !style[0].contains("@import"));
    }
}

/// CSP 3, section 2.3.1: the hash of the text between the tags, byte for byte.
#[test]
fn the_style_is_the_one_thing_that_the_policy_of_the_page_allows() {
    let html = State::serve(json!({})).html();
    let style = html.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
    let hash = STANDARD.encode(Sha256::digest(style));
    let headers = zonegate_page::headers();
    let (_, policy) = headers.iter().find(|(name, _)| *name == "content-security-policy").unwrap();
    assert_eq!(
        *policy,
        format!(
            "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; \
             frame-ancestors 'none'"
        )
    );
}

#[test]
fn only_the_fingerprint_of_a_key_is_shown() {
    let html = State::serve(json!({})).html();
    let pem = KEY.public_key_pem();
    let body: Vec<&str> = pem.lines().filter(|line| !line.starts_with('-')).collect();
    assert!(body.len() > 3);
    for line in body.iter().filter(|line| line.len() > 20) {
        assert!(!html.contains(line), "{line}");
    }
    let shown = Document::parse(&html).section("keys");
    assert!(shown.contains(&KEY.public_key().fingerprint().to_string()), "{shown}");
}
