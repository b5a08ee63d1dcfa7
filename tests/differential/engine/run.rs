//! The run: draw cases, judge each twice, compare, shrink.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use proptest::strategy::{BoxedStrategy, Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::cases::{Case, Recipe, Surroundings, recipes};
use super::gate::{Gate, Judged};
use super::looser::LooserRow;
use super::oracle::{Answer, Jwt, Oracle};
use super::rows::Row;
use super::vector;

/// What to run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// The number of cases.
    pub(crate) cases: usize,
    /// The same seed draws the same cases.
    pub(crate) seed: u64,
    /// What varies.
    pub(crate) surroundings: Surroundings,
    /// Gives the time at which a case is made.
    pub(crate) now: fn() -> Duration,
}

/// The result of a run.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    /// Judged cases.
    pub(crate) judged: usize,
    /// Cases that Kuma accepts.
    pub(crate) accepted: usize,
    /// How many cases needed each row.
    pub(crate) rows: BTreeMap<Row, usize>,
    /// The same, for the rows in which the gate is looser.
    pub(crate) looser: BTreeMap<LooserRow, usize>,
    /// Cases that were not compared: a date passed during the run, or HTTP cannot carry the token.
    pub(crate) left_out: usize,
    /// Differences that no row allows, shrunk.
    pub(crate) differences: Vec<Difference>,
}

/// A case on which the two differ and must not.
#[derive(Debug)]
pub(crate) struct Difference {
    recipe: Recipe,
    case: Case,
    judged: Judged,
    answer: Answer,
}

/// The run stops after this many differences.
const ENOUGH: usize = 5;
const BATCH: usize = 250;
/// Steps of shrinking one difference.
const MAX_STEPS: usize = 2_000;

/// Runs `plan` against `oracle`.
///
/// # Errors
/// The oracle gives no answer.
pub(crate) fn run(plan: Plan, oracle: &mut impl Oracle) -> anyhow::Result<Summary> {
    let mut bench = Bench { plan, oracle, gate: Gate::new() };
    let (mut runner, strategy) = (runner(plan.seed), recipes(plan.surroundings));
    let mut summary = Summary::default();
    while summary.judged < plan.cases && summary.differences.len() < ENOUGH {
        let count = BATCH.min(plan.cases - summary.judged);
        let trees = draw(&strategy, &mut runner, count);
        bench.judge(trees, &mut summary)?;
        summary.judged += count;
    }
    Ok(summary)
}

/// The same seed draws the same cases.
pub(crate) fn runner(seed: u64) -> TestRunner {
    // Good mixing is needed here, secrecy is not.
    let mut bytes = [0x5A; 16];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::XorShift, &bytes);
    TestRunner::new_with_rng(Config::default(), rng)
}

type Tree = Box<dyn ValueTree<Value = Recipe>>;

fn draw(strategy: &BoxedStrategy<Recipe>, runner: &mut TestRunner, count: usize) -> Vec<Tree> {
    (0..count).map(|_| strategy.new_tree(runner).unwrap()).collect()
}

struct Bench<'a, O> {
    plan: Plan,
    oracle: &'a mut O,
    gate: Gate,
}

/// The result of a comparison.
enum Compared {
    Same,
    Stricter(Row),
    Looser(LooserRow),
    Different,
    LeftOut,
}

