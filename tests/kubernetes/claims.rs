//! The claims of a token: issuer, audience, subject. Dates are in [`crate::times`].

use serde_json::{Value, json};

use crate::cases::{Base, Draft};
use crate::world::{FORMER_ISSUER, ISSUER};

const SPACE: &str = "kubernetes.io";

pub(crate) fn drafts(base: &Base<'_>) -> Vec<Draft> {
    [issuers(base), audiences(base), subjects(base), objects(base), accounts(base)].concat()
}

fn issuers(base: &Base<'_>) -> Vec<Draft> {
    let make = |name, description: &str, value: Value| {
        Draft::new(name, description, base.keys.token(base.with(&["iss"], value)))
    };
    vec![
        make(
            "iss-former",
            "of the second issuer that the API server accepts",
            json!(FORMER_ISSUER),
        ),
        make("iss-other", "of another issuer", json!("https://other.example")),
        make("iss-slash", "the issuer with a slash after it", json!(format!("{ISSUER}/"))),
        make("iss-upper", "the issuer in upper case", json!(ISSUER.to_uppercase())),
        make("iss-null", "iss is null", json!(null)),
        make("iss-empty", "iss is empty", json!("")),
        make("iss-number", "iss is a number", json!(1)),
        make("iss-list", "iss is a list with the issuer", json!([ISSUER])),
        Draft::new("iss-missing", "no iss", base.keys.token(base.without(&["iss"]))),
        Draft::new(
            "iss-capital",
            "Iss in place of iss",
            base.keys.token(base.claims.to_string().replace("\"iss\"", "\"Iss\"")),
        ),
        Draft::new(
            "iss-capital-other-after",
            "iss, and Iss of another issuer after it",
            base.keys.token(base.before("\"Iss\":\"https://other.example\"")),
        ),
        Draft::new(
            "iss-capital-other-first",
            "Iss of another issuer, and iss after it",
            base.keys.token(base.after("\"Iss\":\"https://other.example\"")),
        ),
        Draft::new(
            "iss-twice",
            "iss twice, the same",
            base.keys.token(base.after(&format!("\"iss\":\"{ISSUER}\""))),
        ),
        Draft::new(
            "iss-escaped",
            "the name iss with an escape in it",
            base.keys.token(base.claims.to_string().replace("\"iss\"", "\"\\u0069ss\"")),
        ),
    ]
}

fn audiences(base: &Base<'_>) -> Vec<Draft> {
    let make = |name, description: &str, value: Value| {
        Draft::new(name, description, base.keys.token(base.with(&["aud"], value)))
    };
    vec![
        make("aud-string", "aud is a string: the API server", json!(ISSUER)),
        make("aud-string-other", "aud is a string: another", json!("vault")),
        make("aud-list-other", "aud is a list: another", json!(["vault"])),
        make(
            "aud-list-two",
            "aud is a list: another, and the API server",
            json!(["vault", ISSUER]),
        ),
        make("aud-list-empty", "aud is an empty list", json!([])),
        make("aud-list-empty-string", "aud is a list with an empty string", json!([""])),
        make("aud-empty-string", "aud is an empty string", json!("")),
        make("aud-null", "aud is null", json!(null)),
        make("aud-number", "aud is a number", json!(1)),
        make("aud-list-number", "aud is a list: a number, and the API server", json!([1, ISSUER])),
        make("aud-list-null", "aud is a list: null, and the API server", json!([null, ISSUER])),
        make("aud-object", "aud is an object", json!({ "0": ISSUER })),
        make("aud-former", "aud is the second issuer", json!([FORMER_ISSUER])),
        make("aud-upper", "aud is the API server in upper case", json!([ISSUER.to_uppercase()])),
        Draft::new("aud-missing", "no aud", base.keys.token(base.without(&["aud"]))),
    ]
}

fn subjects(base: &Base<'_>) -> Vec<Draft> {
    let make = |name, description: &str, claim: &str, value: Value| {
        Draft::new(name, description, base.keys.token(base.with(&[claim], value)))
    };
    let frontend = json!("system:serviceaccount:demo:frontend");
    vec![
        make("sub-other", "sub names another account than kubernetes.io", "sub", frontend),
        make("sub-nobody", "sub is no account", "sub", json!("somebody")),
        make("sub-null", "sub is null", "sub", json!(null)),
        make("sub-number", "sub is a number", "sub", json!(1)),
        Draft::new("sub-missing", "no sub", base.keys.token(base.without(&["sub"]))),
        Draft::new("jti-missing", "no jti", base.keys.token(base.without(&["jti"]))),
        make("jti-number", "jti is a number", "jti", json!(1)),
        make("jti-null", "jti is null", "jti", json!(null)),
        make("jti-empty", "jti is empty", "jti", json!("")),
        make("claim-unknown", "a claim that nobody knows", "scope", json!({ "a": [1, null] })),
    ]
}

