//! The run: draw keys, read each twice, compare, shrink.

use std::collections::BTreeMap;

use proptest::strategy::{BoxedStrategy, Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use zonegate::credential::{Kind, authenticate};
use zonegate::token::{KeyError, KeySet, PublicKey};

use super::strategy::recipes;
use super::{Difference, KeyRow, Recipe};
use crate::golang_jwt::{GoKeys, KeyAnswer};

/// The result of a run.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    /// Keys.
    pub(crate) judged: usize,
    /// Keys that Go accepts.
    pub(crate) accepted: usize,
    /// Tokens that were verified with them.
    pub(crate) verified: usize,
    /// How many keys needed each row.
    pub(crate) rows: BTreeMap<KeyRow, usize>,
    /// The gate's errors for the other keys, without their variable parts.
    pub(crate) refused: BTreeMap<String, usize>,
    /// Differences that no row allows, shrunk.
    pub(crate) differences: Vec<Difference>,
}

const ENOUGH: usize = 5;
const BATCH: usize = 250;
/// Steps of shrinking one difference.
const MAX_STEPS: usize = 1_000;

/// The gate's result for a key: an error, or whether the key verifies the token.
type Read = Result<bool, KeyError>;

/// Draws `cases` keys, which the gate and Go read.
///
/// # Errors
/// Go gives no answer.
pub(crate) fn run(cases: usize, seed: u64, go: &mut GoKeys) -> anyhow::Result<Summary> {
    let (mut runner, strategy) = (runner(seed), recipes());
    let mut summary = Summary::default();
    while summary.judged < cases && summary.differences.len() < ENOUGH {
        let count = BATCH.min(cases - summary.judged);
        let trees = draw(&strategy, &mut runner, count);
        judge(trees, go, &mut summary)?;
        summary.judged += count;
    }
    Ok(summary)
}

fn runner(seed: u64) -> TestRunner {
    let mut bytes = [0xA5; 16];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::XorShift, &bytes);
    TestRunner::new_with_rng(Config::default(), rng)
}

type Tree = Box<dyn ValueTree<Value = Recipe>>;

fn draw(strategy: &BoxedStrategy<Recipe>, runner: &mut TestRunner, count: usize) -> Vec<Tree> {
    (0..count).map(|_| strategy.new_tree(runner).unwrap()).collect()
}

fn judge(trees: Vec<Tree>, go: &mut GoKeys, summary: &mut Summary) -> anyhow::Result<()> {
    let cases: Vec<_> = trees.iter().map(|tree| tree.current().case()).collect();
    let answers = go.judge(&cases)?;
    for ((tree, (key, token)), answer) in trees.into_iter().zip(cases).zip(answers) {
        let read = read(&key, token);
        summary.accepted += usize::from(answer.accept);
        summary.verified += usize::from(answer.verified);
        if let Err(error) = &read {
            *summary.refused.entry(kind(error)).or_default() += 1;
        }
        if agree(&read, &answer) {
            continue;
        }
        match KeyRow::of(&answer) {
            Some(row) if read.is_err() => *summary.rows.entry(row).or_default() += 1,
            _ if summary.differences.len() >= ENOUGH => {}
            _ => summary.differences.push(shrink(tree, go)?),
        }
    }
    Ok(())
}

fn read(key: &[u8], token: &str) -> Read {
    let mut keys = KeySet::default();
    keys.insert("1".to_owned(), PublicKey::from_pem_bytes(key)?).unwrap();
    Ok(authenticate(token.as_bytes(), Kind::ZoneToken, &keys).is_ok())
}

fn agree(read: &Read, answer: &KeyAnswer) -> bool {
    match read {
        Ok(verified) => answer.accept && *verified == answer.verified,
        Err(_) => !answer.accept,
    }
}

/// The smallest recipe that still differs in the same direction.
fn shrink(mut tree: Tree, go: &mut GoKeys) -> anyhow::Result<Difference> {
    let mut smallest = look(tree.current(), go)?;
    let mut moved = tree.simplify();
    for _ in 0..MAX_STEPS {
        if !moved {
            break;
        }
        let next = look(tree.current(), go)?;
        let is_one =
            !next.agrees && next.difference.answer.accept == smallest.difference.answer.accept;
        moved = if is_one { tree.simplify() } else { tree.complicate() };
        if is_one {
            smallest = next;
        }
    }
    Ok(smallest.difference)
}

struct Looked {
    agrees: bool,
    difference: Difference,
}

fn look(recipe: Recipe, go: &mut GoKeys) -> anyhow::Result<Looked> {
    let case = recipe.case();
    let answer = go.judge(std::slice::from_ref(&case))?.remove(0);
    let read = read(&case.0, case.1);
    let agrees = agree(&read, &answer) || read.is_err() && KeyRow::of(&answer).is_some();
    let gate = format!("{read:?}");
    Ok(Looked { agrees, difference: Difference { recipe, key: case.0, gate, answer } })
}

fn kind(error: &KeyError) -> String {
    match error {
        KeyError::Size(bits) if *bits < 1024 => "Size(small)".to_owned(),
        KeyError::Size(_) => "Size(large)".to_owned(),
        KeyError::OtherBlock(_) => "OtherBlock".to_owned(),
        other => format!("{other:?}"),
    }
}

impl Summary {
    /// Takes in the summary of another part of the same run.
    pub(crate) fn add(&mut self, other: Self) {
        self.judged += other.judged;
        self.accepted += other.accepted;
        self.verified += other.verified;
        self.differences.extend(other.differences);
        for (row, count) in other.rows {
            *self.rows.entry(row).or_default() += count;
        }
        for (kind, count) in other.refused {
            *self.refused.entry(kind).or_default() += count;
        }
    }
}
