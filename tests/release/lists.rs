//! The lists of the components of each program (SBOMs).

use std::fs;

use serde_json::Value;

use crate::{VERSION, dist, json, root};

#[test]
#[ignore = "of a release: make test-release"]
fn each_list_has_what_the_program_is_built_of() {
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    for (name, has, lacks) in [
        ("zonegate-wasm", "proxy-wasm", "aws-lc-sys"),
        ("zonegate-native", "aws-lc-sys", "proxy-wasm"),
        ("zonegate-tool", "clap", "proxy-wasm"),
    ] {
        let list = json(&dist(&format!("{name}.cdx.json")));
        assert_eq!(list["bomFormat"], "CycloneDX");
        assert_eq!(list["metadata"]["component"]["name"], name);
        assert_eq!(list["metadata"]["component"]["version"], VERSION);
        let components = list["components"].as_array().unwrap();
        let names: Vec<&str> =
            components.iter().map(|component| component["name"].as_str().unwrap()).collect();
        assert!(names.contains(&"zonegate") && names.contains(&has), "{name}: {names:?}");
        assert!(!names.contains(&lacks), "{name} has {lacks}");
        for component in components {
            let text = |field: &str| component[field].as_str().unwrap_or_default();
            let locked =
                format!("name = \"{}\"\nversion = \"{}\"\n", text("name"), text("version"));
            assert!(lock.contains(&locked), "{name}: {locked}");
            assert!(text("purl").starts_with("pkg:cargo/"), "{component}");
        }
        assert_eq!(list["serialNumber"], Value::Null, "it would be another one each time");
        // The lists must not name the folder of the build.
        let here = root().canonicalize().unwrap();
        assert!(!list.to_string().contains(here.to_str().unwrap()), "{name}");
    }
}
