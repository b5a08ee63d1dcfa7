//! Recorded streams for which the gate's verdict or reason is not Kuma's: by id, each with the reason why.
//!
//! A stream that the gate refuses and Kuma accepts has a row in the table of `docs/checks.md`.

use zonegate::gate::Reason;

use crate::kuma::Excuse;

/// Means that the gate refuses the configuration.
pub(crate) const NOT_CONFIGURED: Reason = Reason::PolicyUnavailable;

/// Refused by Kuma for one reason and by the gate for another.
pub(crate) const OTHER_REASON: &[(&str, Reason, &str)] = &[
    ("A02", Reason::MissingToken, "said more clearly"),
    ("A04", Reason::MultipleTokens, "the headers are judged before the proxy is known"),
    ("A08", Reason::UnsupportedAlgorithm, "the header is judged before the key is looked up"),
    ("A12", Reason::InvalidSignature, "the signature is verified before the claims are read"),
    ("B09", NOT_CONFIGURED, "two keys under one kid"),
    ("D13", Reason::MalformedRequest, "node id and resource are compared before the token"),
    ("F13", Reason::MalformedRequest, NOT_PLAIN),
    ("H10", Reason::MalformedRequest, NOT_PLAIN),
    ("H11", Reason::MalformedRequest, NOT_PLAIN),
    ("H16", Reason::MalformedRequest, NOT_PLAIN),
    ("H19", Reason::MalformedRequest, NOT_PLAIN),
    ("H34", Reason::WrongProxy, NOT_VALID),
    ("H36", Reason::WrongProxy, NOT_VALID),
    ("H65", Reason::MalformedRequest, NOT_PLAIN),
    ("H67", Reason::WrongProxy, NOT_VALID),
    ("I27", Reason::MalformedRequest, "node id and resource are compared before the token"),
    ("B21", Reason::MalformedRequest, NO_MESH),
    ("D14", Reason::MalformedRequest, NO_MESH),
    ("H23", Reason::MalformedRequest, NO_MESH),
    ("J18", Reason::MalformedRequest, "proxy type and resource do not agree"),
    ("M02", Reason::MalformedRequest, NOT_PLAIN),
    ("M04", Reason::MalformedRequest, NOT_PLAIN),
    ("M05", Reason::MalformedRequest, NOT_PLAIN),
    ("M22", Reason::MalformedRequest, NOT_PLAIN),
    ("M40", Reason::MalformedRequest, NOT_PLAIN),
    ("M41", Reason::MalformedRequest, NOT_PLAIN),
];

/// Accepted by Kuma and refused by the gate.
pub(crate) const STRICTER: &[(&str, Reason, &str)] = &[
    ("B08", NOT_CONFIGURED, "two keys under one kid"),
    ("B20", Reason::MalformedRequest, NO_MESH),
    ("C06", Reason::Revoked, "ids are split on white space too"),
    ("C07", Reason::Revoked, "ids are split on white space too"),
    ("H02", Reason::MalformedRequest, NOT_PLAIN),
    ("H06", Reason::MalformedRequest, NOT_PLAIN),
    ("H07", Reason::MalformedRequest, NOT_PLAIN),
    ("H12", Reason::MalformedRequest, NOT_PLAIN),
    ("H13", Reason::MalformedRequest, NOT_PLAIN),
    ("H14", Reason::MalformedRequest, NOT_PLAIN),
    ("H15", Reason::MalformedRequest, NOT_PLAIN),
    ("H17", Reason::MalformedRequest, NOT_PLAIN),
    ("H18", Reason::MalformedRequest, NOT_PLAIN),
    ("H27", Reason::MalformedRequest, NOT_PLAIN),
    ("H28", Reason::MalformedRequest, NOT_PLAIN),
    ("H29", Reason::MalformedRequest, NOT_PLAIN),
    ("H38", Reason::MalformedRequest, NOT_PLAIN),
    ("H46", Reason::MalformedRequest, NOT_PLAIN),
    ("H47", Reason::MalformedRequest, NOT_PLAIN),
    ("H52", Reason::MalformedRequest, NOT_PLAIN),
    ("H53", Reason::MalformedRequest, NOT_PLAIN),
    ("H54", Reason::MalformedRequest, NOT_PLAIN),
    ("H55", Reason::MalformedRequest, NOT_PLAIN),
    ("H56", Reason::MalformedRequest, NOT_PLAIN),
    ("H57", Reason::MalformedRequest, NOT_PLAIN),
    ("H61", Reason::MalformedRequest, NOT_PLAIN),
    ("H62", Reason::MalformedRequest, NOT_PLAIN),
    ("H63", Reason::MalformedRequest, NOT_PLAIN),
    ("H64", Reason::MalformedRequest, NOT_PLAIN),
    ("J15", Reason::MalformedRequest, "a later message could bring the node id of another proxy"),
    ("L06", Reason::MalformedRequest, "proxy type and resource do not agree"),
    ("M01", Reason::MalformedRequest, NOT_PLAIN),
    ("M03", Reason::MalformedRequest, NOT_PLAIN),
    ("M15", Reason::MalformedRequest, NOT_PLAIN),
    ("M23", Reason::MalformedRequest, NOT_PLAIN),
    ("M24", Reason::MalformedRequest, "bounded nesting"),
    ("M26", Reason::MalformedRequest, NOT_PLAIN),
    ("M28", Reason::MalformedRequest, NOT_PLAIN),
];

/// Refused by Kuma and allowed by the gate, which cannot know the reason.
pub(crate) const ALLOWED: &[(&str, Excuse)] = &[
    ("F05", Excuse::MeshIdentity),
    ("F08", Excuse::MeshIdentity),
    ("H31", Excuse::NotValid),
    ("H42", Excuse::NotValid),
    ("H48", Excuse::NotValid),
    ("I01", Excuse::NotValid),
    ("I02", Excuse::NotValid),
    ("I04", Excuse::NotValid),
    ("I05", Excuse::NotValid),
    ("I06", Excuse::NotValid),
    ("I07", Excuse::NotValid),
    ("I09", Excuse::NotValid),
    ("I10", Excuse::NotValid),
    ("I11", Excuse::NotValid),
    ("I12", Excuse::NotValid),
    ("I14", Excuse::NotValid),
    ("I15", Excuse::NotValid),
    ("I18", Excuse::NotValid),
    ("I19", Excuse::NotValid),
    ("I20", Excuse::NotValid),
    ("I21", Excuse::NotValid),
    ("I22", Excuse::NotValid),
    ("I24", Excuse::NotValid),
    ("I26", Excuse::NotValid),
    ("J02", Excuse::Store),
    ("J03", Excuse::Store),
    ("K02", Excuse::Store),
    ("M34", Excuse::NotValid),
    ("M36", Excuse::NotValid),
    ("M38", Excuse::NotValid),
];

const NO_MESH: &str = "a dataplane without a mesh";
const NOT_PLAIN: &str = "a resource that readers of JSON and YAML can take for several things";
const NOT_VALID: &str =
    "the gate judges the resource, Kuma passes over it and finds none in its store";
