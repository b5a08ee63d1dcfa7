//! Shows a judgement to people and to programs.
//!
//! In: a [`Judgement`]. Out: text. Text from the token is escaped.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use zonegate::credential::{ClaimValue, Kind, Token};
use zonegate::gate::{Caller, Check, Denial, Mode, Outcome, Permit, Refusal, RevocationRule};
use zonegate::text::Quoted;
use zonegate::token::{KeySet, NumericDate};

use super::judgement::{Judgement, Verdicts};
use super::proxy::Proxy;
use super::words::words;
use crate::cli::output_value::{OutputValue, claim_member};
use crate::cli::printable::one_line;
use crate::cli::time;
use crate::plugin_config::rules::{fields as fields_of_rule, words as words_of_rule};

const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const DIM: Style = Style::new().dimmed();

/// The judgement for people.
pub(super) fn table(judgement: &Judgement) -> String {
    let mut table = String::new();
    let mut row = |name: &str, value: String| {
        // Writing to a String does not fail.
        let _ = writeln!(table, "{name:<10}{value}");
    };
    let (style, verdict) = verdict(judgement);
    row("verdict", format!("{style}{verdict}{style:#} as {}", callers(judgement)));
    if let Some(refusal) = judgement.refusal() {
        let status = refusal.reason().status();
        row("reason", refusal.reason().to_string());
        row("detail", one_line(&judgement.detail().unwrap_or_default()));
        if let Some((place, rule)) = judgement.rule() {
            row("rule", one_line(&format!("revocationRules[{place}]: {}", words_of_rule(rule))));
        }
        row("reply", format!("gRPC {}, HTTP {}", status.grpc, status.http));
    }
    if let Some(kid) = unverified_kid(judgement) {
        row("kid", format!("{} (unverified)", Quoted(kid)));
    }
    if is_about_keys(judgement) {
        row("keys", keys_line(judgement));
    }
    if let Some(token) = judgement.token() {
        row("token", one_line(&token_line(token)));
    }
    if let Some(proxy) = compared_proxy(judgement) {
        row("proxy", one_line(&proxy_line(proxy)));
    }
    row("judged", time::line(at(judgement)));
    row("policy", one_line(&policy_line(judgement)));
    let _ = write!(table, "\n{}", checks(judgement));
    for note in notes(judgement) {
        let _ = writeln!(table, "note: {note}");
    }
    table
}

/// The judgement for programs.
pub(super) fn output_value(judgement: &Judgement) -> OutputValue {
    let refusal = judgement.refusal();
    let status = refusal.map(|refusal| refusal.reason().status());
    let policy = &judgement.config.policy;
    let notes = notes(judgement);
    OutputValue::object([
        ("verdict", Some(OutputValue::text(verdict(judgement).1))),
        ("reason", refusal.map(|refusal| OutputValue::text(refusal.reason().as_str()))),
        ("detail", judgement.detail().map(OutputValue::text)),
        ("rule", judgement.rule().map(|(place, rule)| rule_value(place, rule))),
        ("grpcStatus", status.map(|status| OutputValue::literal(status.grpc))),
        ("httpStatus", status.map(|status| OutputValue::literal(status.http))),
        ("unverifiedKid", unverified_kid(judgement).map(OutputValue::text)),
        ("configuredKids", is_about_keys(judgement).then(|| OutputValue::texts(kids(judgement)))),
        ("callers", Some(OutputValue::List(judgement.verdicts.iter().map(caller_value).collect()))),
        ("at", time::utc(at(judgement)).map(OutputValue::Text)),
        ("mode", Some(OutputValue::text(mode(policy.mode)))),
        ("token", judgement.token().map(token_value)),
        ("proxy", compared_proxy(judgement).map(proxy_value)),
        ("checks", Some(check_values(judgement))),
        ("notes", (!notes.is_empty()).then(|| OutputValue::texts(notes))),
    ])
}

fn verdict(judgement: &Judgement) -> (Style, &'static str) {
    match judgement.is_allowed() {
        true => (GOOD, "allowed"),
        false => (BAD, "denied"),
    }
}

