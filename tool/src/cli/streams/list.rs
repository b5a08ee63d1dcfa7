//! Open streams for people and for programs.
//!
//! In: lines of the access log about open streams. Out: the selected streams, as a table or as values. Text from a
//! token is escaped.

use std::cmp::Reverse;
use std::time::Duration;

use zonegate::credential::Kind;
use zonegate::gate::UnixTime;
use zonegate::token::NumericDate;

use super::Sort;
use crate::access_log::{Line, TokenFacts};
use crate::cli::columns::columns;
use crate::cli::output_value::OutputValue;
use crate::cli::printable::one_line;
use crate::cli::time;

/// A selection of streams. A stream must meet all conditions.
pub(super) struct Wanted<'a> {
    pub(super) kid: Option<&'a str>,
    pub(super) expiring_within: Option<Duration>,
    pub(super) would_be_denied: bool,
}

/// Open streams at a time.
pub(super) struct List {
    streams: Vec<Line>,
    now: UnixTime,
}

impl Wanted<'_> {
    /// Whether every stream is selected.
    pub(super) fn is_all(&self) -> bool {
        let Self { kid, expiring_within, would_be_denied } = self;
        kid.is_none() && expiring_within.is_none() && !would_be_denied
    }

    fn has(&self, line: &Line, now: UnixTime) -> bool {
        let token = line.token.as_ref();
        let is_of_kid = |kid: &str| token.is_some_and(|token| token.kid == kid);
        let is_soon = |span: Duration| {
            expires(line).is_some_and(|date| UnixTime::from(date) <= now.saturating_add(span))
        };
        self.kid.is_none_or(is_of_kid)
            && self.expiring_within.is_none_or(is_soon)
            && (!self.would_be_denied || would_be_denied(line))
    }
}

impl List {
    pub(super) fn of(streams: impl Iterator<Item = Line>, now: UnixTime) -> Self {
        Self { streams: streams.collect(), now }
    }

    /// Keeps only the selected streams.
    pub(super) fn keep(&mut self, wanted: &Wanted<'_>) {
        let now = self.now;
        self.streams.retain(|line| wanted.has(line, now));
    }

    pub(super) fn sort(&mut self, by: Sort) {
        // Tokens that never expire come last.
        let expires = |line: &Line| {
            let date = expires(line);
            (date.is_none(), date, line.began, line.key.clone())
        };
        let kid = |line: &Line| line.token.as_ref().map(|token| token.kid.clone());
        match by {
            Sort::Expires => self.streams.sort_by_cached_key(expires),
            Sort::Kid => self.streams.sort_by_cached_key(|line| {
                let kid = kid(line);
                (Reverse(kid.is_some()), kid, expires(line))
            }),
            Sort::Since => {
                self.streams.sort_by_cached_key(|line| (line.began, line.key.clone()));
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// The list for people. `says_none`: whether a text says that the list is empty.
    pub(super) fn to_table(&self, says_none: bool) -> String {
        if self.is_empty() {
            let none = "no stream is open that began more than a minute ago\n";
            return if says_none { none.to_owned() } else { String::new() };
        }
        let head = ["EXPIRES", "", "KIND", "FOR", "KID", "ID", "SINCE", "PEER", "VERDICT"];
        let mut rows = vec![head.map(str::to_owned)];
        rows.extend(self.streams.iter().map(|line| self.row(line)));
        columns(&rows)
    }

    fn row(&self, line: &Line) -> [String; 9] {
        let nobody = TokenFacts::default();
        let token = line.token.as_ref().unwrap_or(&nobody);
        let [date, when] = match (token.expires_at, line.token.is_some()) {
            (Some(date), _) => [utc(date), time::relative(date, self.now)],
            (None, true) => ["never".to_owned(), String::new()],
            (None, false) => ["-".to_owned(), String::new()],
        };
        let since = utc(date_of(line.began));
        let [kind, holder] = [kind(line), holder(token)];
        let [kid, id, peer] = [&token.kid, &token.id, &line.peer].map(Clone::clone);
        [date, when, kind, holder, kid, id, since, peer, verdict(line)]
            .map(|cell| one_line(&cell).to_string())
    }

    /// The list for other programs.
    pub(super) fn to_output_value(&self) -> OutputValue {
        OutputValue::List(self.streams.iter().map(value).collect())
    }
}

fn value(line: &Line) -> OutputValue {
    let token = line.token.as_ref();
    let text = |text: &str| (!text.is_empty()).then(|| OutputValue::text(text));
    let of_token = |field: fn(&TokenFacts) -> &String| token.and_then(|token| text(field(token)));
    let date = |date: NumericDate| time::utc(date).map(OutputValue::Text);
    OutputValue::object([
        ("kind", of_token(|token| &token.kind)),
        ("zone", of_token(|token| &token.zone)),
        ("mesh", of_token(|token| &token.mesh)),
        ("name", of_token(|token| &token.name)),
        ("kid", of_token(|token| &token.kid)),
        ("id", of_token(|token| &token.id)),
        ("expiresAt", expires(line).and_then(date)),
        ("since", date(date_of(line.began))),
        ("lastSeen", date(date_of(line.seen))),
        ("peer", text(&line.peer)),
        ("path", text(&line.path)),
        ("verdict", line.verdict.as_deref().and_then(text)),
        ("reason", line.reason.as_deref().and_then(text)),
    ])
}

fn expires(line: &Line) -> Option<NumericDate> {
    line.token.as_ref()?.expires_at
}

/// The kind of token, as `zonegate inspect` names it.
fn kind(line: &Line) -> String {
    let Some(token) = &line.token else { return "-".to_owned() };
    match Kind::ALL.into_iter().find(|kind| kind.as_str() == token.kind) {
        Some(Kind::ZoneToken) => "zone token".to_owned(),
        Some(Kind::DataplaneToken) => "dataplane token".to_owned(),
        Some(Kind::ServiceAccountToken) => "service account token of Kubernetes".to_owned(),
        None => token.kind.clone(),
    }
}

/// The holder of the token, as far as the log has it.
fn holder(token: &TokenFacts) -> String {
    let parts = [&token.zone, &token.mesh, &token.name].map(String::as_str);
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    match parts.is_empty() {
        true if token.kind == Kind::ZoneToken.as_str() => "any".to_owned(),
        true => "-".to_owned(),
        false => parts.join(" "),
    }
}

fn would_be_denied(line: &Line) -> bool {
    line.verdict.as_deref() == Some("would_deny")
}

fn verdict(line: &Line) -> String {
    match (line.verdict.as_deref(), line.reason.as_deref()) {
        (Some("would_deny"), Some(reason)) => format!("would be denied: {reason}"),
        (Some("allow"), _) if line.token.is_none() => "allowed, unchecked".to_owned(),
        (Some("allow"), _) => "allowed".to_owned(),
        (None | Some("pending"), _) => "not judged yet".to_owned(),
        (Some(other), _) => other.to_owned(),
    }
}

fn date_of(time: UnixTime) -> NumericDate {
    NumericDate(i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
}

fn utc(date: NumericDate) -> String {
    time::utc(date).unwrap_or_else(|| date.0.to_string())
}
