//! A list of tokens, one a line, sorted by expiry.
//!
//! In: tokens, files with tokens, and folders of such files. Out: a table, or a list for other programs. `report` shows
//! a single token in full. No signature is checked.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use zonegate::credential::{ClaimValue, Claims};
use zonegate::gate::UnixTime;
use zonegate::token::NumericDate;

use super::report::{Report, UNVERIFIED};
use crate::cli::columns::columns;
use crate::cli::failure::BadInput;
use crate::cli::output_value::OutputValue;
use crate::cli::printable::one_line;
use crate::cli::time;
use crate::cli::token_text::TokenText;

/// A limit that is larger than any number of tokens, so that a wrong folder is not read to its end.
const MOST_FILES: usize = 100_000;
/// The greatest depth of folders that are read.
const MOST_DEEP: usize = 8;

/// A token, and where it was found.
pub(super) struct Found {
    place: String,
    report: Report,
}

/// All tokens that were found.
pub(super) struct List {
    /// Sorted by expiry.
    tokens: Vec<Found>,
    /// The number of files in folders without a token.
    others: usize,
}

impl List {
    /// Reads the tokens that the arguments name, with times relative to `now`.
    ///
    /// # Errors
    /// An argument cannot be read. Files without a token in a folder are skipped.
    pub(super) fn read(args: &[OsString], now: UnixTime) -> anyhow::Result<Self> {
        let mut list = Self { tokens: Vec::new(), others: 0 };
        for arg in args {
            match Path::new(arg).is_dir() {
                true => list.read_folder(Path::new(arg), now)?,
                false => {
                    let token = TokenText::of(arg.clone());
                    let report = Report::of(&token.read()?, now);
                    list.tokens.push(Found { place: token.name(), report });
                }
            }
        }
        list.tokens.sort_by_key(Found::expires);
        Ok(list)
    }

    fn read_folder(&mut self, folder: &Path, now: UnixTime) -> anyhow::Result<()> {
        let mut files = Vec::new();
        add_files(folder, MOST_DEEP, &mut files)?;
        files.sort_unstable();
        for file in files {
            let place = file.display().to_string();
            let unreadable = || BadInput(format!("could not read {place}"));
            // An unreadable file is an error, and not a file without a token.
            fs::File::open(&file).with_context(unreadable)?;
            let report = TokenText::of(file.into()).read().map(|text| Report::of(&text, now));
            match report {
                Ok(report) if report.registered.is_some() => {
                    self.tokens.push(Found { place, report });
                }
                _ => self.others = self.others.saturating_add(1),
            }
        }
        Ok(())
    }

    /// Keeps only tokens that expire within `span` of `now`, or have expired.
    pub(super) fn keep_expiring(&mut self, now: UnixTime, span: Duration) {
        let end = now.saturating_add(span);
        let is_soon = |date: NumericDate| UnixTime::from(date) <= end;
        self.tokens.retain(|found| found.expires_at().is_some_and(is_soon));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// The first fault of a token, and the place of the token.
    pub(super) fn fault(&self) -> Option<(&str, &str)> {
        let faulty = |found: &'_ Found| found.report.faults.first().cloned();
        let found = self.tokens.iter().find(|found| faulty(found).is_some())?;
        Some((&found.place, found.report.faults.first()?))
    }

    /// The list for other programs.
    pub(super) fn to_output_value(&self) -> OutputValue {
        let one = |found: &Found| {
            let OutputValue::Object(fields) = found.report.to_output_value() else {
                return found.report.to_output_value();
            };
            let place = ("place".to_owned(), OutputValue::text(found.place.clone()));
            OutputValue::Object([place].into_iter().chain(fields).collect())
        };
        OutputValue::List(self.tokens.iter().map(one).collect())
    }

    /// The list for people.
    pub(super) fn to_table(&self) -> String {
        let mut rows = vec![["EXPIRES", "", "KIND", "FOR", "KID", "ID", "IN"].map(str::to_owned)];
        rows.extend(self.tokens.iter().map(Found::row));
        let mut table = format!("{UNVERIFIED}\n\n{}", columns(&rows));
        if self.others > 0 {
            let _ = writeln!(table, "\n{} other files hold no token", self.others);
        }
        table
    }
}

impl Found {
    fn expires_at(&self) -> Option<NumericDate> {
        self.report.registered.as_ref()?.expires_at
    }

    /// The sort key: tokens that never expire come after all dates, and unreadable tokens come last.
    fn expires(&self) -> (bool, bool, Option<NumericDate>) {
        let date = self.expires_at();
        (self.report.registered.is_none(), date.is_none(), date)
    }

    fn row(&self) -> [String; 7] {
        let Report { registered, kind, kid, now, .. } = &self.report;
        let [date, when] = match (registered, self.expires_at()) {
            (None, _) => ["broken".to_owned(), String::new()],
            (Some(_), None) => ["never".to_owned(), String::new()],
            (Some(_), Some(date)) => {
                [time::utc(date).unwrap_or_else(|| date.0.to_string()), time::relative(date, *now)]
            }
        };
        let id = registered.as_ref().map(|registered| registered.id.clone()).unwrap_or_default();
        let kid = kid.clone().unwrap_or_default();
        [date, when, (*kind).to_owned(), self.holder(), kid, id, self.place.clone()]
            .map(|cell| one_line(&cell).to_string())
    }

    /// The holder of the token: its zone, its mesh and name, or its namespace and account.
    fn holder(&self) -> String {
        if self.report.kind == "unknown" {
            return String::new();
        }
        let members = self.report.claims.iter().flat_map(Claims::members);
        let texts = members.filter_map(|(_, value)| match value {
            ClaimValue::Text(text) if !text.is_empty() => Some(text),
            ClaimValue::Text(_) | ClaimValue::List(_) => None,
        });
        match texts.collect::<Vec<_>>().join(" ") {
            text if text.is_empty() => "any".to_owned(),
            text => text,
        }
    }
}

/// Adds the files in a folder and its subfolders, without hidden ones: a mounted volume has copies in hidden folders.
fn add_files(folder: &Path, deep: usize, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let unreadable = || BadInput(format!("could not read the folder {}", folder.display()));
    for entry in fs::read_dir(folder).with_context(unreadable)? {
        let entry = entry.with_context(unreadable)?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = entry.path();
        let is_folder = entry.file_type().with_context(unreadable)?.is_dir();
        match deep.checked_sub(1) {
            Some(deep) if is_folder => add_files(&path, deep, files)?,
            None if is_folder => {}
            _ if path.is_file() => files.push(path),
            _ => {}
        }
        if files.len() > MOST_FILES {
            bail!(BadInput(format!("{}: more than {MOST_FILES} files", folder.display())));
        }
    }
    Ok(())
}
