//! Judges cases by the gate and by an oracle that says what Kuma does, and finds where they differ.
//!
//! In: an [`Oracle`], a number of cases and a seed. Out: a [`Summary`]. The gate may never be looser,
//! and stricter only in a [`Row`] of the README's table.

pub(crate) mod cases;
pub(crate) mod facts;
mod gate;
mod oracle;
mod rows;
mod run;
mod vector;

pub(crate) use oracle::{Answer, Oracle};
pub(crate) use rows::{MAX_DEPTH, Row, is_among_white_space, may_keep_an_element};
pub(crate) use run::{Plan, Summary, run, runner};
