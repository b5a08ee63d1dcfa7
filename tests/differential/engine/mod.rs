//! Compares the gate with an oracle that says what Kuma does, and finds the differences.
//!
//! In: an [`Oracle`], a number of cases and a seed. Out: a [`Summary`]. The gate may be stricter only in a [`Row`] of
//! the tables of `docs/checks.md`, and looser only in a [`LooserRow`].

pub(crate) mod cases;
pub(crate) mod facts;
mod gate;
mod looser;
mod oracle;
mod rows;
mod run;
mod vector;

pub(crate) use looser::LooserRow;
pub(crate) use oracle::{Answer, Jwt, Oracle};
pub(crate) use rows::{MAX_DEPTH, Row, is_among_white_space, may_keep_an_element};
pub(crate) use run::{Plan, Summary, run, runner};
