//! The gate and Go read the same public keys: PEM texts and DER, good and broken.
//!
//! In: a seed, a number of keys and Go. Out: a [`Summary`]. For each key both say whether a control plane starts with
//! it and can verify with it, and whether the signature of a token is good. The gate may never be looser, and stricter
//! only in a [`KeyRow`] of the table in `docs/checks.md`.

mod der;
mod pem;
mod run;
mod signers;
mod strategy;

use std::fmt;

pub(crate) use run::{Summary, run};

use der::{Der, DerEdit};
use pem::{Pem, PemEdit};

use super::golang_jwt::KeyAnswer;

/// The value that proptest draws and shrinks: a good key, and its edits.
#[derive(Debug, Clone)]
pub(crate) struct Recipe {
    key: usize,
    is_pkcs1: bool,
    der: Vec<DerEdit>,
    pem: Vec<PemEdit>,
}

impl Recipe {
    /// The text of the key, and a token that it signed, if the exponent allows one.
    fn case(&self) -> (Vec<u8>, &'static str) {
        let Self { key, is_pkcs1, der, pem } = self;
        let mut draft = Der::good(*key, *is_pkcs1);
        der.iter().for_each(|edit| edit.apply(&mut draft));
        let mut text = Pem::good(*is_pkcs1, &draft.encode());
        pem.iter().for_each(|edit| edit.apply(&mut text));
        (text.finish(), signers::token_of(*key, draft.exponent()))
    }
}

/// A row of the table in `docs/checks.md` that a key can fall under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum KeyRow {
    TooLarge,
}

impl KeyRow {
    pub(crate) const ALL: [Self; 1] = [Self::TooLarge];

    /// The text in the table.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::TooLarge => "RSA keys of more than 8192 bits",
        }
    }

    /// The row for a key that Go accepts.
    fn of(answer: &KeyAnswer) -> Option<Self> {
        (answer.bits > 8192).then_some(Self::TooLarge)
    }
}

/// A key on which the two differ and must not.
#[derive(Debug)]
pub(crate) struct Difference {
    recipe: Recipe,
    key: Vec<u8>,
    gate: String,
    answer: KeyAnswer,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { recipe, key, gate, answer } = self;
        let KeyAnswer { accept, verified, bits, error } = answer;
        let key = String::from_utf8_lossy(key);
        writeln!(f, "made by: {recipe:?}\n  gate: {gate}")?;
        writeln!(f, "  Go: taken {accept}, token verified {verified}, {bits} bits, {error:?}")?;
        write!(f, "  key: {key:?}\n{key}")
    }
}
