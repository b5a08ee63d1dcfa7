//! The contents of a token, read as the gate would read them, but unverified.
//!
//! In: the text and the time. Out: a [`Report`], and the same as an [`OutputValue`] for other programs. Nothing in it
//! is escaped yet, and no signature is checked.

use zonegate::credential::{Claims, Kind};
use zonegate::gate::UnixTime;
use zonegate::go_json::{fold_name, members, normalise};
use zonegate::token::{NumericDate, Registered, Segment, Unverified};

use super::faults::{faults, refused_header};
use crate::cli::output_value::{OutputValue, claim_member};
use crate::cli::pasted::Pasted;
use crate::cli::time;

/// The contents of a token.
pub(super) struct Report {
    /// The time that dates are relative to.
    pub(super) now: UnixTime,
    /// The kind of token that its claims look like.
    pub(super) kind: &'static str,
    /// The kid, if the gate would read the header.
    pub(super) kid: Option<String>,
    /// The claims of every kind of token, if the gate would read them.
    pub(super) registered: Option<Registered>,
    /// The claims of its kind.
    pub(super) claims: Option<Claims>,
    /// `iat`, which the gate does not use.
    pub(super) issued_at: Option<NumericDate>,
    /// The header, as JSON.
    pub(super) header_json: Option<OutputValue>,
    /// The claims, as JSON.
    pub(super) claims_json: Option<OutputValue>,
    /// The length of the signature.
    pub(super) signature_bytes: Option<usize>,
    /// The faults of the token itself.
    pub(super) faults: Vec<String>,
    /// Other things that the operator may want to know.
    pub(super) notes: Vec<String>,
}

/// The first line of the output.
pub(super) const UNVERIFIED: &str =
    "UNVERIFIED: the signature was not checked; anyone can write this";

impl Report {
    /// Reads `text`, with times relative to `now`.
    pub(super) fn of(text: &[u8], now: UnixTime) -> Self {
        let pasted = Pasted::read(text);
        let token = Unverified::new(&pasted.token);
        let claims_text = json_text(token, Segment::Claims);
        let kind = claims_text.as_deref().map_or("unknown", kind);
        let read = read_as(kind).read_unverified(token).and_then(Result::ok);
        let (registered, claims) = read.unzip();
        Self {
            now,
            kind,
            kid: token.kid(read_as(kind).algorithms()).ok(),
            notes: notes(token, read_as(kind), registered.as_ref(), now),
            registered,
            issued_at: claims_text.as_deref().and_then(issued_at),
            claims,
            header_json: json_text(token, Segment::Header)
                .as_deref()
                .and_then(OutputValue::from_json),
            claims_json: claims_text.as_deref().and_then(OutputValue::from_json),
            signature_bytes: token
                .decoded(Segment::Signature)
                .and_then(Result::ok)
                .map(|bytes| bytes.len()),
            faults: faults(text, token, read_as(kind)),
        }
    }

    /// The report for other programs.
    pub(super) fn to_output_value(&self) -> OutputValue {
        let registered = self.registered.as_ref();
        let text = |text: &String| OutputValue::text(text.clone());
        let date = |date: NumericDate| self.date(date);
        let strings = |list: &[String]| (!list.is_empty()).then(|| OutputValue::texts(list));
        let members = self.claims.iter().flat_map(Claims::members).map(claim_member);
        let first = [
            ("verified", Some(OutputValue::literal(false))),
            ("warning", Some(OutputValue::text(UNVERIFIED))),
            ("kind", Some(OutputValue::text(self.kind))),
            ("id", registered.map(|registered| text(&registered.id))),
            ("kid", self.kid.as_ref().map(text)),
        ];
        let last = [
            ("issuedAt", self.issued_at.map(date)),
            ("notBefore", registered.and_then(|registered| registered.not_before).map(date)),
            ("expiresAt", registered.and_then(|registered| registered.expires_at).map(date)),
            ("header", self.header_json.clone()),
            ("claims", self.claims_json.clone()),
            ("signatureBytes", self.signature_bytes.map(OutputValue::literal)),
            ("notes", strings(&self.notes)),
            ("faults", strings(&self.faults)),
        ];
        OutputValue::object(first.into_iter().chain(members).chain(last))
    }

