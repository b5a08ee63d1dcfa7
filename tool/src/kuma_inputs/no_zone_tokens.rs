//! Control planes that refuse zone tokens of proxies: those of Kuma 3.
//!
//! In: the response of a control plane's API at `/`, kuma-cp's own configuration or environment, or the ConfigMap
//! around it. Out: a [`NoZoneTokens`], or nothing without a sign of Kuma 3. A configuration has no release in it, so a
//! configuration of Kuma 3 without any of its new settings is not recognised.
//!
//! Kuma 3 makes zone proxies Dataplanes, which have dataplane tokens or service-account tokens, and its
//! dataplane server validates no zone token (its `UPGRADE.md`, "Zone proxies authenticate with a
//! dataplane token"). Its control planes still have a zone signing key and issue zone tokens.

use std::fmt;

use serde::Deserialize;
use serde_json::Value;

/// A control plane that refuses zone tokens of proxies, and the sign of that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoZoneTokens {
    sign: String,
}

/// The first major release that refuses them.
const MAJOR: u32 = 3;
/// Settings that are new in Kuma 3 (`pkg/config/multizone`); in 2.x it was `experimental.kdsEventBasedWatchdog`.
const SETTINGS: [&str; 2] =
    ["/multizone/zone/kds/eventBasedWatchdog", "/multizone/global/kds/eventBasedWatchdog"];
/// The same settings as variables.
const VARIABLES: [&str; 2] = [
    "KUMA_MULTIZONE_ZONE_KDS_EVENT_BASED_WATCHDOG_",
    "KUMA_MULTIZONE_GLOBAL_KDS_EVENT_BASED_WATCHDOG_",
];
/// Labels that Kuma's Helm chart puts on its objects (`deployments/charts/kuma/templates/_helpers.tpl`).
const LABELS: [&str; 2] = ["app.kubernetes.io/version", "helm.sh/chart"];

/// `pkg/api-server/index_endpoints.go`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Root {
    product: String,
    version: String,
    /// The release of Kuma, if it is another product.
    based_on_kuma: Option<String>,
}

impl NoZoneTokens {
    /// Judges by the API's response at `/`, which needs no authentication.
    pub fn of_api_root(body: &[u8]) -> Option<Self> {
        let root: Root = serde_json::from_slice(body).ok()?;
        let version = match root.based_on_kuma {
            Some(version) => version,
            None if root.product == "Kuma" => root.version,
            None => return None,
        };
        Self::of_version(&version)
    }

    fn of_version(text: &str) -> Option<Self> {
        let text = text.strip_prefix("kuma-").unwrap_or(text);
        let text = text.strip_prefix('v').unwrap_or(text);
        // The text is shown to the operator, so it must be harmless.
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+');
        let major: u32 = text.split_once('.')?.0.parse().ok()?;
        let is_shown = text.len() <= 60 && text.chars().all(is_plain);
        (major >= MAJOR && is_shown).then(|| Self { sign: format!("it is Kuma {text}") })
    }

    /// Judges by kuma-cp's own configuration.
    pub(super) fn of_settings(file: &Value) -> Option<Self> {
        let found = SETTINGS.into_iter().find(|path| file.pointer(path).is_some())?;
        let path = found.trim_start_matches('/').replace('/', ".");
        Some(Self { sign: format!("it has {path}, a setting of Kuma {MAJOR}") })
    }

    /// Judges by the names of the variables in kuma-cp's environment.
    pub(super) fn of_variables<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let is_new = |name: &&str| VARIABLES.iter().any(|prefix| name.starts_with(prefix));
        let name = names.into_iter().find(is_new)?;
        Some(Self { sign: format!("it has {name}, a setting of Kuma {MAJOR}") })
    }

    /// Judges by the labels of an object of Kuma's Helm chart.
    pub(super) fn of_labels(object: &Value) -> Option<Self> {
        let labels = object.pointer("/metadata/labels")?;
        let mut texts =
            LABELS.iter().filter_map(|name| labels.get(*name)).filter_map(Value::as_str);
        texts.find_map(Self::of_version)
    }
}

impl fmt::Display for NoZoneTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sign } = self;
        write!(
            f,
            "this control plane does not accept zone tokens ({sign}): from Kuma {MAJOR} on zone proxies are \
             Dataplanes, with dataplane tokens or service-account tokens, and a gate for zone tokens \
             refuses them"
        )
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_root_of_an_api_tells_the_release() {
        let told = |root: Value| NoZoneTokens::of_api_root(root.to_string().as_bytes());
        let kuma = |version: &str| told(json!({ "product": "Kuma", "version": version }));
        for version in ["3.0.0", "3.1.2", "v3.0.0", "4.0.0", "3.0.0-preview.v348b6528b"] {
            assert!(kuma(version).is_some(), "{version}");
        }
        for version in ["2.14.3", "0.0.0-preview.v1", "unknown", "3", "", "3.0.0\n", "30", "-3.0"] {
            assert_eq!(kuma(version), None, "{version}");
        }
        let other = |based_on: Value| json!({ "product": "Other", "version": "3.0.0", "basedOnKuma": based_on });
        assert_eq!(told(other(Value::Null)), None);
        assert_eq!(told(other(json!("2.14.3"))), None);
        assert!(told(other(json!("3.0.0"))).is_some());
        for text in ["", "[]", "<html>", r#"{"version":"3.0.0"}"#] {
            assert_eq!(NoZoneTokens::of_api_root(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_chart_tells_the_release_by_its_labels() {
        let of = |name: &str, text: &str| {
            NoZoneTokens::of_labels(&json!({ "metadata": { "labels": { name: text } } }))
        };
        assert!(of("app.kubernetes.io/version", "3.0.0").is_some());
        assert!(of("helm.sh/chart", "kuma-3.0.1").is_some());
        for (name, text) in [
            ("app.kubernetes.io/version", "2.14.3"),
            ("helm.sh/chart", "kuma-2.13.10"),
            ("helm.sh/chart", "another-3.0.0"),
            ("version", "3.0.0"),
        ] {
            assert_eq!(of(name, text), None, "{name}={text}");
        }
    }
}
