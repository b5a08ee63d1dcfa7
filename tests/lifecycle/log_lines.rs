//! The log lines of streams and configurations, and the facts for access logs, as the documentation shows them.

use std::sync::Arc;

use serde_json::json;
use zonegate::gate::{ADS_SOTW, Mode};
use zonegate::lifecycle::{Effect, StreamId};
use zonegate::log_line::{Level, LogLine, of_accepted};
use zonegate::text::Quoted;

use crate::host::{Begin, Host, KEY, bytes, policy};

fn lines<'a>(effects: &'a [Effect]) -> Vec<&'a LogLine> {
    let line = |effect: &'a Effect| match effect {
        Effect::Log(line) => Some(line.as_ref()),
        _ => None,
    };
    effects.iter().filter_map(line).collect()
}

/// Begins a stream with this token, with the first message of an ingress.
fn begin(host: &mut Host, id: u32, token: &str) -> Vec<Effect> {
    let under = host.life.policy_number();
    let begin = Begin { path: ADS_SOTW, token, under, header_bytes: 0, is_end: false };
    let (_, mut effects) = host.begin(id, &begin);
    effects.extend(host.body(id, &bytes("ingress"), false).1);
    effects
}

#[test]
fn a_refusal_has_its_mode_its_token_and_its_peer() {
    for (mode, word) in [("enforce", "denied"), ("shadow", "would_deny")] {
        let mut host = Host::new();
        let _ = host.push(Arc::new(policy(&json!({ "mode": mode, "revocations": "id-1" }))));
        let effects = begin(&mut host, 7, "good");
        let [line] = lines(&effects)[..] else { panic!("{effects:?}") };
        assert_eq!(line.peer_of(), Some(StreamId(7)));
        assert_eq!(
            line.render("10.0.0.1:2"),
            format!(
                "zonegate: {word} reason=revoked path=\"{}...\" peer=\"10.0.0.1:2\" request_id=\"\" \
                 kind=zoneToken kid=\"1\" jti=\"id-1\" zone=\"east\" \
                 detail=\"token 'id-1' is revoked; issue a new one\"",
                ADS_SOTW.split_at(Quoted::LIMIT).0
            )
        );
    }
}

/// Also of a stream that passed in shadow mode.
#[test]
fn a_cut_says_whose_stream_it_was() {
    for mode in [Mode::Enforce, Mode::Shadow] {
        let mut host = Host::new();
        let before = match mode {
            Mode::Enforce => json!({}),
            Mode::Shadow => json!({ "mode": "shadow", "revocations": "id-1" }),
        };
        let _ = host.push(Arc::new(policy(&before)));
        let _ = begin(&mut host, 7, "good");
        let after = json!({
            "revocations": "id-1",
            "openStreams": { "cutWithinMilliseconds": 0 },
        });
        let (_, mut effects) = host.push(Arc::new(policy(&after)));
        effects.extend(host.tick(100));
        let [line] = lines(&effects)[..] else { panic!("{effects:?}") };
        assert_eq!(line.peer_of(), None);
        assert_eq!(
            line.render(""),
            r#"zonegate: cut reason=revoked kind=zoneToken kid="1" jti="id-1" zone="east""#
        );
    }
}

/// The facts for access logs, under the names that the shipped formats read.
#[test]
fn unknown_facts_are_left_out() {
    let token = "kind=zoneToken kid=1 jti=id-1 zone=east exp=";
    for (fields, verdict, reason) in [
        (json!({}), "allow", None),
        (json!({ "revocations": "id-1" }), "deny", Some("revoked")),
        (json!({ "mode": "shadow", "revocations": "id-1" }), "would_deny", Some("revoked")),
    ] {
        let mut host = Host::new();
        let _ = host.push(Arc::new(policy(&fields)));
        let effects = begin(&mut host, 7, "good");
        let facts = effects.iter().rev().find_map(|effect| match effect {
            Effect::Facts(_, facts) => Some(facts),
            _ => None,
        });
        let values: Vec<_> = facts.unwrap().values().collect();
        let (known, last) = values.split_at(values.len() - 1);
        let mut wanted = vec![("wasm.zonegate.verdict", verdict)];
        wanted.extend(reason.map(|reason| ("wasm.zonegate.reason", reason)));
        assert_eq!(known, wanted);
        let (name, pairs) = last[0];
        assert!(name == "wasm.zonegate.token" && pairs.starts_with(token), "{pairs}");
    }
}

#[test]
fn a_host_that_goes_back_is_mentioned() {
    let line = LogLine::WentBack;
    assert_eq!((line.peer_of(), line.level()), (None, Level::Info));
    assert!(line.render("").contains("earlier configuration in force again"));
    let line = LogLine::Text(Level::Warn, "text".to_owned());
    assert_eq!((line.peer_of(), line.render("")), (None, "text".to_owned()));
}

#[test]
fn an_accepted_configuration_is_told_by_its_keys_and_its_mode() {
    let key = KEY.public_key_pem();
    let fingerprint = zonegate::token::PublicKey::from_pem(key).unwrap().fingerprint();
    let keys = json!([{ "kid": "a", "key": key }, { "kid": "b", "key": key }]);
    for (mut config, profile) in [
        (json!({ "zone": "east" }), "dpServer zone=\"east\""),
        (json!({ "profile": "globalKds" }), "globalKds"),
    ] {
        for mode in ["enforce", "shadow"] {
            let fields = json!({ "mode": mode, "revocations": "id-1,id-2", "publicKeys": keys });
            config.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            let config =
                zonegate::config::Config::from_json(config.to_string().as_bytes()).unwrap();
            let mut lines = of_accepted(&config, "crate");
            let wanted = format!(
                "zonegate: configured version={} profile={profile} mode={mode} crypto=crate revocations=2 \
                 keys=\"a\"={fingerprint},\"b\"={fingerprint}",
                env!("CARGO_PKG_VERSION")
            );
            assert_eq!(lines.next(), Some((Level::Info, wanted)));
        }
    }
}
