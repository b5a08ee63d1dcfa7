//! `zonegate inspect`.
//!
//! In: one token or many. Out: the contents of the token, marked as UNVERIFIED, and its faults; or a list of many
//! tokens. No key is needed, and nothing is verified: `zonegate verify` does that.

mod faults;
mod list;
mod report;
mod table;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use list::List;
use report::Report;
pub(super) use report::likely_kind;
use zonegate::gate::UnixTime;

use super::failure::{BadInput, bad_input};
use super::output::print;
use super::output_value::Format;
use super::time;
use super::token_text::TokenText;

const EXAMPLES: &str = "\
Several tokens, and the files of a folder and of the folders below it, are listed in the order in which they expire.

Exit code: 0 if all tokens can be read, 2 if a token is broken (its readable parts are shown), 1 if
--expiring-within finds a token.

Examples:
  $ zonegate inspect east.token
  $ kumactl generate zone-token --zone east --valid-for 24h | zonegate inspect -
  $ zonegate inspect east.token -o json | jq -r .id
  $ zonegate inspect /etc/kuma/tokens
  $ zonegate inspect /etc/kuma/tokens --expiring-within 30d > expiring.txt || mail -s tokens ops < expiring.txt";

/// Show what a token says, without checking its signature
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Inspect {
    /// The token, a file that holds it, a folder of such files, or - for standard input
    #[arg(value_name = "TOKEN", required = true)]
    tokens: Vec<OsString>,
    /// List only tokens that expire within this time, or have expired: 30d, 12h
    #[arg(long, value_name = "DURATION", value_parser = time::span)]
    expiring_within: Option<Duration>,
    /// Show dates relative to this time, RFC 3339 or seconds since 1970 [default: now]
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    at: Option<UnixTime>,
    /// Output format
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = Format::Table)]
    output: Format,
}

impl Inspect {
    /// Shows the token or the list.
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let Self { tokens, expiring_within, at, output } = self;
        let now = at.unwrap_or_else(time::now);
        match &tokens[..] {
            [token] if expiring_within.is_none() && !Path::new(token).is_dir() => {
                Self::one(&TokenText::of(token.clone()), now, output)
            }
            _ => Self::many(&tokens, expiring_within, now, output),
        }
    }

    fn many(
        args: &[OsString],
        expiring_within: Option<Duration>,
        now: UnixTime,
        output: Format,
    ) -> anyhow::Result<ExitCode> {
        let mut list = List::read(args, now)?;
        let fault = list.fault().map(|(place, fault)| (place.to_owned(), fault.to_owned()));
        if let Some(span) = expiring_within {
            list.keep_expiring(now, span);
        }
        let text = match output {
            Format::Table if list.is_empty() && expiring_within.is_some() => String::new(),
            Format::Table => list.to_table(),
            Format::Json => list.to_output_value().to_json(),
            Format::Yaml => list.to_output_value().to_yaml(),
        };
        print(&text).context("could not write to standard output")?;
        match fault {
            Some((place, fault)) => Ok(broken(&place, fault)),
            None if expiring_within.is_some() && !list.is_empty() => Ok(ExitCode::FAILURE),
            None => Ok(ExitCode::SUCCESS),
        }
    }

    fn one(token: &TokenText, now: UnixTime, output: Format) -> anyhow::Result<ExitCode> {
        let text = token.read()?;
        let report = Report::of(&text, now);
        print(&shown(&report, output)).context("could not write to standard output")?;
        match report.faults.first() {
            None => Ok(ExitCode::SUCCESS),
            Some(fault) => Ok(broken(&token.name(), fault.clone())),
        }
    }
}

fn broken(place: &str, fault: String) -> ExitCode {
    bad_input(&anyhow::anyhow!(fault).context(BadInput(format!("{place} is broken"))))
}

fn shown(report: &Report, output: Format) -> String {
    match output {
        Format::Table => table::of(report),
        Format::Json => report.to_output_value().to_json(),
        Format::Yaml => report.to_output_value().to_yaml(),
    }
}

