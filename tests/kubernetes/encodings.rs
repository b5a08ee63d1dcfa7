//! The spelling of a token: segments, base64url, white space.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use crate::cases::{Base, Draft};
use crate::mint::{Rsa, encode, join, segments};

pub(crate) fn drafts(base: &Base<'_>) -> Vec<Draft> {
    [spellings(base), spare_bits(base), shapes(base)].concat()
}

/// A valid token in other spellings. The signature is over the usual spelling.
fn spellings(base: &Base<'_>) -> Vec<Draft> {
    let [header, claims, signature] = segments(&base.token);
    let of = |header: &str, claims: &str, signature: &str| format!("{header}.{claims}.{signature}");
    let into = |segment: &str, text: &str| format!("{}{text}{}", &segment[..8], &segment[8..]);
    let standard = |segment: &str| STANDARD_NO_PAD.encode(URL_SAFE_NO_PAD.decode(segment).unwrap());
    let padded = |segment: &str| format!("{segment}{}", "=".repeat((4 - segment.len() % 4) % 4));
    let make = |name, description: &str, token: String| Draft::new(name, description, token);
    let mut drafts = vec![
        make(
            "padded-header",
            "padding after the header",
            of(&format!("{header}="), claims, signature),
        ),
        make(
            "padded-signature",
            "padding after the signature",
            of(header, claims, &padded(signature)),
        ),
        make(
            "standard-signature",
            "the standard alphabet in the signature",
            of(header, claims, &standard(signature)),
        ),
        make("space-before", "a space before the token", format!(" {}", base.token)),
        make("space-after", "a space after the token", format!("{} ", base.token)),
        make(
            "space-and-text",
            "text after the token, behind a space",
            format!("{} text", base.token),
        ),
        make("space-in-header", "a space in the header", of(&into(header, " "), claims, signature)),
        make("space-in-claims", "a space in the claims", of(header, &into(claims, " "), signature)),
        make(
            "space-in-signature",
            "a space in the signature",
            of(header, claims, &into(signature, " ")),
        ),
        make(
            "tab-in-signature",
            "a tab in the signature",
            of(header, claims, &into(signature, "\t")),
        ),
        make(
            "newline-in-header",
            "a line feed in the header",
            of(&into(header, "\n"), claims, signature),
        ),
        make(
            "newline-in-claims",
            "a line feed in the claims",
            of(header, &into(claims, "\n"), signature),
        ),
        make(
            "newline-in-signature",
            "a line feed in the signature",
            of(header, claims, &into(signature, "\n")),
        ),
        make(
            "no-break-space-in-signature",
            "a no-break space (U+00A0) in the signature",
            of(header, claims, &into(signature, "\u{a0}")),
        ),
        make(
            "zero-width-in-signature",
            "a zero-width space (U+200B) in the signature",
            of(header, claims, &into(signature, "\u{200b}")),
        ),
        make("bearer", "Bearer before the token", format!("Bearer {}", base.token)),
        make("quotes", "the token in quotes", format!("\"{}\"", base.token)),
    ];
    if let Some(token) = padded_claims(base) {
        drafts.push(make("padded-claims", "padding after the claims", token));
    }
    drafts
}

/// Claims of a length that needs padding.
fn padded_claims(base: &Base<'_>) -> Option<String> {
    ["1", "12", "123"].iter().find_map(|value| {
        let token = base.keys.token(base.with(&["pad"], *value));
        let [header, claims, signature] = segments(&token);
        let missing = (4 - claims.len() % 4) % 4;
        (missing > 0).then(|| format!("{header}.{claims}{}.{signature}", "=".repeat(missing)))
    })
}

