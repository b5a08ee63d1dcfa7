//! Files for a plain Envoy.
//!
//! In: a [`Plugin`]. Out: the text of a file, which the filter's own code has accepted and which reads back unchanged.
//! Whether Envoy finds the module at the path in the file is not checked.

use std::fmt;

use serde_json::Value;
use zonegate::config::ConfigError;

use super::Plugin;
use crate::readers::Document;

/// A shipped file, whose text around the policy is kept.
struct Template {
    text: &'static str,
    /// The line before the policy; the rest of the file is an example.
    value: &'static str,
    module: &'static str,
    /// The indentation of the policy.
    indent: &'static str,
    /// The path of the policy in the file.
    policy: &'static str,
}

/// The module in wasm.
const WASM: Template = Template {
    text: include_str!("../../../envoy/ecds/zonegate.yaml"),
    value: "        value:\n",
    module: "            filename: ",
    indent: "          ",
    policy: "/resources/0/typed_config/config/configuration/value",
};

/// The dynamic module.
const NATIVE: Template = Template {
    text: include_str!("../../../envoy/ecds/zonegate-native.yaml"),
    value: "      value:\n",
    module: "          filename: ",
    indent: "        ",
    policy: "/resources/0/typed_config/filter_config/value",
};

/// Why no file was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RenderError {
    /// The filter would refuse the policy.
    Refused(ConfigError),
    /// The written text would be read differently.
    NotReadBack,
}

impl fmt::Display for RenderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => write!(f, "the filter would refuse it: {error}"),
            Self::NotReadBack => f.write_str(
                "a value in it would be read differently from YAML: use --format plugin",
            ),
        }
    }
}

impl std::error::Error for RenderError {}

/// The plugin configuration alone, as JSON.
///
/// # Errors
/// [`RenderError::Refused`].
pub fn plugin_json(plugin: &Plugin) -> Result<String, RenderError> {
    plugin.check().map_err(RenderError::Refused)?;
    let text = serde_json::to_string_pretty(plugin).map_err(|_| RenderError::NotReadBack)?;
    Ok(text + "\n")
}

/// The file that Envoy watches, as `envoy/ecds/zonegate.yaml`. `module` is the path of the filter, if it is not
/// `/etc/zonegate/zonegate.wasm`. A path that ends in `.so` is a dynamic module, and the file is as
/// `envoy/ecds/zonegate-native.yaml`.
///
/// # Errors
/// See [`RenderError`].
pub fn ecds(plugin: &Plugin, module: Option<&str>) -> Result<String, RenderError> {
    plugin.check().map_err(RenderError::Refused)?;
    let template = match module {
        Some(path) if path.ends_with(".so") => NATIVE,
        _ => WASM,
    };
    let Template { value, module: place, indent, policy, .. } = template;
    let mut text = String::new();
    for line in template.text.split_inclusive('\n') {
        match module {
            Some(path) if line.starts_with(place) => {
                text.push_str(&format!("{place}{}\n", Value::from(path)));
            }
            _ => text.push_str(line),
        }
        if line == value {
            break;
        }
    }
    text.push_str(&indented(&yaml(plugin)?, indent));
    read_back(&text, policy, &plugin.to_json())?;
    Ok(text)
}

/// YAML that every Envoy reads in the same way: without folded text, and with quotes around every ambiguous word.
pub(crate) fn yaml(value: &impl serde::Serialize) -> Result<String, RenderError> {
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    serde_saphyr::to_string_with_options(value, options).map_err(|_| RenderError::NotReadBack)
}

/// `text` with `by` before every line that is not empty.
pub(crate) fn indented(text: &str, by: &str) -> String {
    let line =
        |line: &str| if line.trim().is_empty() { line.to_owned() } else { format!("{by}{line}") };
    text.split_inclusive('\n').map(line).collect()
}

