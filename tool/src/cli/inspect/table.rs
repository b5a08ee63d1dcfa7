//! A report as a table for people.
//!
//! In: a [`Report`]. Out: lines with a name and a value, with every value escaped.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use zonegate::credential::{ClaimValue, Claims};

use super::report::{Report, UNVERIFIED};
use crate::cli::output_value::OutputValue;
use crate::cli::printable::one_line;
use crate::cli::time;

const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const FAULT: Style = AnsiColor::Red.on_default();
const TITLE: Style = Style::new().bold();

/// The report as lines.
pub(super) fn of(report: &Report) -> String {
    let mut table = Table(format!("{WARNING}{UNVERIFIED}{WARNING:#}\n\n"));
    table.summary(report);
    table.segment("Header", report.header_json.as_ref());
    table.segment("Claims", report.claims_json.as_ref());
    for fault in &report.faults {
        table.line(&format!("{FAULT}broken:{FAULT:#} {}", one_line(fault)));
    }
    for note in &report.notes {
        table.line(&format!("{WARNING}note:{WARNING:#} {}", one_line(note)));
    }
    table.0.trim_end().to_owned() + "\n"
}

struct Table(String);

impl Table {
    fn summary(&mut self, report: &Report) {
        let claims = report.registered.as_ref();
        let date = |date| format!("{} ({})", time::relative(date, report.now), time::line(date));
        let or = |text: &str, empty: &str| match text {
            "" => empty.to_owned(),
            text => text.to_owned(),
        };
        self.row("kind", Some(report.kind.to_owned()));
        self.row("ID (jti)", claims.map(|claims| or(&claims.id, "none")));
        self.row("key (kid)", report.kid.clone());
        if report.kind != "unknown" {
            for (name, value) in report.claims.iter().flat_map(Claims::members) {
                let value = match value {
                    ClaimValue::Text(text) => or(text, "any"),
                    ClaimValue::List(list) => or(&list.join(", "), "none"),
                };
                self.row(name, Some(value));
            }
        }
        self.row("issued", report.issued_at.map(date));
        self.row("not before", claims.and_then(|claims| claims.not_before).map(date));
        self.row(
            "expires",
            claims.map(|claims| claims.expires_at.map_or("never".to_owned(), date)),
        );
        self.row("signature", report.signature_bytes.map(|length| format!("{length} bytes")));
        self.0.push('\n');
    }

    fn segment(&mut self, title: &str, json: Option<&OutputValue>) {
        if let Some(json) = json {
            self.line(&format!("{TITLE}{title}{TITLE:#}\n{}", json.to_json()));
        }
    }

    fn row(&mut self, name: &str, value: Option<String>) {
        if let Some(value) = value {
            self.line(&format!("{name:<12}{}", one_line(&value)));
        }
    }

    fn line(&mut self, line: &str) {
        // Writing to a String does not fail.
        let _ = writeln!(self.0, "{line}");
    }
}