impl<O: Oracle> Bench<'_, O> {
    fn judge(&mut self, trees: Vec<Tree>, summary: &mut Summary) -> anyhow::Result<()> {
        let now = (self.plan.now)();
        let cases: Vec<Case> = trees.iter().map(|tree| self.case(&tree.current(), now)).collect();
        let answers = self.oracle.judge(&cases)?;
        anyhow::ensure!(answers.len() == cases.len(), "{} answers", answers.len());
        for ((tree, case), answer) in trees.into_iter().zip(cases).zip(answers) {
            summary.accepted += usize::from(answer == Answer::Accept);
            let judged = self.gate.judge(&case);
            match self.compare(&case, &judged, &answer) {
                Compared::Same => {}
                Compared::LeftOut => summary.left_out += 1,
                Compared::Stricter(row) => *summary.rows.entry(row).or_default() += 1,
                Compared::Looser(row) => *summary.looser.entry(row).or_default() += 1,
                Compared::Different if summary.differences.len() >= ENOUGH => {}
                Compared::Different => {
                    let first = Difference { recipe: tree.current(), case, judged, answer };
                    summary.differences.push(self.shrink(tree, first)?);
                }
            }
        }
        Ok(())
    }

    fn case(&self, recipe: &Recipe, now: Duration) -> Case {
        let mut case = recipe.case(now);
        self.oracle.surround(&mut case);
        case
    }

    fn compare(&mut self, case: &Case, judged: &Judged, answer: &Answer) -> Compared {
        let compared = compare(case, judged, answer, self.oracle.jwt());
        match (&compared, self.oracle.clock()) {
            (Compared::Same, _) | (_, None) => compared,
            (_, Some(now)) => {
                // The oracle's clock is later than the time at which the case was made.
                let later = self.gate.judge(&Case { now, ..case.clone() });
                if later == *judged { compared } else { Compared::LeftOut }
            }
        }
    }

    /// The smallest case that differs in the same direction.
    fn shrink(&mut self, mut tree: Tree, mut smallest: Difference) -> anyhow::Result<Difference> {
        let mut moved = tree.simplify();
        for _ in 0..MAX_STEPS {
            if !moved {
                break;
            }
            let recipe = tree.current();
            let case = self.case(&recipe, (self.plan.now)());
            let [answer] = <[Answer; 1]>::try_from(self.oracle.judge(std::slice::from_ref(&case))?)
                .map_err(|answers| anyhow::anyhow!("{} answers for one case", answers.len()))?;
            let judged = self.gate.judge(&case);
            let differs = matches!(self.compare(&case, &judged, &answer), Compared::Different)
                && (answer == Answer::Accept) == (smallest.answer == Answer::Accept);
            if differs {
                smallest = Difference { recipe, case, judged, answer };
                moved = tree.simplify();
            } else {
                moved = tree.complicate();
            }
        }
        Ok(smallest)
    }
}

fn compare(case: &Case, judged: &Judged, answer: &Answer, jwt: Jwt) -> Compared {
    match (judged, answer) {
        (_, Answer::Unasked) => Compared::LeftOut,
        (Judged::Allowed, Answer::Accept) => Compared::Same,
        (Judged::Denied(_) | Judged::NotConfigured, Answer::Refuse(_)) => Compared::Same,
        (Judged::Allowed, Answer::Refuse(words)) => {
            LooserRow::of(case, jwt, words).map_or(Compared::Different, Compared::Looser)
        }
        (judged, Answer::Accept) => {
            Row::of(case, judged, jwt).map_or(Compared::Different, Compared::Stricter)
        }
    }
}

impl Summary {
    /// Takes in the summary of another part of the same run.
    pub(crate) fn add(&mut self, other: Self) {
        self.judged += other.judged;
        self.accepted += other.accepted;
        self.left_out += other.left_out;
        self.differences.extend(other.differences);
        for (row, count) in other.rows {
            *self.rows.entry(row).or_default() += count;
        }
        for (row, count) in other.looser {
            *self.looser.entry(row).or_default() += count;
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { recipe, case, judged, answer } = self;
        let direction = match answer {
            Answer::Accept => "STRICTER than Kuma, and no row of the table says so",
            Answer::Refuse(_) | Answer::Unasked => "LOOSER than Kuma, and no row says so",
        };
        writeln!(f, "{direction}\n  gate: {judged:?}\n  Kuma: {answer:?}\n  made by: {recipe:?}")?;
        let vector = vector::of(case, answer, &format!("{:?}", recipe));
        write!(f, "as a vector for tests/data/found.json:\n{vector:#}")
    }
}
