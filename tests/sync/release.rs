//! A control plane of Kuma 3. It accepts no zone tokens from proxies, but still has keys for them.

use http::StatusCode;

use crate::api::{Answer, Api};
use crate::tool::Place;

const WARNING: &str =
    "zonegate sync: warning: this control plane does not accept zone tokens (it is Kuma 3.0.0): ";

async fn api(version: &'static str) -> Api {
    let api = Api::start().await;
    api.add_key("1");
    api.state().version = version;
    api
}

#[tokio::test]
async fn a_control_plane_of_kuma_3_is_warned_of() {
    for (version, warnings) in [("3.0.0", 1), ("2.14.3", 0)] {
        let (api, place) = (api(version).await, Place::new());
        let (code, said) = place.once(&api, &[]).await;
        assert_eq!((code, said.matches(WARNING).count()), (0, warnings), "{said}");
        assert_eq!(place.kids(), ["1"]);
        assert_eq!(api.state().root_asked, 1);
    }
}

/// A global control plane does not check the tokens of zones, so its release does not matter.
#[tokio::test]
async fn a_global_control_plane_of_kuma_3_is_not_warned_of() {
    let (api, place) = (api("3.0.0").await, Place::new());
    let base = place.write("base.yaml", "profile: globalKds\n");
    let (code, said) = place.once(&api, &["--base", &base]).await;
    assert!(code == 0 && !said.contains(WARNING), "{said}");
    assert_eq!(api.state().root_asked, 0);
}

/// The version is requested once, and again after the control plane was unreachable.
#[tokio::test]
async fn an_upgrade_to_kuma_3_is_warned_of_once() {
    let (api, place) = (api("2.14.3").await, Place::new());
    let running = place.run(&api, &[]);
    running.says("replaced file=").await;
    api.asked_again(3).await;
    assert_eq!(api.state().root_asked, 1);
    api.state().version = "3.0.0";
    api.state().answer = Answer::With(StatusCode::BAD_GATEWAY, "text/plain", String::new());
    running.says("failed kind=").await;
    api.state().answer = Answer::Truly;
    running.says(WARNING).await;
    api.asked_again(3).await;
    assert_eq!(running.said().matches(WARNING).count(), 1);
    assert_eq!(api.state().root_asked, 2);
}
