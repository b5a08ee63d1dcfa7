//! The facts of a verified token in the access log.
//!
//! In: the field `token`: `kind=… kid=… jti=…` and so on, as [`zonegate::credential::Identity::described`] writes it.
//! Out: its parts. Unknown names are skipped.

use zonegate::token::NumericDate;

/// The facts of the token of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenFacts {
    /// The kind of token, as the gate spells it.
    pub kind: String,
    /// The kid of the key that signed it.
    pub kid: String,
    /// `jti`; empty if there is none.
    pub id: String,
    /// The zone that the token names; empty means any zone, or a kind without zones.
    pub zone: String,
    /// The mesh whose key verified the token; empty for a kind without meshes.
    pub mesh: String,
    /// The dataplane that the token names; empty means any dataplane, or a kind without names.
    pub name: String,
    /// `exp`.
    pub expires_at: Option<NumericDate>,
}

impl TokenFacts {
    /// Reads the field `token`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut facts = Self::default();
        let mut rest = text;
        while !rest.is_empty() {
            let (name, behind) = rest.split_once('=')?;
            let (value, behind) = value(behind)?;
            rest = behind.strip_prefix(' ').unwrap_or(behind);
            match name {
                "kind" => facts.kind = value,
                "kid" => facts.kid = value,
                "jti" => facts.id = value,
                "zone" => facts.zone = value,
                "mesh" => facts.mesh = value,
                "name" => facts.name = value,
                "exp" => facts.expires_at = Some(NumericDate(value.parse().ok()?)),
                _ => {}
            }
        }
        (!facts.kind.is_empty()).then_some(facts)
    }
}

/// A value, and the text after it.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(' ').unwrap_or(text.len());
        let (value, rest) = text.split_at_checked(end)?;
        return Some((value.to_owned(), rest));
    };
    let mut value = String::new();
    let mut runes = quoted.chars();
    loop {
        match runes.next()? {
            '"' => return Some((value, runes.as_str())),
            '\\' => match runes.next()? {
                'n' => value.push('\n'),
                'r' => value.push('\r'),
                't' => value.push('\t'),
                'u' => {
                    let (code, rest) = runes.as_str().strip_prefix('{')?.split_once('}')?;
                    value.push(char::from_u32(u32::from_str_radix(code, 16).ok()?)?);
                    runes = rest.chars();
                }
                rune @ ('"' | '\\' | '\'') => value.push(rune),
                _ => return None,
            },
            rune => value.push(rune),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use proptest::prelude::*;
    use zonegate::text::push_pair_value;

    use super::*;

    #[test]
    fn unknown_names_are_skipped() {
        let facts =
            TokenFacts::parse("kind=dpToken kid=1 new=\"a b\" jti=\"\" mesh=m name=web exp=9");
        let wanted = TokenFacts {
            kind: "dpToken".into(),
            kid: "1".into(),
            mesh: "m".into(),
            name: "web".into(),
            expires_at: Some(NumericDate(9)),
            ..TokenFacts::default()
        };
        assert_eq!(facts, Some(wanted));
        for broken in ["", "kind", "kid=1", "kind=a jti=\"", "kind=a jti=\"\\x\"", "kind=a exp=x"] {
            assert_eq!(TokenFacts::parse(broken), None, "{broken}");
        }
    }

    proptest! {
        /// The tool reads what the gate writes without loss.
        #[test]
        fn every_value_comes_back(kid in any::<String>(), id in any::<String>(), zone in any::<String>()) {
            let mut text = "kind=zoneToken kid=".to_owned();
            push_pair_value(&mut text, &kid);
            text.push_str(" jti=");
            push_pair_value(&mut text, &id);
            text.push_str(" zone=");
            push_pair_value(&mut text, &zone);
            let facts = TokenFacts::parse(&text).unwrap();
            prop_assert_eq!((facts.kid, facts.id, facts.zone), (kid, id, zone));
        }
    }
}