    fn date(&self, date: NumericDate) -> OutputValue {
        OutputValue::object([
            ("seconds", Some(OutputValue::literal(date.0))),
            ("utc", time::utc(date).map(OutputValue::Text)),
            ("local", time::local(date).map(OutputValue::Text)),
            ("relative", Some(OutputValue::text(time::relative(date, self.now)))),
        ])
    }
}

/// The kind of token that the unverified claims look like. `None` for a kind that no gate judges, or for a text that is
/// not a token.
pub(in crate::cli) fn likely_kind(token: Unverified<'_>) -> Option<Kind> {
    let claims = json_text(token, Segment::Claims)?;
    match kind(&claims) {
        DATAPLANE => Some(Kind::DataplaneToken),
        SERVICE_ACCOUNT => Some(Kind::ServiceAccountToken),
        ZONE => Some(Kind::ZoneToken),
        _ => None,
    }
}

/// The kind of token as which the claims are read.
fn read_as(kind: &str) -> Kind {
    match kind {
        DATAPLANE => Kind::DataplaneToken,
        SERVICE_ACCOUNT => Kind::ServiceAccountToken,
        _ => Kind::ZoneToken,
    }
}

const ZONE: &str = "zone token";
const DATAPLANE: &str = "dataplane token";
const SERVICE_ACCOUNT: &str = "service account token of Kubernetes";

/// A segment as the JSON text that Go would read.
fn json_text(token: Unverified<'_>, segment: Segment) -> Option<String> {
    let bytes = token.decoded(segment)?.ok()?;
    normalise(&bytes).ok().map(std::borrow::Cow::into_owned)
}

/// `iat`, read as the gate reads `nbf`.
fn issued_at(claims: &str) -> Option<NumericDate> {
    let members = members(claims).ok()?;
    let (_, value) = members.iter().filter(|(name, _)| fold_name(name) == "iat").last()?;
    NumericDate::from_json(value)
}

/// The name of the kind of token, also of other kinds that Kuma issues (`pkg/tokens/builtin`, `pkg/plugins/authn`), by
/// the names of the claims.
fn kind(claims: &str) -> &'static str {
    let Ok(members) = members(claims) else { return "unknown" };
    let has = |wanted: &str| members.iter().any(|(name, _)| fold_name(name) == wanted);
    match () {
        () if has("kubernetes.io") || has("kubernetes.io/serviceaccount/namespace") => {
            SERVICE_ACCOUNT
        }
        () if has("mesh") => DATAPLANE,
        () if has("groups") => "user token",
        () if has("zone") || has("scope") => ZONE,
        () => "unknown",
    }
}

fn notes(
    token: Unverified<'_>,
    kind: Kind,
    registered: Option<&Registered>,
    now: UnixTime,
) -> Vec<String> {
    let of_claims = registered.map(|registered| claim_notes(registered, now)).unwrap_or_default();
    refused_header(token, kind)
        .into_iter()
        .chain(of_claims.into_iter().map(str::to_owned))
        .collect()
}

fn claim_notes(claims: &Registered, now: UnixTime) -> Vec<&'static str> {
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let mut notes = Vec::new();
    match claims.expires_at {
        None => {
            notes.push("it never expires: the gate refuses it unless requireExpiration is false")
        }
        Some(NumericDate(end)) if end <= now => notes.push("it has expired"),
        Some(_) => {}
    }
    match (claims.not_before, claims.expires_at) {
        (Some(begin), Some(end)) if end <= begin => notes.push("it expires before it begins"),
        (Some(NumericDate(begin)), _) if begin > now => notes.push("it is not valid yet"),
        _ => {}
    }
    if claims.id.is_empty() {
        notes.push("it has no ID (jti): it cannot be revoked alone");
    }
    notes
}
