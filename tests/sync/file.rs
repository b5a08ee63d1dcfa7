//! What becomes of the file.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use crate::api::Api;
use crate::tool::{Place, once, replace};

#[tokio::test]
async fn the_file_is_filled_then_left_alone_then_follows_the_secrets() {
    let (api, place) = (Api::start().await, Place::new());
    let one = api.add_key("1");
    let policy = place.write("gate.yaml", "zone: east\nmode: shadow\nproxies: {dataplane: pass}\n");
    let running = place.run(&api, &["--base", &policy, "--module", "/opt/zonegate.wasm"]);
    running.says("replaced file=").await;
    assert_eq!(place.config().policy.zone(), Some("east"));
    assert_eq!(place.kids(), ["1"]);
    assert!(fs::read_to_string(&place.ecds).unwrap().contains("filename: \"/opt/zonegate.wasm\""));

    // The same again and again: not even touched.
    let before = place.identity();
    api.asked_again(3).await;
    assert_eq!(place.identity(), before);

    let two = api.add_key("2");
    api.revoke("id-1,id-2");
    running.says("keys=2 revocations=2").await;
    let config = place.config();
    assert_eq!(config.policy.keys.get("2"), Some(&two.public_key()));
    assert!(config.policy.revocations.contains("id-2"));

    api.remove("zone-token-signing-key-1");
    api.revoke("id-2");
    running.says("keys=1 revocations=1").await;
    assert_eq!(place.kids(), ["2"]);
    assert!(!place.config().policy.revocations.contains("id-1"));

    let said = running.stop(&api, &place).await;
    let (one, two) = (one.public_key().fingerprint(), two.public_key().fingerprint());
    for line in [
        format!("key added kid=\"1\" fingerprint={one}"),
        format!("key added kid=\"2\" fingerprint={two}"),
        "ids revoked=2 unrevoked=0 total=2".to_owned(),
        format!("key removed kid=\"1\" fingerprint={one}"),
        "ids revoked=0 unrevoked=1 total=1".to_owned(),
    ] {
        let wanted = format!("zonegate sync: {line}\n");
        assert_eq!(said.matches(&wanted).count(), 1, "{wanted} is not once in\n{said}");
    }
}

#[tokio::test]
async fn a_restart_says_only_what_is_new() {
    let (api, place) = (Api::start().await, Place::new());
    api.add_key("1");
    assert_eq!(place.once(&api, &[]).await.0, 0);
    let before = place.identity();
    let (code, said) = place.once(&api, &[]).await;
    let current =
        format!("zonegate sync: current file={} keys=1 revocations=0\n", place.ecds.display());
    assert_eq!((code, said), (0, current));
    assert_eq!(place.identity(), before);
    api.revoke("id");
    let (_, said) = place.once(&api, &[]).await;
    assert!(said.starts_with("zonegate sync: ids revoked=1 unrevoked=0 total=1\n"), "{said}");
}

#[tokio::test]
async fn a_federated_zones_public_keys_count_and_other_secrets_are_not_asked_for() {
    let (api, place) = (Api::start().await, Place::new());
    let key = zonegate_issuer::SigningKey::generate(2048).unwrap();
    api.set("zone-token-signing-public-key-7", key.public_key_pem());
    api.set("admin-user-token", "not for us");
    assert_eq!(place.once(&api, &[]).await.0, 0);
    assert_eq!(place.kids(), ["7"]);
    let asked = api.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].path, "/global-secrets?name=zone-token&size=1000");
}

#[tokio::test]
async fn pages_are_followed() {
    let (api, place) = (Api::start().await, Place::new());
    for kid in ["1", "2", "3"] {
        api.add_key(kid);
    }
    api.revoke("id");
    api.state().page = 1;
    assert_eq!(place.once(&api, &["--zone", "east"]).await.0, 0);
    assert_eq!(place.config().policy.zone(), Some("east"));
    assert_eq!(place.kids(), ["1", "2", "3"]);
    assert!(place.config().policy.revocations.contains("id"));
    assert_eq!(api.asked().len(), 4);
}

#[tokio::test]
async fn the_policy_is_read_anew_and_a_bad_one_changes_nothing() {
    let (api, place) = (Api::start().await, Place::new());
    api.add_key("1");
    let policy = place.write("gate.yaml", "zone: east\n");
    let running = place.run(&api, &["--base", &policy]);
    running.says("replaced file=").await;
    place.write("gate.yaml", "zone: west\nrevocations: mine\n");
    running.says("ids revoked=1").await;
    api.asked_again(1).await;
    assert_eq!(place.config().policy.zone(), Some("west"));
    let before = place.identity();
    for (text, wanted) in [
        (
            "zone: ''\n",
            "failed kind=policy failures=1 next_poll_in=0.1s: the filter would refuse it: zone: must not be empty; the file stays as it is\n",
        ),
        ("zone: [\n", "gate.yaml: not YAML: line"),
    ] {
        place.write("gate.yaml", text);
        running.says(wanted).await;
        assert_eq!(place.identity(), before);
    }
    place.write("gate.yaml", "zone: west\n");
    running.says("recovered failures=").await;
    assert!(!place.config().policy.revocations.contains("mine"));
    running.stop(&api, &place).await;
}

