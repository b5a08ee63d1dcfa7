//! The environment of kuma-cp.
//!
//! In: its text, in any of its usual forms. Out: the variables by their names, or the first invalid line. The names and
//! values are not checked.

use std::collections::BTreeMap;

use super::ControlPlaneError;

/// Lines of `NAME=VALUE`, as `env` prints them and as systemd and Docker read them, or the same with a NUL after each,
/// as in `/proc/PID/environ`. Empty lines and comments are skipped.
pub(super) fn variables(text: &str) -> Result<BTreeMap<String, String>, ControlPlaneError> {
    let mut variables = BTreeMap::new();
    if text.contains('\0') {
        // The kernel's form: nothing is quoted, and a value may contain line feeds.
        for (index, variable) in text.split('\0').enumerate().filter(|(_, it)| !it.is_empty()) {
            let (name, value) =
                variable.split_once('=').ok_or(ControlPlaneError::Line(index.saturating_add(1)))?;
            variables.insert(name.to_owned(), value.to_owned());
        }
        return Ok(variables);
    }
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
        let (name, value) =
            line.split_once('=').ok_or(ControlPlaneError::Line(index.saturating_add(1)))?;
        variables.insert(name.trim().to_owned(), unquoted(value.trim()).to_owned());
    }
    Ok(variables)
}

fn unquoted(value: &str) -> &str {
    let within = |quote| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    within('"').or_else(|| within('\'')).unwrap_or(value)
}

/// Go's `strconv.ParseBool`.
pub(super) fn go_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}
