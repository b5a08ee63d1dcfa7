//! A control plane that is unreachable, refuses our token, or gives bad answers.

use http::StatusCode;
use serde_json::json;

use crate::api::{Answer, Api};
use crate::tool::Place;

/// A control plane, and a file that was synced once.
async fn synced() -> (Api, Place) {
    let (api, place) = (Api::start().await, Place::new());
    api.add_key("1");
    assert_eq!(place.once(&api, &[]).await.0, 0);
    (api, place)
}

/// The last good file stays, whatever the answer.
#[tokio::test]
async fn nonsense_changes_nothing() {
    let (api, place) = synced().await;
    let before = place.identity();
    let ok = |text: &str| Answer::With(StatusCode::OK, "application/json", text.to_owned());
    let raw = |text: &str| Answer::Raw(text.as_bytes().to_vec());
    let item = |name: &str, data: &str| {
        json!({ "type": "GlobalSecret", "name": name, "data": data }).to_string()
    };
    let key = item("zone-token-signing-key-1", "Tk9UQUtFWQ==");
    let bad_list = item("zone-token-revocations", "=");
    let no_keys = "error: no key is among the secrets";
    let not_the_api = "error: the answer is not what the API server of a control plane says to \
                       GET /global-secrets\n";
    let html = Answer::With(StatusCode::OK, "text/html", "<html>".to_owned());
    let page = |items: &str, more: &str| ok(&format!("{{\"items\":[{items}]{more}}}"));
    let cases = [
        (ok(""), not_the_api),
        (ok("null"), not_the_api),
        (ok("[]"), not_the_api),
        (ok("\0\u{fffd}"), not_the_api),
        (ok(&"[".repeat(100_000)), not_the_api),
        (ok(r#"{"items":[{"type":"GlobalSecret","name":"zone-token-sig"#), not_the_api),
        (ok(r#"{"items":{}}"#), not_the_api),
        (page("1", ""), "error: items[0] is no resource"),
        (html, "error: the answer is a web page: --address must be the API server"),
        (page("", ""), no_keys),
        (ok(r#"{"total":0,"items":null,"next":null}"#), no_keys),
        (ok("{}"), no_keys),
        (page(&key, ""), "error: no key is among the secrets that can be used; 1 cannot\n"),
        (page(&key, r#","total":2"#), "error: only 1 of 2 secrets came\n"),
        (page(&key, r#","next":"https://elsewhere/""#), not_the_api),
        (page(&bad_list, ""), "error: secret zone-token-revocations: its data are not base64\n"),
        (raw(""), "error: the answer broke off: "),
        (raw("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{"), "error: the answer broke off: "),
        (raw("SSH-2.0-OpenSSH_9\r\n"), "error: the answer broke off: "),
        (raw("HTTP/1.1 204 No Content\r\n\r\n"), "error: the server answers 204 No Content\n"),
        (
            Answer::With(StatusCode::BAD_GATEWAY, "text/plain", "a-secret".to_owned()),
            "error: the server answers 502 Bad Gateway\n",
        ),
        (
            Answer::With(StatusCode::UNAUTHORIZED, "text/plain", "401".to_owned()),
            "error: the server requires a token (401): give an admin token by --token-file or \
             ZONEGATE_ADMIN_TOKEN (kumactl generate user-token ",
        ),
        (
            Answer::With(StatusCode::NOT_FOUND, "text/plain", "404".to_owned()),
            "error: the server answers 404 Not Found; is --address the API server (port 5681 or 5682)?\n",
        ),
        (
            Answer::With(StatusCode::NOT_MODIFIED, "text/plain", String::new()),
            "error: the server redirects (304)",
        ),
    ];
    for (answer, wanted) in cases {
        api.state().answer = answer;
        let (code, said) = place.once(&api, &[]).await;
        assert!(code == 1 && said.starts_with(wanted), "{code}: {said:?}, not {wanted:?}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert_eq!(place.identity(), before, "{said}");
    }
}

#[tokio::test]
async fn an_answer_without_an_end_is_cut_off() {
    let (api, place) = synced().await;
    api.state().answer = Answer::Endless;
    let (code, said) = place.once(&api, &["--timeout", "25s"]).await;
    assert_eq!((code, said.as_str()), (1, "error: the answer is larger than 64 MiB\n"));
}

#[tokio::test]
async fn a_slow_answer_is_given_up() {
    let (api, place) = synced().await;
    api.state().answer = Answer::Never;
    let (code, said) = place.once(&api, &["--timeout", "300ms"]).await;
    assert_eq!((code, said.as_str()), (1, "error: no whole answer within 300 ms\n"));
}

/// The token is not sent to another server, and neither is a request for the next page.
#[tokio::test]
async fn no_request_goes_to_another_server() {
    let (api, place) = synced().await;
    let elsewhere = Api::start().await;
    elsewhere.add_key("9");
    let token = place.write("token", "an-admin-token");
    api.state().answer = Answer::Elsewhere(format!("{}/global-secrets", elsewhere.url()));
    let (code, said) = place.once(&api, &["--token-file", &token]).await;
    let wanted = "error: the server redirects (307): the token is not sent elsewhere; give the \
                  final --address\n";
    assert_eq!((code, said.as_str()), (1, wanted));
    // The next page is on another server. It is requested here instead, again and again, up to a limit.
    let next = format!("{}/global-secrets?offset=1", elsewhere.url());
    let page = json!({ "items": [], "next": next }).to_string();
    api.state().answer = Answer::With(StatusCode::OK, "application/json", page);
    let asked = api.asked().len();
    let (code, said) = place.once(&api, &["--token-file", &token]).await;
    assert_eq!(code, 1, "{said}");
    assert_eq!(api.asked().len() - asked, 100);
    assert_eq!(elsewhere.asked(), []);
    assert_eq!(place.kids(), ["1"]);
}

#[tokio::test]
async fn an_unreachable_control_plane_is_asked_less_often_until_it_is_back() {
    let (api, place) = synced().await;
    let before = place.identity();
    let running = place.run(&api, &[]);
    running.says("current file=").await;
    api.stop().await;
    let said = running.says(" failures=4 ").await;
    assert!(said.contains(
        "failed kind=connect failures=1 next_poll_in=0.1s: the control plane cannot be reached: \
         Connection refused (os error 111); the file stays as it is\n"
    ));
    // From 0.4 to 0.8 s; the first wait was at most 0.1 s.
    let wait = said.split(" failures=4 next_poll_in=").nth(1).unwrap();
    let wait: f64 = wait.split('s').next().unwrap().parse().unwrap();
    assert!((0.4..=0.8).contains(&wait), "{said}");
    assert_eq!(place.identity(), before);
    let (status, _) = running.get("/readyz").await;
    assert_eq!(status, 200, "the last good file is there");
    let api = api.restart().await;
    api.revoke("id");
    let said = running.says("recovered failures=").await;
    assert!(said.contains("ids revoked=1"), "{said}");
    running.stop(&api, &place).await;
}

#[tokio::test]
async fn a_token_that_is_not_taken_is_explained() {
    let (api, place) = synced().await;
    api.state().token = Some("admin-token-1".to_owned());
    let path = place.write("token", "expired\n");
    const NEW: &str =
        "kumactl generate user-token --name NAME --group mesh-system:admin --valid-for 720h";
    let (code, said) = place.once(&api, &["--token-file", &path]).await;
    let wanted = format!(
        "error: the control plane does not accept the token in {path} (401): it is expired, \
         revoked or of another control plane; put a new one there ({NEW})\n"
    );
    assert_eq!((code, said), (1, wanted));
    place.write("token", "user");
    let (code, said) = place.once(&api, &["--token-file", &path]).await;
    let wanted = format!(
        "error: the token in {path} is valid, but its user may not read GlobalSecrets (403): its \
         group must be one of KUMA_ACCESS_STATIC_ADMIN_RESOURCES_GROUPS, which is mesh-system:admin \
         ({NEW})\n"
    );
    assert_eq!((code, said), (1, wanted));
    let (code, said) = place.once(&api, &[]).await;
    let wanted = format!(
        "error: only an admin may read GlobalSecrets (403): give an admin token by --token-file or \
         ZONEGATE_ADMIN_TOKEN ({NEW})\n"
    );
    assert_eq!((code, said), (1, wanted));
}

#[tokio::test]
async fn a_new_token_is_used_from_the_next_poll_on() {
    let (api, place) = (Api::start().await, Place::new());
    api.add_key("1");
    api.state().token = Some("admin-token-1".to_owned());
    let path = place.write("token", "admin-token-1\n");
    let running = place.run(&api, &["--token-file", &path]);
    running.says("replaced file=").await;
    api.state().token = Some("admin-token-2".to_owned());
    running.says("failed kind=unauthorized ").await;
    place.write("token", "admin-token-2\n");
    running.says("recovered failures=").await;
    std::fs::remove_file(&path).unwrap();
    running.says("failed kind=token ").await;
    let said = running.stop(&api, &place).await;
    assert!(!said.contains("admin-token"), "{said}");
}

#[tokio::test]
async fn the_environment_may_hold_the_token() {
    let (api, place) = (Api::start().await, Place::new());
    api.add_key("1");
    api.state().token = Some("admin-token-1".to_owned());
    let mut command = place.command(&api, &["--once"]);
    command.env("ZONEGATE_ADMIN_TOKEN", "admin-token-1");
    let (code, said) = crate::tool::once(command).await;
    assert_eq!(code, 0, "{said}");
    assert_eq!(api.asked()[0].authorization.as_deref(), Some("Bearer admin-token-1"));
    assert!(!said.contains("admin-token"), "{said}");
}

#[tokio::test]
async fn an_etag_is_given_back_and_means_no_change() {
    let (api, place) = (Api::start().await, Place::new());
    api.add_key("1");
    api.state().etag = Some("\"v1\"".to_owned());
    let policy = place.write("gate.yaml", "zone: east\n");
    let running = place.run(&api, &["--base", &policy]);
    running.says("replaced file=").await;
    let before = place.identity();
    api.asked_again(2).await;
    assert_eq!(place.identity(), before);
    let asked = api.asked();
    assert_eq!(asked[0].if_none_match, None);
    assert_eq!(asked[1].if_none_match.as_deref(), Some("\"v1\""));
    // A change of the policy still counts.
    place.write("gate.yaml", "zone: east\nrevocations: mine\n");
    running.says("ids revoked=1").await;
    api.add_key("2");
    api.state().etag = Some("\"v2\"".to_owned());
    running.says("key added kid=\"2\"").await;
    running.stop(&api, &place).await;
}

#[tokio::test]
async fn a_key_that_kuma_cannot_use_is_named_once() {
    let (api, place) = (Api::start().await, Place::new());
    api.add_key("1");
    api.set("zone-token-signing-key-2", "no key");
    api.set("zone-token-signing-key-\nzonegate sync: \u{1b}[2J", "no key");
    api.revoke("id,");
    let running = place.run(&api, &[]);
    running.says("replaced file=").await;
    api.asked_again(3).await;
    assert_eq!(place.kids(), ["1"]);
    let said = running.stop(&api, &place).await;
    for warning in [
        "zonegate sync: warning: secret zone-token-signing-key-\\u000azonegate sync: \\u001b[2J is",
        "zonegate sync: warning: secret zone-token-signing-key-2 is left out: ",
        "zonegate sync: warning: revocations: an empty entry (a comma too many?)",
    ] {
        assert_eq!(said.matches(warning).count(), 1, "{said}");
    }
}