#[tokio::test]
async fn a_key_of_the_policy_and_one_of_the_secrets_must_not_share_a_kid() {
    let (api, place) = (Api::start().await, Place::new());
    api.add_key("1");
    let policy = serde_json::json!({
        "publicKeys": [{ "kid": "1", "key": include_str!("../data/key-1.pub.pem") }]
    });
    let policy = place.write("gate.json", &policy.to_string());
    let (code, said) = place.once(&api, &["--base", &policy]).await;
    assert_eq!(code, 2);
    let wanted = format!(
        "error: kid \"1\" is there twice, with different keys: in {policy} and in the control plane \
         (secret zone-token-signing-key-1); remove one\n"
    );
    assert_eq!(said, wanted);
    assert!(!place.ecds.exists());
}

#[tokio::test]
async fn what_others_do_to_the_file_is_undone() {
    let (api, place) = (Api::start().await, Place::new());
    api.add_key("1");
    let running = place.run(&api, &[]);
    running.says("replaced file=").await;
    let (good, replaced) = (fs::read(&place.ecds).unwrap(), " keys=1 revocations=0\n");
    for damage in [&b""[..], b"resources: [", &good[..good.len() / 2]] {
        let times = running.said().matches(replaced).count();
        replace(&place.ecds, damage);
        while running.said().matches(replaced).count() == times {
            api.asked_again(1).await;
        }
        assert_eq!(fs::read(&place.ecds).unwrap(), good);
    }
    running.stop(&api, &place).await;
}

#[tokio::test]
async fn a_file_of_another_kind_is_not_replaced() {
    let (api, place) = (Api::start().await, Place::new());
    api.add_key("1");
    fs::write(&place.ecds, "precious").unwrap();
    let (code, said) = place.once(&api, &[]).await;
    assert_eq!(code, 2);
    assert!(said.contains("is there already and is no ECDS file of Envoy"), "{said}");
    assert_eq!(fs::read_to_string(&place.ecds).unwrap(), "precious");
    assert_eq!(api.asked(), []);
}

#[tokio::test]
async fn one_sync_keeps_a_file() {
    let (api, place) = (Api::start().await, Place::new());
    api.add_key("1");
    let running = place.run(&api, &[]);
    running.says("replaced file=").await;
    let (code, said) = place.once(&api, &[]).await;
    let wanted = format!(
        "error: another zonegate sync keeps {} current: stop that one, or give another file\n",
        place.ecds.display()
    );
    assert_eq!((code, said), (1, wanted));
    // Another file beside it is another matter, and the lock ends with the process.
    let mut other = Place::new();
    other.ecds = place.dir.path().join("other.yaml");
    assert_eq!(other.once(&api, &[]).await.0, 0);
    let (mut running, api_) = (running, &api);
    running.child.kill().await.unwrap();
    assert_eq!(place.once(api_, &[]).await.0, 0);
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_an_error_and_no_more() {
    let (api, mut place) = (Api::start().await, Place::new());
    api.add_key("1");
    let folder = place.dir.path().join("ecds");
    place.ecds = folder.join("zonegate.yaml");
    let (code, said) = place.once(&api, &[]).await;
    assert_eq!(code, 1);
    assert!(said.starts_with("error: could not create "), "{said}");
    fs::create_dir(&folder).unwrap();
    let running = place.run(&api, &[]);
    running.says("replaced file=").await;
    // Fails for every user, root as well, until the folder is back.
    let aside = place.dir.path().join("aside");
    fs::rename(&folder, &aside).unwrap();
    running.says("failed kind=write ").await;
    fs::rename(&aside, &folder).unwrap();
    running.says("recovered failures=").await;
    running.stop(&api, &place).await;
}

#[tokio::test]
async fn a_folder_without_permission_is_an_error_that_says_so() {
    let (api, place) = (Api::start().await, Place::new());
    api.add_key("1");
    let mode = |mode| fs::set_permissions(place.dir.path(), fs::Permissions::from_mode(mode));
    mode(0o555).unwrap();
    if fs::write(place.dir.path().join("x"), "").is_ok() {
        println!("skipped: this user may write everywhere");
        return;
    }
    let (code, said) = once(place.command(&api, &["--once"])).await;
    mode(0o755).unwrap();
    assert_eq!(code, 1);
    assert!(said.ends_with("zonegate sync must be allowed to write in that folder\n"), "{said}");
}

/// Envoy may run as another user.
#[tokio::test]
async fn the_file_is_for_everyone_to_read_and_nothing_is_left_beside_it() {
    let (api, place) = (Api::start().await, Place::new());
    api.add_key("1");
    place.once(&api, &[]).await;
    assert_eq!(fs::metadata(&place.ecds).unwrap().mode() & 0o044, 0o044);
    let mut names: Vec<_> = fs::read_dir(&place.dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, [".zonegate.yaml.sync-lock", "zonegate.yaml"]);
}
