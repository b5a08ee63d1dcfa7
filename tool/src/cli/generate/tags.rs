//! Tags of a dataplane token on the command line, in the format of kumactl.
//!
//! In: `NAME=VALUE,VALUE`, once for each tag; or several tags in one argument, as a line of CSV (RFC 4180), where a tag
//! with several values is in quotes: `a=b,"c=d,e"`. Out: tags with their values. Names and values that no Dataplane can
//! have are refused. kumactl would issue a token for them that no proxy could use.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The name of a tag, and its values.
pub(in crate::cli) type Tag = (String, BTreeSet<String>);

/// Why an argument is not a list of tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) enum TagError {
    NoValue(String),
    Name(String),
    Value(String),
    Quotes,
}

impl fmt::Display for TagError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoValue(text) => {
                write!(f, "{text:?} has no value: use for example kuma.io/service=web,web-api")
            }
            Self::Name(name) => write!(f, "no Dataplane has a tag of the name {name:?}"),
            Self::Value(value) => write!(f, "no Dataplane has a tag with the value {value:?}"),
            Self::Quotes => f.write_str("the quotes do not fit together"),
        }
    }
}

impl std::error::Error for TagError {}

/// Reads one argument (kumactl: `StringToStringVar` of `spf13/pflag`, then a split at commas).
pub(in crate::cli) fn parse(text: &str) -> Result<Vec<Tag>, TagError> {
    match text.matches('=').count() {
        0 => Err(TagError::NoValue(text.to_owned())),
        1 => Ok(vec![tag(text.trim_matches('"'))?]),
        _ => fields(text)?.iter().map(|field| tag(field)).collect(),
    }
}

/// The tags of all arguments. If several arguments have the same tag, the last counts, as in kumactl.
pub(super) fn by_name(arguments: Vec<Vec<Tag>>) -> BTreeMap<String, BTreeSet<String>> {
    arguments.into_iter().flatten().collect()
}

fn tag(text: &str) -> Result<Tag, TagError> {
    let Some((name, values)) = text.split_once('=') else {
        return Err(TagError::NoValue(text.to_owned()));
    };
    if !is_tag_text(name, b"/") {
        return Err(TagError::Name(name.to_owned()));
    }
    match values.split(',').find(|value| !is_tag_text(value, b"")) {
        Some(value) => Err(TagError::Value(value.to_owned())),
        None => Ok((name.to_owned(), values.split(',').map(str::to_owned).collect())),
    }
}

/// Kuma: `tagNameCharacterSet` and `tagValueCharacterSet` in `pkg/core/resources/apis/mesh/validators.go`.
fn is_tag_text(text: &str, more: &[u8]) -> bool {
    let fits =
        |byte: u8| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte) || more.contains(&byte);
    !text.is_empty() && text.bytes().all(fits)
}

/// The fields of a line of CSV. Two quotes within quotes mean one quote, which no tag can have.
fn fields(line: &str) -> Result<Vec<String>, TagError> {
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        let (field, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').ok_or(TagError::Quotes)?,
            None => rest.split_at(rest.find(',').unwrap_or(rest.len())),
        };
        fields.push(field.to_owned());
        match (after.strip_prefix(','), after) {
            (Some(next), _) => rest = next,
            (None, "") => return Ok(fields),
            (None, _) => return Err(TagError::Quotes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(list: &[(&str, &[&str])]) -> Vec<Tag> {
        let owned = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
        list.iter().map(|(name, values)| ((*name).to_owned(), owned(values))).collect()
    }

    #[test]
    fn reads_what_kumactl_reads() {
        for (text, wanted) in [
            ("kuma.io/service=web", tags(&[("kuma.io/service", &["web"])])),
            ("kuma.io/service=web,web-api", tags(&[("kuma.io/service", &["web", "web-api"])])),
            ("a=b,b,a", tags(&[("a", &["a", "b"])])),
            ("\"a=b,c\"", tags(&[("a", &["b", "c"])])),
            ("a=b,c=d", tags(&[("a", &["b"]), ("c", &["d"])])),
            ("\"a=b,c\",d=e", tags(&[("a", &["b", "c"]), ("d", &["e"])])),
            ("d=e,\"a=b,c\"", tags(&[("d", &["e"]), ("a", &["b", "c"])])),
            ("a=1:2_3.4-5", tags(&[("a", &["1:2_3.4-5"])])),
        ] {
            assert_eq!(parse(text), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn refuses_what_kumactl_refuses_and_what_no_dataplane_has() {
        let no_value = |text: &str| TagError::NoValue(text.to_owned());
        let value = |text: &str| TagError::Value(text.to_owned());
        for (text, wanted) in [
            ("", no_value("")),
            ("web", no_value("web")),
            ("a=b,c,d=e", no_value("c")),
            ("a=b,", value("")),
            ("a=", value("")),
            ("=b", TagError::Name(String::new())),
            ("a b=c", TagError::Name("a b".to_owned())),
            ("a=b, c", value(" c")),
            ("a=*", value("*")),
            ("a=b/c", value("b/c")),
            ("a=é", value("é")),
            ("a=b=c", value("b=c")),
            ("\"a=b,c=d", TagError::Quotes),
            ("\"a=b\"c=d", TagError::Quotes),
            ("a=b,c=d,", no_value("")),
        ] {
            assert_eq!(parse(text), Err(wanted), "{text:?}");
        }
    }

    #[test]
    fn the_last_argument_for_a_tag_counts() {
        let arguments = vec![tags(&[("a", &["b"]), ("c", &["d"])]), tags(&[("a", &["e"])])];
        let wanted = tags(&[("a", &["e"]), ("c", &["d"])]).into_iter().collect();
        assert_eq!(by_name(arguments), wanted);
    }
}
