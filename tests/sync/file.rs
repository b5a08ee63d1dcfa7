//! The file that sync writes.

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

    // If nothing changes, the file is not even touched.
    let before = place.identity();
    api.asked_again(3).await;
    assert_eq!(place.identity(), before);

    let two = api.add_key("2");
    api.revoke("id-1,id-2");
    running.says("keys=2 revocations=2").await;
    let config = place.config();
    assert_eq!(
        config.policy.issuers.zone_token.keys.get("2"),
        Some(&zonegate::token::VerificationKey::from(two.public_key()))
    );
    assert!(config.policy.issuers.zone_token.revocations.contains("id-2"));

    api.remove("zone-token-signing-key-1");
    api.revoke("id-2");
    running.says("keys=1 revocations=1").await;
    assert_eq!(place.kids(), ["2"]);
    assert!(!place.config().policy.issuers.zone_token.revocations.contains("id-1"));

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
    assert_eq!(place.once(&api, &["--zone", "east"]).await.0, 0);
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

/// Settings that only the file has stay, and so does the text around them.
#[tokio::test]
async fn the_rest_of_a_file_stays_and_the_first_run_says_what_it_takes_over() {
    let (api, place) = (Api::start().await, Place::new());
    api.add_key("7");
    api.revoke("id-1");
    let shipped = include_str!("../../envoy/ecds/zonegate.yaml");
    let mine = shipped
        .replace("zone: default", "zone: east # ours")
        .replace("mode: enforce", "mode: shadow # until Monday")
        .replace("dataplane: deny", "dataplane: pass")
        .replace("vm_id: zonegate", "vm_id: second")
        .replace("onExpired: keep", "onExpired: cut");
    fs::write(&place.ecds, &mine).unwrap();
    let (code, said) = place.once(&api, &[]).await;
    assert_eq!(code, 0, "{said}");
    let taking = format!(
        "zonegate sync: taking over file={}: keys and revoked ids are the control plane's from now on; \
         settings of the file: mode=\"shadow\" openStreams.onExpired=\"cut\" \
         proxies.dataplane=\"pass\" zone=\"east\"\n",
        place.ecds.display()
    );
    assert!(said.contains(&taking), "{said}");
    assert!(
        said.contains("key removed kid=\"1\"") && said.contains("key added kid=\"7\""),
        "{said}"
    );
    assert!(!said.contains("warning"), "{said}");
    let text = fs::read_to_string(&place.ecds).unwrap();
    for line in [
        "zone: east # ours",
        "mode: shadow # until Monday",
        "dataplane: pass",
        "vm_id: second",
        "onExpired: cut",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert_eq!(place.kids(), ["7"]);
    assert!(place.config().policy.issuers.zone_token.revocations.contains("id-1"));
    // The message comes only once. A given zone is set.
    let (_, said) = place.once(&api, &["--zone", "west"]).await;
    assert!(!said.contains("taking over"), "{said}");
    assert!(said.contains("setting zone=\"west\" was=\"east\""), "{said}");
    let text = fs::read_to_string(&place.ecds).unwrap();
    assert!(
        text.contains("mode: shadow # until Monday") && text.contains("zone: west\n"),
        "{text}"
    );
}

/// With a base, the base decides everything that is not in secrets. Each change that it causes is logged.
#[tokio::test]
async fn a_base_says_the_rest_and_what_it_changes_is_told() {
    let (api, place) = (Api::start().await, Place::new());
    api.add_key("7");
    let mine =
        include_str!("../../envoy/ecds/zonegate.yaml").replace("mode: enforce", "mode: shadow");
    fs::write(&place.ecds, mine).unwrap();
    let base = place.write("gate.yaml", "zone: east\n");
    let (code, said) = place.once(&api, &["--base", &base]).await;
    assert_eq!(code, 0, "{said}");
    for line in [
        "settings of the base: zone=\"east\"\n",
        "setting mode=\"enforce\" was=\"shadow\"\n",
        "setting zone=\"east\" was=\"default\"\n",
    ] {
        assert!(said.contains(line), "{line} is not in\n{said}");
    }
    let text = fs::read_to_string(&place.ecds).unwrap();
    assert!(!text.contains("mode: shadow") && text.contains("# Keep it fixed"), "{text}");
}

#[tokio::test]
async fn without_a_zone_it_says_which_it_uses() {
    let (api, place) = (Api::start().await, Place::new());
    api.add_key("1");
    let (_, said) = place.once(&api, &[]).await;
    assert!(
        said.contains("warning: zone: neither --zone nor the policy names one: \"default\""),
        "{said}"
    );
    assert_eq!(place.config().policy.zone(), Some("default"));
}

/// A revocation in a file that sync writes would last only until the next poll, and look like success.
#[tokio::test]
async fn revoke_refuses_a_file_that_is_kept() {
    let (api, place) = (Api::start().await, Place::new());
    api.add_key("1");
    let running = place.run(&api, &["--zone", "east"]);
    running.says("replaced file=").await;
    let before = place.identity();
    let link = place.dir.path().join("link.yaml");
    std::os::unix::fs::symlink(&place.ecds, &link).unwrap();
    let revoke = async |file: &std::path::Path, more: &[&str]| {
        let mut command = tokio::process::Command::new(crate::tool::ZONEGATE);
        let output = command.arg("revoke").arg(file).arg("id-9").args(more).output().await.unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    for file in [&place.ecds, &link] {
        let (code, said) = revoke(file, &[]).await;
        assert_eq!(code, 2, "{said}");
        assert!(said.contains("a running zonegate sync keeps this file"), "{said}");
        assert!(
            said.contains("secret (zone-token-revocations, or dataplane-token-revocations-MESH)"),
            "{said}"
        );
        assert_eq!(place.identity(), before);
        let (code, said) = revoke(file, &["--dry-run"]).await;
        assert!(code == 0 && said.contains("warning: "), "{said}");
    }
    running.stop(&api, &place).await;
    let (code, said) = revoke(&place.ecds, &[]).await;
    assert!(code == 0 && said.contains("has kept this file"), "{said}");
    assert!(place.config().policy.issuers.zone_token.revocations.contains("id-9"));
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
    assert!(!place.config().policy.issuers.zone_token.revocations.contains("mine"));
    running.stop(&api, &place).await;
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
        // The file is as before, except the generation.
        let lines = |bytes: &[u8]| {
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            text.lines()
                .filter(|line| !line.contains(" generation:"))
                .collect::<Vec<_>>()
                .join("\n")
        };
        let now = fs::read(&place.ecds).unwrap();
        assert_eq!(lines(&now), lines(&good));
        assert_ne!(now, good);
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
    // Another file in the same folder is allowed, and the lock ends with the process.
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
    // Writing fails for every user, including root, until the folder is back.
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