/// The pod, the node and the secret that a token is bound to.
fn objects(base: &Base<'_>) -> Vec<Draft> {
    let make = |name, description: &str, path: &[&str], value: Value| {
        let path: Vec<&str> = std::iter::once(SPACE).chain(path.iter().copied()).collect();
        Draft::new(name, description, base.keys.token(base.with(&path, value)))
    };
    let pod = &base.claims[SPACE]["pod"];
    vec![
        Draft::new(
            "pod-missing",
            "bound to no pod",
            base.keys.token(base.without(&[SPACE, "pod"])),
        ),
        make("pod-null", "pod is null", &["pod"], json!(null)),
        make("pod-empty", "pod is an empty object", &["pod"], json!({})),
        make("pod-string", "pod is a string", &["pod"], pod["name"].clone()),
        make("pod-list", "pod is a list", &["pod"], json!([pod])),
        make(
            "pod-name-other",
            "the name of another pod, the uid of this one",
            &["pod", "name"],
            json!("frontend-0"),
        ),
        make("pod-name-unknown", "a pod that is not there", &["pod", "name"], json!("nobody")),
        make("pod-name-number", "the pod's name is a number", &["pod", "name"], json!(1)),
        make("pod-name-null", "the pod's name is null", &["pod", "name"], json!(null)),
        make(
            "pod-name-capital",
            "Name in place of the pod's name",
            &["pod"],
            json!({ "Name": pod["name"], "uid": pod["uid"] }),
        ),
        make(
            "pod-uid-missing",
            "the pod without its uid",
            &["pod"],
            json!({ "name": pod["name"] }),
        ),
        make(
            "pod-uid-other",
            "the pod with another uid",
            &["pod", "uid"],
            json!("11111111-2222-3333-4444-555555555555"),
        ),
        make("pod-capital", "Pod beside pod, another one", &["Pod"], json!({ "name": "nobody" })),
        make(
            "node-unknown",
            "a node that is not there, beside the pod",
            &["node"],
            json!({ "name": "nobody", "uid": "1" }),
        ),
        make("node-null", "node is null", &["node"], json!(null)),
        make(
            "secret-unknown",
            "a secret that is not there, beside the pod",
            &["secret"],
            json!({ "name": "nobody", "uid": "1" }),
        ),
        make("warnafter-past", "warnafter has passed", &["warnafter"], json!(base.now - 60)),
        make("warnafter-string", "warnafter is a string", &["warnafter"], json!("1")),
    ]
}

/// The account of a token.
fn accounts(base: &Base<'_>) -> Vec<Draft> {
    let make = |name, description: &str, path: &[&str], value: Value| {
        Draft::new(name, description, base.keys.token(base.with(path, value)))
    };
    let (own, frontend) = (&base.claims[SPACE], &base.frontend[SPACE]);
    let account = &own["serviceaccount"];
    let whole = |change: fn(&mut Value)| {
        let mut own = own.clone();
        change(&mut own);
        own
    };
    vec![
        Draft::new("space-missing", "no kubernetes.io", base.keys.token(base.without(&[SPACE]))),
        make("space-null", "kubernetes.io is null", &[SPACE], json!(null)),
        make("space-string", "kubernetes.io is a string", &[SPACE], json!("demo")),
        make("space-list", "kubernetes.io is a list", &[SPACE], json!([own])),
        make(
            "space-capital",
            "Namespace in place of namespace",
            &[SPACE],
            whole(|own| {
                own["Namespace"] = own["namespace"].take();
            }),
        ),
        make(
            "namespace-other",
            "the namespace of another account",
            &[SPACE, "namespace"],
            json!("other"),
        ),
        make(
            "namespace-unknown",
            "a namespace that is not there",
            &[SPACE, "namespace"],
            json!("nowhere"),
        ),
        make("namespace-number", "the namespace is a number", &[SPACE, "namespace"], json!(1)),
        make("namespace-null", "the namespace is null", &[SPACE, "namespace"], json!(null)),
        make(
            "account-other",
            "another account, with its uid, and the pod of this one",
            &[SPACE, "serviceaccount"],
            frontend["serviceaccount"].clone(),
        ),
        make(
            "account-name-other",
            "the name of another account, the uid of this one",
            &[SPACE, "serviceaccount", "name"],
            json!("frontend"),
        ),
        make(
            "account-uid-missing",
            "the account without its uid",
            &[SPACE, "serviceaccount"],
            json!({ "name": account["name"] }),
        ),
        make(
            "account-string",
            "the account is a string",
            &[SPACE, "serviceaccount"],
            account["name"].clone(),
        ),
        make("account-null", "the account is null", &[SPACE, "serviceaccount"], json!(null)),
    ]
}