/// Bits of a last character that are part of no byte.
fn spare_bits(base: &Base<'_>) -> Vec<Draft> {
    let keys = base.keys;
    let header = keys.header().to_string();
    // Adds white space until there are spare bits.
    let uneven = |text: &str| {
        let spaces = 4 - text.len() % 3;
        let text = format!("{text}{}", " ".repeat(spaces % 3));
        debug_assert_eq!(text.len() % 3, 1);
        encode(text)
    };
    let (header, claims) = (uneven(&header), uneven(&base.claims.to_string()));
    let sign = |input: &str| encode(keys.sign_rsa(Rsa::Rs256, input.as_bytes()));
    let usual = sign(&format!("{header}.{claims}"));
    let (odd_header, odd_claims) = (odd(&header), odd(&claims));
    let make = |name, description: &str, token: String| Draft::new(name, description, token);
    vec![
        make(
            "spare-none",
            "white space after header and claims",
            format!("{header}.{claims}.{usual}"),
        ),
        make(
            "spare-header",
            "spare bits in the header, the usual spelling signed",
            format!("{odd_header}.{claims}.{usual}"),
        ),
        make(
            "spare-claims",
            "spare bits in the claims, the usual spelling signed",
            format!("{header}.{odd_claims}.{usual}"),
        ),
        make(
            "spare-signature",
            "spare bits in the signature",
            format!("{header}.{claims}.{}", odd(&usual)),
        ),
        make(
            "spare-header-signed",
            "spare bits in the header, that spelling signed",
            format!("{odd_header}.{claims}.{}", sign(&format!("{odd_header}.{claims}"))),
        ),
        make(
            "spare-claims-signed",
            "spare bits in the claims, that spelling signed",
            format!("{header}.{odd_claims}.{}", sign(&format!("{header}.{odd_claims}"))),
        ),
        make("newline-header-signed", "a line feed in the header, that spelling signed", {
            let header = format!("{}\n{}", &header[..8], &header[8..]);
            format!("{header}.{claims}.{}", sign(&format!("{header}.{claims}")))
        }),
        make("newline-claims-signed", "a line feed in the claims, that spelling signed", {
            let claims = format!("{}\n{}", &claims[..8], &claims[8..]);
            format!("{header}.{claims}.{}", sign(&format!("{header}.{claims}")))
        }),
    ]
}

/// The same bytes with the lowest spare bit set.
fn odd(segment: &str) -> String {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (rest, last) = segment.split_at(segment.len() - 1);
    let value = alphabet.iter().position(|one| *one == last.as_bytes()[0]).unwrap();
    assert_eq!(value % 4, 0, "no spare bits");
    format!("{rest}{}", char::from(alphabet[value + 1]))
}

fn shapes(base: &Base<'_>) -> Vec<Draft> {
    let [header, claims, signature] = segments(&base.token);
    let make = |name, description: &str, token: String| Draft::new(name, description, token);
    let json = format!(
        "{{\"payload\":\"{claims}\",\"protected\":\"{header}\",\"signature\":\"{signature}\"}}"
    );
    vec![
        make("shape-two-segments", "no signature segment", format!("{header}.{claims}")),
        make("shape-four-segments", "a segment too many", format!("{}.{signature}", base.token)),
        make("shape-dot-after", "a dot after the token", format!("{}.", base.token)),
        make("shape-dot-before", "a dot before the token", format!(".{}", base.token)),
        make("shape-no-signature", "an empty signature", format!("{header}.{claims}.")),
        make("shape-no-claims", "empty claims", format!("{header}..{signature}")),
        make("shape-no-header", "an empty header", format!(".{claims}.{signature}")),
        make("shape-json", "the flattened JSON serialization of RFC 7515 §7.2.2", json),
        make("shape-garbage", "no token at all", "garbage".to_owned()),
        make(
            "shape-signature-short",
            "one character too few",
            base.token[..base.token.len() - 1].to_owned(),
        ),
        make("shape-other-signature", "the signature of other claims", {
            let other = base.keys.token(base.with(&["jti"], "other"));
            join(
                &format!("{header}.{claims}"),
                &URL_SAFE_NO_PAD.decode(segments(&other)[2]).unwrap(),
            )
        }),
    ]
}
