//! The openings of streams by proxies with dataplane tokens, judged by the gate and by `tests/kuma`.
//!
//! In: the program, a number of cases and a seed. Out: a [`Summary`]. The gate may be looser only with an [`Excuse`],
//! which only the control plane can know, and stricter only with a [`StreamRow`].

mod draft;
mod pools;
mod rows;
mod shape;
mod strategy;
mod tree;

use std::collections::BTreeMap;
use std::fmt;

use proptest::strategy::{Strategy, ValueTree};
use serde_json::{Value, json};

use crate::dataplane_kuma::{Answer, Excuse};
use crate::dataplane_stream::{Judged, Keys, Stream, Switches};
use crate::engine::cases::public_keys;
use crate::engine::runner;
use crate::golang_jwt::GoStreams;
use draft::Recipe;
pub(crate) use rows::StreamRow;

/// The result of a run.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    pub(crate) judged: usize,
    pub(crate) accepted: usize,
    /// The number of Kuma's answers for each step at which Kuma stopped.
    pub(crate) steps: BTreeMap<String, usize>,
    pub(crate) rows: BTreeMap<StreamRow, usize>,
    pub(crate) excuses: BTreeMap<Excuse, usize>,
    pub(crate) differences: Vec<Difference>,
}

/// A stream on which the two differ and must not.
#[derive(Debug)]
pub(crate) struct Difference {
    recipe: Recipe,
    stream: Stream,
    judged: Judged,
    answer: Answer,
}

enum Compared {
    Same,
    Stricter(StreamRow),
    Excused(Excuse),
    Different,
}

const ENOUGH: usize = 8;
const BATCH: usize = 250;

/// The keys of all cases, by name.
pub(crate) fn keys() -> Keys {
    let keys = public_keys().into_iter().filter(|(name, _)| ["a", "b", "c"].contains(name));
    keys.map(|(name, pem)| (name.to_owned(), pem.to_owned())).collect()
}

/// Judges `cases` streams.
///
/// # Errors
/// The program gives no answer.
pub(crate) fn run(cases: usize, seed: u64, kuma: &mut GoStreams) -> anyhow::Result<Summary> {
    let (mut runner, strategy, keys) = (runner(seed), strategy::recipes(), keys());
    let mut summary = Summary::default();
    while summary.judged < cases && summary.differences.len() < ENOUGH {
        let count = BATCH.min(cases - summary.judged);
        let draw = (0..count).map(|_| strategy.new_tree(&mut runner).unwrap().current());
        let recipes: Vec<Recipe> = draw.collect();
        let all = judge(recipes, kuma, &keys)?;
        for difference in all {
            summary.count(&difference);
            if let Compared::Different = difference.compare()
                && summary.differences.len() < ENOUGH
            {
                summary.differences.push(difference.shrink(kuma, &keys)?);
            }
        }
    }
    Ok(summary)
}

/// Judges each stream by both.
fn judge(
    recipes: Vec<Recipe>,
    kuma: &mut GoStreams,
    keys: &Keys,
) -> anyhow::Result<Vec<Difference>> {
    let streams: Vec<Stream> = recipes.iter().map(Recipe::stream).collect();
    let asked: Vec<Value> = streams.iter().map(|stream| json!(stream)).collect();
    let answers: Vec<Answer> = kuma.judge(&asked)?;
    anyhow::ensure!(answers.len() == streams.len(), "{} answers", answers.len());
    let all = recipes.into_iter().zip(streams).zip(answers);
    Ok(all
        .map(|((recipe, stream), answer)| {
            let require_expiration = recipe.require_expiration;
            let judged = stream.judge(keys, Switches { require_expiration, ..Switches::default() });
            Difference { recipe, stream, judged, answer }
        })
        .collect())
}

impl Difference {
    fn compare(&self) -> Compared {
        let Self { recipe, stream, judged, answer } = self;
        match (judged, answer.accept) {
            (Judged::Allowed, true) | (Judged::Denied(_) | Judged::NotConfigured, false) => {
                Compared::Same
            }
            (Judged::Allowed, false) => {
                answer.excuse().map_or(Compared::Different, Compared::Excused)
            }
            (judged, true) => StreamRow::of(stream, recipe.require_expiration, answer, judged)
                .map_or(Compared::Different, Compared::Stricter),
        }
    }

    /// Removes edits as long as the verdicts still differ in the same direction.
    fn shrink(mut self, kuma: &mut GoStreams, keys: &Keys) -> anyhow::Result<Self> {
        let mut at = 0;
        while at < self.recipe.edits.len() {
            let mut recipe = self.recipe.clone();
            recipe.edits.remove(at);
            let fewer = judge(vec![recipe], kuma, keys)?.remove(0);
            let differs = matches!(fewer.compare(), Compared::Different);
            if differs && fewer.answer.accept == self.answer.accept {
                self = fewer;
            } else {
                at += 1;
            }
        }
        Ok(self)
    }
}

impl Summary {
    fn count(&mut self, one: &Difference) {
        self.judged += 1;
        self.accepted += usize::from(one.answer.accept);
        *self.steps.entry(one.answer.step.clone()).or_default() += 1;
        match one.compare() {
            Compared::Same | Compared::Different => {}
            Compared::Stricter(row) => *self.rows.entry(row).or_default() += 1,
            Compared::Excused(excuse) => *self.excuses.entry(excuse).or_default() += 1,
        }
    }

    /// Takes in the summary of another part of the same run.
    pub(crate) fn add(&mut self, other: Self) {
        self.judged += other.judged;
        self.accepted += other.accepted;
        self.differences.extend(other.differences);
        other.steps.into_iter().for_each(|(step, n)| *self.steps.entry(step).or_default() += n);
        other.rows.into_iter().for_each(|(row, n)| *self.rows.entry(row).or_default() += n);
        other
            .excuses
            .into_iter()
            .for_each(|(excuse, n)| *self.excuses.entry(excuse).or_default() += n);
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { recipe, stream, judged, answer } = self;
        let direction = match answer.accept {
            true => "STRICTER than Kuma, and no row of the table says so",
            false => "LOOSER than Kuma",
        };
        writeln!(f, "{direction}\n  gate: {judged:?}\n  Kuma: {answer:?}\n  made by: {recipe:?}")?;
        write!(f, "as a vector for tests/data/kuma-dataplane-token.json:\n{}", json!(stream))
    }
}