#[cfg(test)]
mod tests {

    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use proptest::prelude::*;

    use super::*;

    /// Whether a character acts on a terminal, or hides or reorders its neighbours. The list of characters here is not
    /// the one under test.
    fn is_odd(rune: char) -> bool {
        rune != '\n' && rune.is_control()
            || matches!(
                rune,
                '\u{ad}'
                    | '\u{61c}'
                    | '\u{200b}'..='\u{200f}'
                    | '\u{2028}'..='\u{202e}'
                    | '\u{2060}'..='\u{206f}'
                    | '\u{feff}'
                    | '\u{fff9}'..='\u{fffb}'
                    | '\u{e0000}'..='\u{e007f}'
            )
    }

    /// Shows `token` in every form, and checks that the output is harmless.
    fn show(token: &[u8]) -> Result<Report, TestCaseError> {
        let report = Report::of(token, UnixTime::from_secs(1_800_000_000));
        for format in [Format::Table, Format::Json, Format::Yaml] {
            let text = shown(&report, format);
            // The colours come from the tool itself.
            let text = anstream::adapter::strip_str(&text).to_string();
            let odd = text.chars().find(|rune| is_odd(*rune));
            prop_assert_eq!(odd, None, "{}", text);
        }
        Ok(report)
    }

    fn segment() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![any::<Vec<u8>>(), any::<String>().prop_map(String::into_bytes), json()]
    }

    /// JSON with names that are read, odd characters, odd numbers and some depth.
    fn json() -> impl Strategy<Value = Vec<u8>> {
        let name = prop_oneof![
            proptest::sample::select(vec![
                "Zone", "SCOPE", "exp", "nbf", "iat", "jti", "alg", "kid"
            ])
            .prop_map(str::to_owned),
            any::<String>(),
        ];
        let leaf = prop_oneof![
            any::<String>().prop_map(|text| serde_json::json!(text).to_string()),
            "[\u{7f}-\u{ad}\u{200b}-\u{206f}\u{feff}\u{e0000}-\u{e007f}]{1,8}"
                .prop_map(|text| serde_json::json!(text).to_string()),
            any::<f64>().prop_map(|number| serde_json::json!(number).to_string()),
            any::<i64>().prop_map(|number| number.to_string()),
            proptest::sample::select(vec!["1e999", "-0", "null", "true", r#""\ud800""#])
                .prop_map(str::to_owned),
        ];
        let value = leaf.prop_recursive(4, 32, 4, |inner| {
            proptest::collection::vec(inner, 0..4)
                .prop_map(|items| format!("[{}]", items.join(",\r\n")))
        });
        proptest::collection::vec((name, value), 0..6).prop_map(|fields| {
            let fields =
                fields.iter().map(|(name, value)| format!("{}:{value}", serde_json::json!(name)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(",\t")).into_bytes()
        })
    }

    proptest! {
        #[test]
        fn anything_is_shown_harmlessly(token in any::<Vec<u8>>()) {
            show(&token)?;
        }

        #[test]
        fn any_segments_are_shown_harmlessly(
            header in segment(), claims in segment(), signature in any::<Vec<u8>>(),
        ) {
            let token = [header, claims, signature].map(|bytes| URL_SAFE_NO_PAD.encode(bytes));
            show(token.join(".").as_bytes())?;
        }

        /// Claims in JSON are shown completely, and read back the same.
        #[test]
        fn claims_in_json_are_shown(claims in json()) {
            let token = format!("e30.{}.AAAA", URL_SAFE_NO_PAD.encode(&claims));
            let report = show(token.as_bytes())?;
            let shown = report.claims_json.map(|value| value.to_json());
            prop_assert!(shown.is_some());
            let again = crate::cli::output_value::OutputValue::from_json(&shown.unwrap_or_default());
            let text = zonegate::go_json::normalise(&claims).unwrap_or_default().into_owned();
            prop_assert_eq!(again, crate::cli::output_value::OutputValue::from_json(&text));
        }
    }
}
