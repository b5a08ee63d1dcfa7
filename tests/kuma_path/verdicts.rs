//! Tokens with the verdicts of the gateway and of the control plane alone, written to the table in `docs/kuma.md`.
//!
//! The test fails if the table is not up to date, if the gate is looser than Kuma anywhere, and if it is stricter
//! without a reason in the table. `UPDATE_DOCS=1 make test-kuma` writes the table.

use std::fmt::Write;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use zonegate_issuer::SigningKey;

use crate::harness::{Bench, KID, Setup, now, within};
use crate::kumactl::Way;

/// The release of the table. Other releases may word their refusals differently.
const RECORDED: &str = "2.14.3";
const BEGIN: &str = "<!-- verdicts: begin, written by make test-kuma -->\n";
const END: &str = "<!-- verdicts: end -->\n";

struct Case {
    what: &'static str,
    token: Option<String>,
    /// Why the gate may refuse a token that Kuma accepts.
    stricter: Option<&'static str>,
}

#[tokio::test]
#[ignore = "needs KUMA_HOME: make test-kuma"]
async fn the_table_of_verdicts_is_up_to_date() {
    let revocations = "revoked-1, revoked-2";
    let setup = Bench::new().set("revocations", json!(revocations)).start().await;
    let api = setup.control_plane.api();
    api.set_secret("zone-token-revocations", revocations.as_bytes()).await.unwrap();
    let revoked = setup.sign(&with(&setup, "jti", json!("revoked-1")));
    within(async { while setup.connects(Way::Straight, revoked.as_str()).await.is_ok() {} }).await;
    let mut table =
        String::from("| token | the gateway | the control plane alone |\n|---|---|---|\n");
    for Case { what, token, stricter } in cases(&setup).await {
        let gate = setup.connects(Way::Gateway, token.as_deref()).await;
        let kuma = setup.connects(Way::Straight, token.as_deref()).await;
        let is_stricter = gate.is_err() && kuma.is_ok();
        assert!(gate.is_err() || kuma.is_ok(), "{what}: looser than Kuma, which says {kuma:?}");
        assert_eq!(is_stricter, stricter.is_some(), "{what}: {gate:?}, Kuma: {kuma:?}");
        let why = stricter.map(|why| format!(" ({why})")).unwrap_or_default();
        writeln!(table, "| {what}{why} | {} | {} |", cell(&gate), cell(&kuma)).unwrap();
    }
    match setup.home.release().to_string().as_str() {
        RECORDED => check(&table),
        other => println!("the table is of {RECORDED}, this is {other}: not compared\n{table}"),
    }
}

fn check(table: &str) {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join("docs/kuma.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("docs/kuma.md has no place for the table");
    let (written, after) = rest.split_once(END).expect("the table in docs/kuma.md has no end");
    if written == table {
        return;
    }
    assert!(
        std::env::var_os("UPDATE_DOCS").is_some(),
        "the table in docs/kuma.md is not up to date (UPDATE_DOCS=1 make test-kuma writes it); \
         it should be\n{table}"
    );
    std::fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
}

fn cell(verdict: &Result<(), String>) -> String {
    const WRAPPED: &[&str] = &[
        "authentication failed: ",
        "could not parse token. kuma-cp runs with an in-memory database and its state isn't \
         preserved between restarts. Keep in mind that an in-memory database cannot be used with \
         multiple instances of the control plane: ",
    ];
    let Err(message) = verdict else { return "lets in".to_owned() };
    let plain = WRAPPED.iter().fold(message.clone(), |text, wrap| text.replace(wrap, ""));
    format!("`{}`", plain.replace('|', "\\|"))
}

fn with(setup: &Setup, name: &str, value: Value) -> Value {
    let mut claims = setup.claims();
    claims[name] = value;
    claims
}

async fn cases(setup: &Setup) -> Vec<Case> {
    let claim = |name: &str, value: Value| setup.sign(&with(setup, name, value));
    let without = |name: &str| {
        let mut claims = setup.claims();
        claims.as_object_mut().unwrap().remove(name);
        setup.sign(&claims)
    };
    let header = |header: Value| setup.key.sign_raw(header.to_string(), setup.claims().to_string());
    let foreign = SigningKey::generate(2048).unwrap();
    let known = json!({ "alg": "RS256", "kid": KID, "typ": "JWT" });
    let foreign = foreign.sign_raw(known.to_string(), setup.claims().to_string());
    let unsigned = header(json!({ "alg": "none", "kid": KID }));
    let unsigned = format!("{}.", unsigned.rsplit_once('.').unwrap().0);
    let good = setup.sign(&setup.claims());
    let cut = good.chars().take(good.len() - 4).collect();
    let lower = setup.claims().to_string().replace("\"Zone\"", "\"zone\"");
    let lower = setup.key.sign_raw(known.to_string(), lower);
    let sidecar = setup.control_plane.api().dataplane_token("default", "web").await.unwrap();
    let case = |what, token| Case { what, token: Some(token), stricter: None };
    let stricter = |what, token, why| Case { what, token: Some(token), stricter: Some(why) };
    vec![
        case("as kumactl issues it", good.clone()),
        case("no zone in it", claim("Zone", json!(""))),
        case("`zone` in lower case", lower),
        case("`exp` in quotes", claim("exp", json!((now() + 3600).to_string()))),
        case("expired", claim("exp", json!(now() - 150))),
        case("not valid yet", claim("nbf", json!(now() + 7290))),
        stricter("without `exp`", without("exp"), "`requireExpiration`"),
        case("revoked", claim("jti", json!("revoked-1"))),
        stricter(
            "revoked, but after a space in the list",
            claim("jti", json!("revoked-2")),
            "Kuma splits on commas alone",
        ),
        case("of another zone", claim("Zone", json!("other"))),
        case("for an egress only", claim("Scope", json!(["egress"]))),
        case("without `Scope`, as zone ingress tokens of old", without("Scope")),
        case("of a key that neither knows", header(json!({ "alg": "RS256", "kid": "gone" }))),
        case("signed by another key under a known kid", foreign),
        case("its signature cut short", cut),
        case("no kid", header(json!({ "alg": "RS256" }))),
        case("a kid that is a number", header(json!({ "alg": "RS256", "kid": 1 }))),
        case("unsigned (`alg: none`)", unsigned),
        stricter(
            "a `crit` header",
            header(json!({ "alg": "RS256", "kid": KID, "crit": ["b64"] })),
            "RFC 7515 section 4.1.11",
        ),
        case("behind `Bearer`", format!("Bearer {good}")),
        case("a sidecar's", sidecar),
        case("garbage", URL_SAFE_NO_PAD.encode("garbage")),
        Case { what: "none", token: None, stricter: None },
    ]
}
