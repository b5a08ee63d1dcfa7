//! Rules that revoke tokens by what they say.
//!
//! In: the rules as they are written. Out: [`RevocationRule`]s, or one error with its path. What a rule revokes is
//! not decided here.

use std::fmt;

use prost_types::Timestamp;
use serde::Deserialize;

use super::{ConfigError, Warning};
use crate::gate::{RevocationRule, UnixTime};
use crate::token::NumericDate;

/// More rules than an operator can keep in mind: every token is compared with each.
const MOST: usize = 1_000;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "an object", default)]
pub(super) struct RawRule {
    zone: Option<Box<str>>,
    mesh: Option<Box<str>>,
    name: Option<Box<str>>,
    kid: Option<Box<str>>,
    issued_before: Option<String>,
    until: Option<String>,
    note: Box<str>,
}

/// Reads them, with a warning of each that could never revoke anything.
pub(super) fn read(raw: Vec<RawRule>) -> Result<(Vec<RevocationRule>, Vec<Warning>), ConfigError> {
    if raw.len() > MOST {
        let problem = format_args!("{} rules: at most {MOST}", raw.len());
        return Err(ConfigError::new("revocationRules", problem));
    }
    let (mut rules, mut warnings) = (Vec::new(), Vec::new());
    for (index, rule) in raw.into_iter().enumerate() {
        let path = format!("revocationRules[{index}]");
        let rule = rule.read(&path)?;
        let ends_early = |(before, end): (NumericDate, UnixTime)| end < UnixTime::from(before);
        if rule.issued_before.zip(rule.until).is_some_and(ends_early) {
            warnings.push(Warning::RuleEndsEarly(path));
        }
        rules.push(rule);
    }
    Ok((rules, warnings))
}

impl RawRule {
    fn read(self, path: &str) -> Result<RevocationRule, ConfigError> {
        let Self { zone, mesh, name, kid, issued_before, until, note } = self;
        let error = |field: &str, problem: &dyn fmt::Display| {
            ConfigError::new(format!("{path}{field}"), problem)
        };
        for (field, value) in [(".zone", &zone), (".mesh", &mesh), (".name", &name), (".kid", &kid)]
        {
            if value.as_deref() == Some("") {
                return Err(error(field, &"must not be empty"));
            }
        }
        let says_nothing = [&zone, &mesh, &name, &kid].into_iter().all(Option::is_none);
        if says_nothing && issued_before.is_none() {
            return Err(error("", &"revokes nothing: give zone, mesh, name, kid or issuedBefore"));
        }
        if zone.is_some() && (mesh.is_some() || name.is_some()) {
            let problem = "no token has a zone and a mesh or a name: write two rules";
            return Err(error("", &problem));
        }
        let time = |field, value: Option<String>| {
            let read = |text: String| time(&text).ok_or_else(|| error(field, &NOT_A_TIME));
            value.map(read).transpose()
        };
        let issued_before = time(".issuedBefore", issued_before)?;
        let until = time(".until", until)?.map(UnixTime::from);
        Ok(RevocationRule { zone, mesh, name, kid, issued_before, until, note })
    }
}

const NOT_A_TIME: &str = "must be a time as in RFC 3339: \"2026-11-27T09:30:00Z\"";

/// RFC 3339, whole seconds.
fn time(text: &str) -> Option<NumericDate> {
    // The parser also takes a date alone, a time without an offset, and other characters between the two.
    let is_time =
        text.as_bytes().get(10) == Some(&b'T') && text.len() > "2026-11-27T09:30:00".len();
    let time = text.parse::<Timestamp>().ok().filter(|time| is_time && time.nanos == 0)?;
    Some(NumericDate(time.seconds))
}
