//! Which tests pass on which release of Kuma, written to the table in `docs/kuma.md`.
//!
//! In: the results of `cargo test` for the tests here, in the file that `ZONEGATE_KUMA_RESULTS` names, and the current
//! table. Out: the table with a new column for this release; the other columns stay. With `UPDATE_DOCS=1` only, a
//! release that is not in the table gets a column, or replaces the column of an older patch.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use crate::exceptions;
use crate::harness::home;
use zonegate_testkit::kuma::Release;

const BEGIN: &str = "<!-- releases: begin, written by make test-kuma -->\n";
const END: &str = "<!-- releases: end -->\n";
/// This test, which is not in the table.
const ITSELF: &str = "matrix::the_matrix_of_releases_is_up_to_date";

/// Cells by test, then by release.
#[derive(Debug, Default, PartialEq, Eq)]
struct Matrix {
    releases: Vec<String>,
    cells: BTreeMap<String, BTreeMap<String, String>>,
}

#[test]
#[ignore = "needs the results of all others: make test-kuma"]
fn the_matrix_of_releases_is_up_to_date() {
    let results = std::env::var_os("ZONEGATE_KUMA_RESULTS").expect("run make test-kuma");
    let results = std::fs::read_to_string(results).unwrap();
    let release = home().release().clone();
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join("docs/kuma.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("docs/kuma.md has no place for the matrix");
    let (written, after) = rest.split_once(END).expect("the matrix in docs/kuma.md has no end");
    let is_update = std::env::var_os("UPDATE_DOCS").is_some();
    let mut matrix = Matrix::parse(written);
    if !is_update && !matrix.releases.contains(&release.to_string()) {
        println!("docs/kuma.md has no column for {release} (UPDATE_DOCS=1 make test-kuma adds it)");
        return;
    }
    matrix.set(&release, &passed(&results));
    let table = matrix.to_string();
    assert!(
        is_update || written == table,
        "the matrix in docs/kuma.md is not up to date (UPDATE_DOCS=1 make test-kuma writes it); it \
         should be\n{table}"
    );
    if written != table {
        std::fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
    }
}

/// The tests in the lines of `cargo test` that passed. Tests of other binaries are in none of our modules.
fn passed(results: &str) -> Vec<String> {
    let lines = results.lines().filter_map(|line| line.strip_prefix("test "));
    let (good, bad): (Vec<_>, Vec<_>) = lines.partition(|line| line.ends_with(" ... ok"));
    assert!(bad.iter().all(|line| !line.ends_with("FAILED")), "{bad:?}");
    let names = good.iter().filter_map(|line| line.strip_suffix(" ... ok"));
    let ours: Vec<_> = names.filter(|name| is_ours(name)).map(str::to_owned).collect();
    assert!(ours.len() > 20, "{} tests have passed:\n{results}", ours.len());
    ours
}

fn is_ours(name: &str) -> bool {
    let source = name.split_once("::").map(|(module, _)| format!("mod {module};"));
    name != ITSELF && source.is_some_and(|source| include_str!("main.rs").contains(&source))
}

impl Matrix {
    /// Reads the output of [`Matrix::to_string`]; anything else is an empty table.
    fn parse(table: &str) -> Self {
        let cells = |line: &str| -> Vec<String> {
            line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
        };
        let mut rows = table.lines().take_while(|line| line.starts_with('|')).map(cells);
        let releases = rows.next().map(|row| row[1..].to_vec()).unwrap_or_default();
        let rows = rows.skip(1).map(|row| {
            let name = row[0].trim_matches('`').to_owned();
            (name, releases.iter().cloned().zip(row[1..].iter().cloned()).collect())
        });
        let cells = rows.collect();
        Self { releases, cells }
    }

    /// Sets the column of `release` to these tests, and removes tests that no longer exist.
    fn set(&mut self, release: &Release, passed: &[String]) {
        let (new, line) = (release.to_string(), |text: &str| {
            text.rsplit_once('.').map(|(line, _)| line.to_owned())
        });
        self.releases.retain(|old| line(old) != line(&new));
        self.releases.push(new.clone());
        self.releases.sort_by_key(|text| std::cmp::Reverse(numbers(text)));
        self.cells.retain(|name, _| passed.contains(name));
        for name in passed {
            let mut of_test = exceptions::ALL.iter().zip(1..);
            let cell = of_test.find(|(except, _)| except.test == name && except.holds(release));
            let cell = cell.map_or("passes".to_owned(), |(_, note)| format!("but for ({note})"));
            self.cells.entry(name.clone()).or_default().insert(new.clone(), cell);
        }
    }
}

fn numbers(release: &str) -> Vec<u32> {
    release.split('.').map(|number| number.parse().unwrap_or_default()).collect()
}

impl std::fmt::Display for Matrix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut table = format!("| test | {} |\n|---|", self.releases.join(" | "));
        table.push_str(&"---|".repeat(self.releases.len()));
        table.push('\n');
        for (name, cells) in &self.cells {
            write!(table, "| `{name}` |")?;
            for release in &self.releases {
                let cell = cells.get(release).map_or("not run", String::as_str);
                write!(table, " {cell} |")?;
            }
            table.push('\n');
        }
        table.push('\n');
        for (except, note) in exceptions::ALL.iter().zip(1..) {
            writeln!(table, "{note}. {}.", except.why)?;
        }
        f.write_str(&table)
    }
}

/// This test needs no Kuma.
#[test]
fn a_release_replaces_an_older_patch_and_leaves_the_others() {
    let test = exceptions::DELTA.test.to_owned();
    let mut matrix = Matrix::default();
    for release in ["2.9.19", "2.13.9", "2.14.3", "2.13.10"] {
        matrix.set(&release.parse().unwrap(), std::slice::from_ref(&test));
    }
    assert_eq!(matrix.releases, ["2.14.3", "2.13.10", "2.9.19"]);
    let row = format!("| `{test}` | passes | but for (1) | but for (1) |\n");
    assert!(matrix.to_string().contains(&row), "{matrix}");
    assert_eq!(Matrix::parse(&matrix.to_string()).to_string(), matrix.to_string());
    assert!(is_ours("verdicts::x") && !is_ours("x") && !is_ours("other::x") && !is_ours(ITSELF));
}