/// The callers that are allowed, or denied.
fn callers(judgement: &Judgement) -> String {
    let (denied, allowed): (Vec<_>, Vec<_>) =
        judgement.verdicts.iter().partition(|(_, verdict)| verdict.is_err());
    let names = |list: &[&(Caller, Result<Permit, Denial>)]| {
        list.iter().map(|(caller, _)| caller.to_string()).collect::<Vec<_>>().join(" and ")
    };
    if allowed.is_empty() {
        return names(&denied);
    }
    let mut text = names(&allowed);
    for (caller, verdict) in denied {
        if let Err(Denial { refusal, .. }) = verdict {
            let _ = write!(text, ", but not as {caller}: {}", refusal.reason());
        }
    }
    text
}

/// The rule that revokes the token, with its index.
fn rule_value(place: usize, rule: &RevocationRule) -> OutputValue {
    let place = ("place", Some(OutputValue::text(format!("revocationRules[{place}]"))));
    let fields = fields_of_rule(rule);
    let fields = fields.into_iter().map(|(name, value)| (name, Some(OutputValue::text(value))));
    OutputValue::object([place].into_iter().chain(fields))
}

fn caller_value((caller, verdict): &(Caller, Result<Permit, Denial>)) -> OutputValue {
    let reason = verdict.as_ref().err().map(|denial| denial.refusal.reason());
    OutputValue::object([
        ("type", Some(OutputValue::text(caller.to_string()))),
        ("verdict", Some(OutputValue::text(if reason.is_none() { "allowed" } else { "denied" }))),
        ("reason", reason.map(|reason| OutputValue::text(reason.as_str()))),
    ])
}

fn at(judgement: &Judgement) -> NumericDate {
    NumericDate(i64::try_from(judgement.now.as_secs()).unwrap_or(i64::MAX))
}

fn token_line(token: &Token) -> String {
    let identity = &token.identity;
    let mut line = format!("ID {:?}, kid {:?}", identity.id, identity.kid);
    for (name, value) in token.claims.members() {
        let text = match value {
            ClaimValue::Text(text) => text.to_owned(),
            ClaimValue::List(list) => list.join(","),
        };
        // Writing to a String does not fail.
        let _ = write!(line, ", {name} {text:?}");
    }
    line
}

fn token_value(token: &Token) -> OutputValue {
    let identity = &token.identity;
    let date = |date: Option<NumericDate>| date.and_then(time::utc).map(OutputValue::Text);
    let first = [
        ("id", Some(OutputValue::text(&*identity.id))),
        ("kid", Some(OutputValue::text(&*identity.kid))),
    ];
    let last = [("notBefore", date(token.not_before)), ("expiresAt", date(identity.expires_at))];
    let members = token.claims.members().into_iter().map(claim_member);
    OutputValue::object(first.into_iter().chain(members).chain(last))
}

/// The kid of a token that no key has verified, if that is why it is refused.
fn unverified_kid(judgement: &Judgement) -> Option<&str> {
    judgement.denial()?.unverified_kid.as_deref().filter(|_| is_about_keys(judgement))
}

fn is_about_keys(judgement: &Judgement) -> bool {
    let check = judgement.refusal().map(Refusal::check);
    matches!(check, Some(Check::Key | Check::Signature))
}

/// The kids of the keys that might have signed the token, each after the mesh of the key.
fn kids(judgement: &Judgement) -> Vec<String> {
    let sets = judgement.config.policy.issuers.key_sets(judgement.kind());
    sets.flat_map(KeySet::labelled).map(|(label, _)| label.to_owned()).collect()
}

/// The most kids that are shown.
const FEW: usize = 10;

fn keys_line(judgement: &Judgement) -> String {
    let kids = kids(judgement);
    let shown: Vec<String> = kids.iter().take(FEW).map(|kid| Quoted(kid).to_string()).collect();
    match (kids.len(), kids.len().saturating_sub(FEW)) {
        (0, _) => "none is configured".to_owned(),
        (_, 0) => format!("{} configured", shown.join(", ")),
        (_, more) => format!("{} and {more} more configured", shown.join(", ")),
    }
}

/// The proxy, if it is compared with the token.
fn compared_proxy(judgement: &Judgement) -> Option<&Proxy> {
    let is_compared = match judgement.kind() {
        Kind::ZoneToken => false,
        Kind::DataplaneToken | Kind::ServiceAccountToken => true,
    };
    judgement.proxy.as_ref().filter(|_| is_compared)
}

