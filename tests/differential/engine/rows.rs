//! The rows of the table in `docs/checks.md` that lists where the gate is stricter than Kuma, each as a predicate on a
//! case.

use zonegate::gate::Reason;

use super::cases::Case;
use super::facts::{Facts, Object};
use super::gate::Judged;
use super::oracle::Jwt;
use crate::keys::KeyRow;

/// A row that a token can fall under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Row {
    NoExpiration,
    Crit,
    Keys,
    LargeKeys,
    WhiteSpace,
    Bounds,
    OverwrittenScope,
    TextAfterClaims,
}

impl Row {
    pub(crate) const ALL: [Self; 8] = [
        Self::NoExpiration,
        Self::Crit,
        Self::Keys,
        Self::LargeKeys,
        Self::WhiteSpace,
        Self::Bounds,
        Self::OverwrittenScope,
        Self::TextAfterClaims,
    ];

    /// The text in the table.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::NoExpiration => "no `exp` (unless `requireExpiration: false`)",
            Self::Crit => "any `crit` in the header",
            Self::Keys => "keys that never verify, or two under one kid",
            Self::LargeKeys => KeyRow::TooLarge.text(),
            Self::WhiteSpace => {
                "white space and a byte order mark around revoked ids, and in the IDs of tokens"
            }
            Self::Bounds => {
                "JSON nested deeper than 64, tokens over `maxTokenBytes`, a `dataplane.resource` over 128 KiB"
            }
            Self::OverwrittenScope => r#"`"Scope":["ingress"],"Scope":[null]`"#,
            Self::TextAfterClaims => "text after the JSON of the claims",
        }
    }

    /// Whether a Kuma with `jwt` accepts such tokens.
    pub(crate) fn is_of(self, jwt: Jwt) -> bool {
        match self {
            Self::NoExpiration
            | Self::Crit
            | Self::Keys
            | Self::LargeKeys
            | Self::WhiteSpace
            | Self::Bounds
            | Self::OverwrittenScope => true,
            Self::TextAfterClaims => jwt == Jwt::V4,
        }
    }

    /// The row for `case`, which the gate refuses with `judged` and a Kuma with `jwt` accepts.
    pub(super) fn of(case: &Case, judged: &Judged, jwt: Jwt) -> Option<Self> {
        let reason = match judged {
            Judged::NotConfigured => return Self::of_ring(case),
            Judged::Denied(reason) => *reason,
            Judged::Allowed => return None,
        };
        let facts = Facts::of(&case.authorization)?;
        Self::ALL.into_iter().find(|row| row.is_of(jwt) && row.covers(case, &facts, reason))
    }

    fn of_ring(case: &Case) -> Option<Self> {
        let keys = case.ring.keys;
        let is_twice = |kid: &str| keys.iter().filter(|(other, _)| *other == kid).count() > 1;
        match keys.iter().any(|(kid, name)| *name == "small" || is_twice(kid)) {
            true => Some(Self::Keys),
            false => keys.iter().any(|(_, name)| *name == "huge").then_some(Self::LargeKeys),
        }
    }

    fn covers(self, case: &Case, facts: &Facts, reason: Reason) -> bool {
        let Facts { length, header, claims } = facts;
        match (self, reason) {
            (Self::NoExpiration, Reason::MissingExpiration) => {
                case.require_expiration && claims.all("exp").last().is_none_or(|exp| *exp == "null")
            }
            (Self::Crit, Reason::MalformedToken) => {
                header.members.iter().any(|(name, _)| name == "crit")
            }
            (Self::WhiteSpace, Reason::Revoked) => {
                is_among_white_space(&claims.string("jti"), &case.revocations)
            }
            (Self::Bounds, Reason::TokenTooLong) => *length > MAX_TOKEN_BYTES,
            (Self::Bounds, Reason::MalformedToken) => header.depth > MAX_DEPTH,
            (Self::Bounds, Reason::MalformedClaims) => claims.depth > MAX_DEPTH,
            (Self::OverwrittenScope, Reason::OutOfScope) => may_keep_an_element(claims, case.proxy),
            (Self::TextAfterClaims, Reason::MalformedClaims) => claims.has_text_after,
            _ => false,
        }
    }
}

/// As `docs/checks.md` says.
pub(crate) const MAX_DEPTH: usize = 64;
/// The default of `maxTokenBytes`.
const MAX_TOKEN_BYTES: usize = 16_384;

pub(crate) fn is_among_white_space(id: &str, revocations: &str) -> bool {
    let as_kuma: Vec<&str> =
        revocations.strip_suffix('\n').unwrap_or(revocations).split(',').collect();
    let parts = revocations.split(',').flat_map(str::split_whitespace);
    let marked = |text: &str| text.trim_start_matches('\u{feff}').to_owned();
    let is_there = |word: &str| parts.clone().any(|part| marked(part) == marked(word));
    let is_blank = |text: &str| !text.is_empty() && text.trim().is_empty();
    let blank = is_blank(id) && as_kuma.iter().any(|entry| is_blank(entry));
    let words = !id.trim().is_empty() && id.split_whitespace().all(is_there);
    !as_kuma.contains(&id) && (blank || words)
}

/// Whether a `null` in a later list keeps the element of an earlier list at its place.
pub(crate) fn may_keep_an_element(claims: &Object, scope: &str) -> bool {
    let lists: Vec<Vec<Option<String>>> =
        claims.all("scope").iter().filter_map(|list| serde_json::from_str(list).ok()).collect();
    let Some((last, before)) = lists.split_last() else { return false };
    let nulls = last.iter().enumerate().filter(|(_, element)| element.is_none());
    nulls.into_iter().any(|(at, _)| {
        before.iter().any(|list| list.get(at).is_some_and(|kept| kept.as_deref() == Some(scope)))
    })
}
