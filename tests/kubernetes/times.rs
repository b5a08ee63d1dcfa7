//! When a token is valid: `exp`, `nbf`, `iat`, and the API server's leeway of a minute.

use serde_json::{Value, json};

use crate::cases::{Base, Draft};

pub(crate) fn drafts(base: &Base<'_>) -> Vec<Draft> {
    let now = base.now;
    let make = |name, description: &str, claim: &str, value: Value| {
        Draft::new(name, description, base.keys.token(base.with(&[claim], value)))
    };
    let text = |name, description: &str, claim: &str, value: &str| {
        let own = base.claims[claim].to_string();
        let claims = base.claims.to_string();
        let claims = claims.replacen(&format!("{claim:?}:{own}"), &format!("{claim:?}:{value}"), 1);
        Draft::new(name, description, base.keys.token(claims))
    };
    let without = |name, description: &str, claim: &str| {
        Draft::new(name, description, base.keys.token(base.without(&[claim])))
    };
    vec![
        make("expired-30", "expired 30 s ago: within the leeway", "exp", json!(now - 30)),
        make("expired-50", "expired 50 s ago: within the leeway", "exp", json!(now - 50)),
        make("expired-65", "expired 65 s ago", "exp", json!(now - 65)),
        make("expired-3600", "expired an hour ago", "exp", json!(now - 3600)),
        make("begins-30", "begins in 30 s: within the leeway", "nbf", json!(now + 30)),
        make("begins-90", "begins in 90 s", "nbf", json!(now + 90)),
        make("begins-3600", "begins in an hour", "nbf", json!(now + 3600)),
        make("issued-30", "issued 30 s from now: within the leeway", "iat", json!(now + 30)),
        make("issued-90", "issued 90 s from now", "iat", json!(now + 90)),
        make("issued-3600", "issued an hour from now", "iat", json!(now + 3600)),
        without("exp-missing", "never expires", "exp"),
        without("nbf-missing", "has no beginning", "nbf"),
        without("iat-missing", "does not say when it was issued", "iat"),
        make("exp-null", "exp is null", "exp", json!(null)),
        make("nbf-null", "nbf is null", "nbf", json!(null)),
        make("iat-null", "iat is null", "iat", json!(null)),
        make("exp-zero", "exp is 0", "exp", json!(0)),
        make("exp-negative", "exp is negative", "exp", json!(-1)),
        make(
            "exp-string",
            "exp is a string that holds a date",
            "exp",
            json!(format!("{}", now + 3600)),
        ),
        make(
            "nbf-string",
            "nbf is a string that holds a date",
            "nbf",
            json!(format!("{}", now - 3600)),
        ),
        make(
            "iat-string",
            "iat is a string that holds a date",
            "iat",
            json!(format!("{}", now - 3600)),
        ),
        make("exp-true", "exp is true", "exp", json!(true)),
        make("exp-list", "exp is a list", "exp", json!([now + 3600])),
        make("exp-fraction", "exp has a fraction", "exp", json!(now as f64 + 3600.75)),
        text("exp-exponent", "exp is written with an exponent", "exp", "4.1e9"),
        text("exp-1e18", "exp is 1e18: within an int64", "exp", "1e18"),
        text("exp-1e30", "exp is 1e30: beyond an int64", "exp", "1e30"),
        text("exp-1e999", "exp is 1e999: beyond a float64", "exp", "1e999"),
        text("nbf-1e30", "nbf is 1e30: beyond an int64", "nbf", "1e30"),
        text("nbf-minus-1e30", "nbf is -1e30: beyond an int64", "nbf", "-1e30"),
        text("iat-1e30", "iat is 1e30: beyond an int64", "iat", "1e30"),
        text("iat-1e999", "iat is 1e999: beyond a float64", "iat", "1e999"),
    ]
}