fn proxy_line(proxy: &Proxy) -> String {
    let members = proxy.members();
    let members: Vec<String> =
        members.iter().map(|(name, text)| format!("{name} {text:?}")).collect();
    match proxy.assumed.as_slice() {
        [] => members.join(", "),
        assumed => {
            format!("{} (assumed, not given: {})", members.join(", "), assumed.join(", "))
        }
    }
}

fn proxy_value(proxy: &Proxy) -> OutputValue {
    let members = proxy.members().into_iter();
    let assumed = (!proxy.assumed.is_empty())
        .then(|| OutputValue::texts(proxy.assumed.iter().map(|name| (*name).to_owned())));
    OutputValue::object(
        members
            .map(|(name, text)| (name, Some(OutputValue::text(text))))
            .chain([("assumed", assumed)]),
    )
}

fn policy_line(judgement: &Judgement) -> String {
    let policy = &judgement.config.policy;
    let (keys, ids) = (policy.issuers.keys().count(), policy.issuers.revoked_ids());
    let zone = policy.zone().map_or("any zone".to_owned(), |zone| format!("zone {zone:?}"));
    let rules = match policy.revocation_rules.len() {
        0 => String::new(),
        rules => format!(", revocation rules: {rules}"),
    };
    format!("{zone}, keys: {keys}, revoked ids: {ids}{rules}, mode {}", mode(policy.mode))
}

fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Enforce => "enforce",
        Mode::Shadow => "shadow",
    }
}

fn checks(judgement: &Judgement) -> String {
    if let Some(Permit::Unchecked(_)) = judgement.permit() {
        return String::new();
    }
    let mut table = format!("{:<12}{:<13}{}\n", "CHECK", "RESULT", "HOLDS IF");
    for (check, outcome) in shown_checks(judgement) {
        let (style, result) = match outcome {
            Outcome::Passed => (GOOD, "passed"),
            Outcome::Failed => (BAD, "failed"),
            Outcome::NotReached => (DIM, "not reached"),
        };
        let (name, holds_if) = words(check, judgement);
        let _ = writeln!(table, "{name:<12}{style}{result:<13}{style:#}{holds_if}");
    }
    table
}

/// The checks to show. Path and first message are artificial and correct, so they are left out, unless the first
/// message fails. Without a check of the token there is nothing to show.
fn shown_checks(judgement: &Judgement) -> impl Iterator<Item = (Check, Outcome)> {
    let is_checked = !matches!(judgement.permit(), Some(Permit::Unchecked(_)));
    let checks = Check::outcomes(judgement.kind(), judgement.refusal());
    checks.filter(move |(check, outcome)| match check {
        Check::Path => false,
        Check::Message => *outcome == Outcome::Failed,
        _ => is_checked,
    })
}

fn check_values(judgement: &Judgement) -> OutputValue {
    let value = |(check, outcome): (Check, Outcome)| {
        let result = match outcome {
            Outcome::Passed => "passed",
            Outcome::Failed => "failed",
            Outcome::NotReached => "notReached",
        };
        let name = OutputValue::text(words(check, judgement).0);
        OutputValue::object([("name", Some(name)), ("result", Some(OutputValue::text(result)))])
    };
    OutputValue::List(shown_checks(judgement).map(value).collect())
}

fn notes(judgement: &Judgement) -> Vec<String> {
    let mut notes: Vec<_> = judgement.config.warnings.iter().map(ToString::to_string).collect();
    if judgement.config.policy.mode == Mode::Shadow && !judgement.is_allowed() {
        notes.push("mode shadow: the gateway counts and logs this, and lets it through".to_owned());
    }
    if let Some(Permit::Unchecked(_)) = judgement.permit() {
        notes.push("proxies.dataplane: pass: it goes through with any token, or none".to_owned());
    }
    if let Some(inner) = &judgement.inner {
        notes.push(format!("the token in it, alone, would be {}", inner_verdict(inner)));
    }
    notes
}

fn inner_verdict(verdicts: &Verdicts) -> String {
    let allowed: Vec<String> = verdicts
        .iter()
        .filter(|(_, verdict)| verdict.is_ok())
        .map(|(caller, _)| caller.to_string())
        .collect();
    match verdicts.first().and_then(|(_, verdict)| verdict.as_ref().err()) {
        Some(denial) if allowed.is_empty() => {
            format!(
                "denied: {}: {}",
                denial.refusal.reason(),
                one_line(&denial.refusal.to_string())
            )
        }
        _ => format!("allowed as {}", allowed.join(" and ")),
    }
}