/// Checks that `text` has `meant` at `pointer` in its first document.
pub(crate) fn read_back(text: &str, pointer: &str, meant: &Value) -> Result<(), RenderError> {
    let documents = Document::all(text).map_err(|_| RenderError::NotReadBack)?;
    match documents.first().and_then(|document| document.pointer(pointer)) {
        Some(read) if read == meant => Ok(()),
        _ => Err(RenderError::NotReadBack),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a test may panic
mod tests {
    use serde_json::json;

    use super::*;

    const KEY: &str = include_str!("../../../tests/data/key-1.pub.pem");

    fn plugin(revocations: &Value) -> Plugin {
        let base = json!({
            "zone": "no",
            "publicKeys": [{ "kid": "1", "key": KEY }],
            "revocations": revocations,
            "proxies": { "dataplane": "pass" },
            "leewaySeconds": 5,
        });
        Plugin::from_base(&base, "base").unwrap()
    }

    #[test]
    fn the_shipped_files_have_the_marks() {
        for Template { text, value, module, .. } in [WASM, NATIVE] {
            assert_eq!(text.matches(value).count(), 1);
            assert_eq!(text.matches(module).count(), 1);
        }
    }

    #[test]
    fn the_shipped_file_comes_back_out_with_this_policy() {
        let wasm = "config/vm_config/code/local/filename";
        let native = "dynamic_module_config/module/local/filename";
        for (template, file, place) in
            [(WASM, "/opt/m \"1\".wasm", wasm), (NATIVE, "/opt/m \"1\".so", native)]
        {
            let text = ecds(&plugin(&json!("a,b")), Some(file)).unwrap();
            assert!(text.starts_with("# The filter and its policy"), "{text}");
            assert!(text.contains("    -----BEGIN RSA PUBLIC KEY-----\n"), "{text}");
            let mut wanted: Value = serde_saphyr::from_str(template.text).unwrap();
            *wanted.pointer_mut(template.policy).unwrap() = plugin(&json!("a,b")).to_json();
            let place = format!("/resources/0/typed_config/{place}");
            *wanted.pointer_mut(&place).unwrap() = json!(file);
            assert_eq!(serde_saphyr::from_str::<Value>(&text).unwrap(), wanted);
        }
    }

    #[test]
    fn values_that_look_like_yaml_stay_what_they_are() {
        for hostile in [
            "a\n          zone: evil",
            "*a",
            "&a",
            "!b",
            "# c",
            "- d",
            "e: f",
            "{g}",
            "[h",
            "\"i",
            "'j'",
            "|",
            ">",
            "%k",
            "@l",
            "`m",
            "true",
            "null",
            "~",
            "1e3",
            "0x1",
            "1_000",
            "12:30:00",
            "2001-01-01",
            "",
            " n ",
            "\t",
            "o\r\np",
            "\u{0}",
            "\u{7f}",
            "\u{85}",
            "\u{2028}",
            "\u{feff}",
            "\u{1f600}",
            "---",
            "...",
            "q\n\n\n",
            "\n",
        ] {
            let plugin = plugin(&json!([hostile, "z".repeat(300)]));
            match ecds(&plugin, None) {
                Ok(text) => {
                    let read: Value = serde_saphyr::from_str(&text).unwrap();
                    assert_eq!(read.pointer(WASM.policy), Some(&plugin.to_json()), "{hostile:?}");
                }
                Err(error) => panic!("{hostile:?}: {error}"),
            }
        }
    }

    #[test]
    fn a_policy_that_the_filter_refuses_is_not_written() {
        let nothing = Plugin::from_base(&json!({}), "base").unwrap();
        let wanted = "the filter would refuse it: publicKeys: at least one key is required: proxies of type ingress connect with zoneToken";
        assert_eq!(plugin_json(&nothing).unwrap_err().to_string(), wanted);
        assert_eq!(ecds(&nothing, None).unwrap_err().to_string(), wanted);
    }
}
