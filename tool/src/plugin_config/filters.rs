//! The filters in a file of Envoy, Istio or Envoy Gateway that may be Zonegate: wasm modules and dynamic modules.
//!
//! In: the file as one value. Out: each filter, the place of its configuration and its form. Whether a filter is
//! Zonegate, and what its configuration means, is not decided here.

use serde_json::{Map, Value};
use zonegate::text::Quoted;

/// A filter in a file.
pub(crate) struct Filter<'a> {
    /// The place of its configuration.
    pub(crate) place: String,
    /// Whether it has the name of the shipped files.
    pub(crate) is_named_zonegate: bool,
    /// The configuration, as in the file.
    pub(crate) configuration: Option<&'a Value>,
    pub(crate) form: Form,
    /// The object around it: Envoy's `PluginConfig`, or an object of Istio or Envoy Gateway. `None` for a dynamic
    /// module, which has no such settings.
    pub(crate) around: Option<&'a Value>,
}

/// The form of a filter's configuration.
pub(crate) enum Form {
    /// With `@type` (Envoy: `google.protobuf.Any`).
    Any,
    /// The plain configuration (Istio, Envoy Gateway).
    Plain,
}

/// Every such filter in `file`.
pub(crate) fn filters(file: &Value) -> Vec<Filter<'_>> {
    let mut found = Vec::new();
    match file.get("kind").and_then(Value::as_str) {
        Some("WasmPlugin") => found.push(plain(file, &["spec", "pluginConfig"])),
        Some("EnvoyExtensionPolicy") => {
            found.extend(extensions(file, "wasm"));
            // As with Envoy's own, the object around it does not matter.
            let modules = extensions(file, "dynamicModule");
            found.extend(modules.map(|filter| Filter { around: None, ..filter }));
        }
        // The list that kubectl prints for several objects.
        Some("List") => {
            let list = file.get("items").and_then(Value::as_array);
            for (index, item) in list.into_iter().flatten().enumerate() {
                found.extend(filters(item).into_iter().map(|filter| Filter {
                    place: format!("items[{index}].{}", filter.place),
                    ..filter
                }));
            }
        }
        _ => collect(file, "", &mut found),
    }
    found
}

/// The filters in this list of an EnvoyExtensionPolicy.
fn extensions<'a>(file: &'a Value, name: &str) -> impl Iterator<Item = Filter<'a>> {
    let list = file.pointer(&format!("/spec/{name}")).and_then(Value::as_array);
    list.into_iter().flatten().enumerate().map(move |(index, filter)| {
        let mut filter = plain(filter, &["config"]);
        filter.place.insert_str(0, &format!("spec.{name}[{index}]."));
        filter
    })
}

fn plain<'a>(object: &'a Value, path: &[&str]) -> Filter<'a> {
    let configuration = path.iter().try_fold(object, |value, name| value.get(name));
    let name = object.get("name").or_else(|| object.pointer("/metadata/name"));
    Filter {
        place: path.join("."),
        is_named_zonegate: name.and_then(Value::as_str) == Some(ZONEGATE),
        configuration,
        form: Form::Plain,
        around: Some(object),
    }
}

const ZONEGATE: &str = "zonegate";
const WASM: &str = "/envoy.extensions.filters.http.wasm.v3.Wasm";
const DYNAMIC: &str = "/envoy.extensions.filters.http.dynamic_modules.v3.DynamicModuleFilter";

/// Finds all such filters of Envoy in `value`. The reader of the file has limited its depth.
fn collect<'a>(value: &'a Value, place: &str, found: &mut Vec<Filter<'a>>) {
    match value {
        Value::Object(fields) => {
            if let Some((below, filter)) = of_type(WASM, fields) {
                found.push(envoys(filter, &format!("{place}{below}")));
                return;
            }
            if let Some((below, filter)) = of_type(DYNAMIC, fields) {
                found.push(dynamic(filter, &format!("{place}{below}")));
                return;
            }
            for (name, field) in fields.iter().filter(|(_, field)| is_container(field)) {
                collect(field, &join(place, name), found);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate().filter(|(_, item)| is_container(item)) {
                collect(item, &format!("{place}[{index}]"), found);
            }
        }
        _ => {}
    }
}

/// The filter that these fields make up, and its place in them: as a message of its own type, or in a `TypedStruct`,
/// which Istio's `EnvoyFilter` uses.
fn of_type<'a>(
    wanted: &str,
    fields: &'a Map<String, Value>,
) -> Option<(&'static str, &'a Map<String, Value>)> {
    let is_wanted = |name| {
        let type_url = fields.get(name).and_then(Value::as_str);
        type_url.is_some_and(|type_url| type_url.ends_with(wanted))
    };
    match () {
        () if is_wanted("@type") => Some(("", fields)),
        () if is_wanted("type_url") || is_wanted("typeUrl") => {
            Some((".value", fields.get("value")?.as_object()?))
        }
        () => None,
    }
}

fn envoys<'a>(filter: &'a Map<String, Value>, place: &str) -> Filter<'a> {
    let config = filter.get("config");
    let field = |name| config.and_then(|config| config.get(name));
    let is_ours = |name| field(name).and_then(Value::as_str) == Some(ZONEGATE);
    Filter {
        place: join(place, "config.configuration"),
        is_named_zonegate: ["name", "root_id", "rootId"].into_iter().any(is_ours),
        configuration: field("configuration"),
        form: Form::Any,
        around: config,
    }
}

fn dynamic<'a>(filter: &'a Map<String, Value>, place: &str) -> Filter<'a> {
    let field = |snake, camel| filter.get_key_value(snake).or_else(|| filter.get_key_value(camel));
    let name = field("filter_name", "filterName").and_then(|(_, name)| name.as_str());
    let configuration = field("filter_config", "filterConfig");
    Filter {
        place: join(place, configuration.map_or("filter_config", |(name, _)| name)),
        is_named_zonegate: name == Some(ZONEGATE),
        configuration: configuration.map(|(_, value)| value),
        form: Form::Any,
        around: None,
    }
}

fn is_container(value: &Value) -> bool {
    value.is_object() || value.is_array()
}

/// A path with one more name. A name that is not a plain word is quoted.
fn join(place: &str, name: &str) -> String {
    let is_plain = |rune: char| rune.is_ascii_alphanumeric() || "_-.@".contains(rune);
    match name.chars().all(is_plain) {
        true if place.is_empty() => name.to_owned(),
        true => format!("{place}.{name}"),
        false => format!("{place}[{}]", Quoted(name)),
    }
}

/// The files from which filters of `file` are configured (`config_discovery`).
pub(crate) fn watched_files(file: &Value) -> Vec<&str> {
    let mut paths = Vec::new();
    collect_watched(file, &mut paths);
    paths
}

fn collect_watched<'a>(value: &'a Value, paths: &mut Vec<&'a str>) {
    let either = |value: &'a Value, snake, camel| value.get(snake).or_else(|| value.get(camel));
    let path = either(value, "config_discovery", "configDiscovery")
        .and_then(|discovery| either(discovery, "config_source", "configSource"))
        .and_then(|source| either(source, "path_config_source", "pathConfigSource"))
        .and_then(|source| source.get("path"))
        .and_then(Value::as_str);
    paths.extend(path);
    match value {
        Value::Object(fields) => fields.values().for_each(|field| collect_watched(field, paths)),
        Value::Array(items) => items.iter().for_each(|item| collect_watched(item, paths)),
        _ => {}
    }
}
