//! The spelling of claims: JSON as the API server reads it.

use crate::cases::{Base, Draft};

pub(crate) fn drafts(base: &Base<'_>) -> Vec<Draft> {
    let claims = base.claims.to_string();
    let make = |name, description: &str, claims: &[u8]| {
        Draft::new(name, description, base.keys.token(claims))
    };
    let text = |name, description: &str, claims: String| make(name, description, claims.as_bytes());
    let jti = base.claims["jti"].to_string();
    let nested =
        |depth: usize| base.before(&format!("\"deep\":{}{}", "[".repeat(depth), "]".repeat(depth)));
    let mut invalid = claims.clone().into_bytes();
    let at = claims.find(&jti).unwrap() + 1;
    invalid[at] = 0xff;
    let exp = base.claims["exp"].to_string();
    vec![
        text(
            "text-space",
            "white space around the object and in it",
            format!(" \t\r\n{}\n ", claims.replace(":{", " : {")),
        ),
        text("text-trailing-text", "text after the object", format!("{claims}x")),
        text("text-trailing-object", "another object after the object", format!("{claims}{{}}")),
        text("text-trailing-nul", "a NUL after the object", format!("{claims}\0")),
        text("text-bom", "a byte order mark before the object", format!("\u{feff}{claims}")),
        text("text-array", "a list with the object", format!("[{claims}]")),
        text("text-null", "null in place of the object", "null".to_owned()),
        text("text-empty-object", "an empty object", "{}".to_owned()),
        text("text-empty", "nothing in place of the object", String::new()),
        text(
            "text-comma",
            "a comma after the last member",
            format!("{},}}", &claims[..claims.len() - 1]),
        ),
        text("text-comment", "a comment", format!("/**/{claims}")),
        text("text-single-quotes", "single quotes", claims.replace('"', "'")),
        make("text-utf8", "an invalid byte in the jti", &invalid),
        text(
            "text-surrogate",
            "half a surrogate pair in the jti",
            claims.replace(&jti, "\"\\ud800\""),
        ),
        text(
            "text-nul-in-string",
            "an escaped NUL in the jti",
            claims.replace(&jti, "\"a\\u0000b\""),
        ),
        text("text-control", "a tab in the jti, not escaped", claims.replace(&jti, "\"a\tb\"")),
        text(
            "text-escape-upper",
            "an escape with upper-case digits in the namespace",
            claims.replace("\"namespace\":\"demo\"", "\"namespace\":\"\\u0064em\\u006F\""),
        ),
        text(
            "text-number-leading-zero",
            "a number that begins with 0",
            claims.replace(&exp, &format!("0{exp}")),
        ),
        text("text-number-plus", "a number with a plus", claims.replace(&exp, &format!("+{exp}"))),
        text(
            "text-number-huge-unknown",
            "1e999 in a claim that nobody knows",
            base.before("\"n\":1e999"),
        ),
        text("text-nested-100", "lists in lists, 100 deep", nested(100)),
        text("text-nested-9000", "lists in lists, 9000 deep", nested(9000)),
        text("text-nested-11000", "lists in lists, 11,000 deep", nested(11_000)),
        text("twice-exp", "exp twice, the same", base.before(&format!("\"exp\":{exp}"))),
        text(
            "twice-exp-escaped",
            "exp twice, once with an escape in its name",
            base.before(&format!("\"\\u0065xp\":{exp}")),
        ),
        text("twice-unknown", "a claim that nobody knows, twice", base.before("\"a\":1,\"a\":1")),
        text(
            "twice-unknown-inside",
            "a member twice, inside a claim that nobody knows",
            base.before("\"a\":{\"b\":1,\"b\":1}"),
        ),
        text(
            "twice-space",
            "kubernetes.io twice, the same",
            base.before(&format!("\"kubernetes.io\":{}", base.claims["kubernetes.io"])),
        ),
        text(
            "twice-namespace",
            "the namespace twice, the same",
            claims
                .replace("\"namespace\":\"demo\"", "\"namespace\":\"demo\",\"namespace\":\"demo\""),
        ),
        text(
            "twice-pod-name",
            "the pod's name twice, the same",
            claims.replace(
                "\"pod\":{",
                &format!("\"pod\":{{\"name\":{},", base.claims["kubernetes.io"]["pod"]["name"]),
            ),
        ),
        text("capital-exp-after", "Exp that has passed, after exp", base.before("\"Exp\":1")),
        text(
            "capital-exp-only",
            "Exp that has passed, in place of exp",
            base.without(&["exp"]).replacen('{', "{\"Exp\":1,", 1),
        ),
        text(
            "capital-exp-wrong-type",
            "Exp of a wrong type, beside exp",
            base.before("\"Exp\":{}"),
        ),
        text("capital-aud-other", "Aud of another, beside aud", base.before("\"Aud\":[\"vault\"]")),
        text(
            "capital-space",
            "Kubernetes.io of another namespace, beside kubernetes.io",
            base.before("\"Kubernetes.io\":{\"namespace\":\"other\"}"),
        ),
    ]
}
