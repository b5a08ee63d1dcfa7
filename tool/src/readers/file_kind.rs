//! The kind of a file that was given instead of another.
//!
//! In: a file. Out: its kind, by marks that every such file has, and advice. Whether the file is a good one of its kind
//! is not checked.

use std::fmt;

use serde_json::Value;

/// A known kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// kuma-cp's own configuration.
    KumaCp,
    /// A secret, of Kuma or of Kubernetes, or a list of them.
    Secrets,
    /// The values of Kuma's Helm chart.
    HelmValues,
    /// The output of kumactl or kubectl without `-o`.
    Table,
    /// A ConfigMap.
    ConfigMap,
    /// A policy for the filter, alone or in a file of Envoy.
    Policy,
    /// A PEM block.
    Pem,
    /// A private key.
    PrivateKey,
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KumaCp => {
                "it is kuma-cp's own configuration, which zonegate config render --kuma-cp-config reads"
            }
            Self::Secrets => {
                "it holds secrets of a control plane, which zonegate config render --secrets reads"
            }
            Self::HelmValues => {
                "it holds values of Kuma's Helm chart: give the configuration that the control plane \
                 has (its API shows it at /config, its ConfigMap holds it), or its environment with \
                 --kuma-cp-env"
            }
            Self::Table => "it is a table for people: ask kumactl or kubectl for it with -o yaml",
            Self::ConfigMap => "it is a ConfigMap, and no file in it is what is asked for",
            Self::Policy => "it is a policy for the gate, which zonegate config render --base reads",
            Self::PrivateKey => {
                "it is a private key: give its public half (zonegate generate public-key) with \
                 --public-key KID=FILE"
            }
            Self::Pem => "it is a PEM block, which is given with --public-key KID=FILE",
        })
    }
}

impl FileKind {
    /// The kind of a file that was read.
    pub(crate) fn of(file: &Value) -> Option<Self> {
        let fields = file.as_object()?;
        let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
        let has = |names: &[&str]| names.iter().any(|name| fields.contains_key(*name));
        let is_secret = |kind: &str| matches!(kind, "Secret" | "GlobalSecret");
        let items = fields.get("items").and_then(Value::as_array);
        let holds_secrets = items.and_then(|items| items.first()).is_some_and(|item| {
            let of = |name| item.get(name).and_then(Value::as_str).unwrap_or_default();
            is_secret(of("kind")) || is_secret(of("type"))
        });
        match () {
            () if is_secret(text("kind")) || (is_secret(text("type")) && has(&["name"])) => {
                Some(Self::Secrets)
            }
            () if holds_secrets => Some(Self::Secrets),
            () if text("kind") == "ConfigMap" => Some(Self::ConfigMap),
            () if has(&["publicKeys", "resources", "static_resources", "configs"]) => {
                Some(Self::Policy)
            }
            () if has(KUMA_CP) => Some(Self::KumaCp),
            () if is_helm(fields.get("controlPlane")) => Some(Self::HelmValues),
            () if fields.get("kuma").is_some_and(|kuma| is_helm(kuma.get("controlPlane"))) => {
                Some(Self::HelmValues)
            }
            () => None,
        }
    }

    /// The kind of a text that is neither YAML nor JSON with fields.
    pub(crate) fn of_text(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?.trim_start();
        if text.starts_with("-----BEGIN ") {
            let is_private = text.lines().next()?.contains("PRIVATE KEY");
            return Some(if is_private { Self::PrivateKey } else { Self::Pem });
        }
        let head: Vec<&str> = text.lines().next()?.split_whitespace().collect();
        let is_head =
            |word: &&str| word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
        (head.len() > 1 && head.contains(&"NAME") && head.iter().all(is_head))
            .then_some(Self::Table)
    }
}

/// Top-level fields of kuma-cp's file (`pkg/config/app/kuma-cp`), which no other file has.
const KUMA_CP: &[&str] = &[
    "apiServer",
    "bootstrapServer",
    "dpServer",
    "monitoringAssignmentServer",
    "multizone",
    "xdsServer",
];

fn is_helm(value: Option<&Value>) -> bool {
    value.is_some_and(Value::is_object)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn files_are_told_by_their_marks() {
        for (file, wanted) in [
            (json!({ "mode": "zone", "dpServer": {} }), Some(FileKind::KumaCp)),
            (json!({ "kind": "Secret", "data": {} }), Some(FileKind::Secrets)),
            (json!({ "type": "GlobalSecret", "name": "x" }), Some(FileKind::Secrets)),
            (json!({ "items": [{ "type": "GlobalSecret" }] }), Some(FileKind::Secrets)),
            (json!({ "controlPlane": { "mode": "zone" } }), Some(FileKind::HelmValues)),
            (json!({ "kuma": { "controlPlane": {} } }), Some(FileKind::HelmValues)),
            (json!({ "kind": "ConfigMap" }), Some(FileKind::ConfigMap)),
            (json!({ "publicKeys": [] }), Some(FileKind::Policy)),
            (json!({ "zone": "z" }), None),
            (json!("text"), None),
        ] {
            assert_eq!(FileKind::of(&file), wanted, "{file}");
        }
        for (text, wanted) in [
            ("MESH      NAME    AGE\ndefault   x       1h\n", Some(FileKind::Table)),
            ("NAME                     AGE\n", Some(FileKind::Table)),
            ("-----BEGIN RSA PUBLIC KEY-----\n", Some(FileKind::Pem)),
            ("id1,id2", None),
            ("NAME", None),
        ] {
            assert_eq!(FileKind::of_text(text.as_bytes()), wanted, "{text}");
        }
    }
}
