//! `zonegate revoke` with a rule, in a file that a `zonegate sync` writes.

use std::path::Path;

use tokio::process::Command;

use crate::api::Api;
use crate::tool::{Place, ZONEGATE};

/// Adds a rule that is valid with every configuration here.
async fn revoke(file: &Path, zone: &str) -> (i32, String) {
    let mut command = Command::new(ZONEGATE);
    command.arg("revoke").arg(file).args(["--zone", zone, "--issued-before", "1700000000"]);
    let output = command.output().await.unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

fn zones(place: &Place) -> Vec<String> {
    let rules = place.config().policy.revocation_rules;
    rules.into_iter().map(|rule| rule.zone.unwrap().into()).collect()
}

/// A sync without a base writes only keys and ids: rules can be added at any time, and stay.
#[tokio::test]
async fn rules_come_in_beside_a_sync_and_stay() {
    let (api, place) = (Api::start().await, Place::new());
    api.add_key("1");
    let running = place.run(&api, &["--zone", "east"]);
    running.says("replaced file=").await;
    let wanted: Vec<String> = (0..20).map(|number| format!("zone-{number}")).collect();
    for (number, zone) in wanted.iter().enumerate() {
        // Each rule changes the file at about the same time as the sync.
        api.revoke(&format!("id-{number}"));
        let (code, said) = revoke(&place.ecds, zone).await;
        assert_eq!(code, 0, "{said}");
        assert!(!said.contains("sync"), "{said}");
    }
    running.says("total=1").await;
    api.asked_again(2).await;
    assert_eq!(zones(&place), wanted);
    let ids = place.config().policy.issuers.zone_token.revocations;
    assert!(ids.contains("id-19") && !ids.contains("id-0"));
    running.stop(&api, &place).await;
    let (code, said) = revoke(&place.ecds, "later").await;
    assert!(code == 0 && !said.contains("sync"), "{said}");
}

/// A sync with a base would remove the rule: the rule belongs in the base, and the sync copies it to the file.
#[tokio::test]
async fn a_rule_belongs_in_the_base_if_there_is_one() {
    let (api, place) = (Api::start().await, Place::new());
    api.add_key("1");
    let base = place.write("gate.yaml", "zone: east\n");
    let running = place.run(&api, &["--base", &base]);
    running.says("replaced file=").await;
    let before = place.identity();
    let (code, said) = revoke(&place.ecds, "east").await;
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("write the rule into that file, under revocationRules"), "{said}");
    assert_eq!(place.identity(), before);
    place.write("gate.yaml", "zone: east\nrevocationRules: [{ zone: east }]\n");
    while place.identity() == before {
        api.asked_again(1).await;
    }
    assert_eq!(zones(&place), ["east"]);
    running.stop(&api, &place).await;
    let (code, said) = revoke(&place.ecds, "west").await;
    assert!(code == 0 && said.contains("when it runs again with a --base"), "{said}");
}
