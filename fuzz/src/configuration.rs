//! Plugin configurations.
//!
//! In: a plugin configuration, or a file of an operator that contains one. Out: a panic, unless
//!
//! - JSON, the same JSON as a text of protobuf, and the same as a Struct are one policy or one refusal;
//! - an accepted configuration has a key for each way to connect with a token;
//! - an error is bounded, and the tool finds and judges the configuration as the filter does.

use std::cell::Cell;

use prost::Message;
use serde_json::Value;
use zonegate::config::Config;
use zonegate::credential::Kind;
use zonegate::gate::{Admission, Policy, Profile, ProxyType};
use zonegate::token::RSA_CRATE;
use zonegate_tool::plugin_config::plugin_file::PluginConfiguration;
use zonegate_tool::plugin_config::settings;

use crate::revocations::struct_of;

/// Deeper JSON cannot be protobuf: decoders limit the depth of messages.
const DEPTH: usize = 16;
/// Every number in a Struct is a double; larger ones are not exact.
const EXACT: f64 = 9e15;

/// See the module.
pub fn configuration(bytes: &[u8]) {
    let read = read(Config::from_json(bytes));
    if bytes.trim_ascii_start().starts_with(b"{") && !bytes.starts_with(b"\n") {
        let as_text = Config::from_host(bytes.to_vec(), &RSA_CRATE);
        assert_eq!(as_text.map(shown).map_err(|error| error.to_string()), read);
    }
    if let Ok(value) = serde_json::from_slice::<Value>(bytes)
        && value.as_object().is_some_and(|fields| !fields.is_empty())
    {
        if is_exact(&value, &Cell::new(0)) && read.is_ok() {
            let encoded = struct_of(&value).encode_to_vec();
            let as_struct = Config::from_host(encoded, &RSA_CRATE);
            assert_eq!(as_struct.map(shown).map_err(|error| error.to_string()), read);
        }
        settings(&value);
    }
    in_a_file(bytes, &read);
}

/// The bytes may also be a protobuf message.
fn in_a_file(bytes: &[u8], read: &Result<String, String>) {
    let of_protobuf = Config::from_host(bytes.to_vec(), &RSA_CRATE);
    if let Ok(config) = &of_protobuf {
        has_its_keys(&config.policy);
    }
    match PluginConfiguration::find(bytes) {
        Ok(found) => {
            let judged = found.config();
            if found.place.is_empty() && found.json == bytes {
                let judged = judged.map(shown).map_err(|error| error.to_string());
                assert_eq!(judged.is_ok(), read.is_ok(), "{judged:?}, {read:?}");
                assert!(judged.is_err() || judged == *read);
            }
        }
        Err(error) => {
            // A policy that the filter takes is found, unless it looks like a file of something else.
            let error = error.to_string();
            assert!(error.len() < 4_000, "{error}");
        }
    }
}

fn read(config: Result<Config, zonegate::config::ConfigError>) -> Result<String, String> {
    match config {
        Ok(config) => {
            has_its_keys(&config.policy);
            Ok(shown(config))
        }
        Err(error) => Err(error.to_string()),
    }
}

/// Policy, warnings and generation, as text.
fn shown(config: Config) -> String {
    let Config { policy, warnings, generation } = config;
    let warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    format!("{policy:?} {warnings:?} {generation:?}")
}

/// Every way to connect with a token has a key that can verify one.
fn has_its_keys(policy: &Policy) {
    match &policy.profile {
        Profile::GlobalKds(_) => assert!(policy.issuers.has_keys(Kind::ZoneToken)),
        Profile::DpServer(server) => {
            for proxy in ProxyType::ALL {
                match server.proxies.admission(proxy) {
                    Admission::Token(kind) => assert!(policy.issuers.has_keys(kind), "{proxy}"),
                    Admission::Pass => assert_eq!(proxy, ProxyType::Dataplane),
                    Admission::Deny => {}
                }
            }
        }
    }
}

fn is_exact(value: &Value, depth: &Cell<usize>) -> bool {
    depth.set(depth.get() + 1);
    let is_exact = depth.get() < DEPTH
        && match value {
            Value::Null | Value::Bool(_) | Value::String(_) => true,
            Value::Number(number) => number.as_f64().is_some_and(|number| number.abs() < EXACT),
            Value::Array(items) => items.iter().all(|item| is_exact(item, depth)),
            Value::Object(fields) => fields.values().all(|field| is_exact(field, depth)),
        };
    depth.set(depth.get() - 1);
    is_exact
}
