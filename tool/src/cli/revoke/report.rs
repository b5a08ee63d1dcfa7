//! The report about a changed file.

use std::collections::{HashMap, HashSet};
use std::fmt;

use zonegate::text::Quoted;

use super::args::{IdOrToken, Verified};
use crate::revocation_file::{Edited, Layout};

/// The changes of the file `name`.
pub(super) struct Report<'a> {
    pub(super) name: &'a str,
    pub(super) args: &'a [IdOrToken],
    pub(super) edited: &'a Edited,
    pub(super) prune: bool,
    pub(super) dry_run: bool,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Edited { text: _, added, already, dropped, total, layout } = self.edited;
        let would = if self.dry_run { "would be " } else { "" };
        let from = self.from();
        let of = |id: &String| from.get(id.as_str()).map_or("", String::as_str);
        let left: HashSet<&str> = self.left().map(|arg| arg.id.as_str()).collect();
        for id in added {
            writeln!(f, "{}: {would}revoked{}", Quoted(id), of(id))?;
        }
        for id in already.iter().filter(|id| !left.contains(id.as_str())) {
            writeln!(f, "{}: revoked already{}", Quoted(id), of(id))?;
        }
        for id in dropped {
            writeln!(f, "{}: {would}dropped: its token has expired", Quoted(id))?;
        }
        for IdOrToken { id, verified, .. } in self.left() {
            let id = Quoted(id);
            writeln!(f, "{id}: left as it is: its token has expired, but {verified}")?;
        }
        f.write_str(layout_words(*layout))?;
        let unit = if *total == 1 { "id" } else { "ids" };
        let end = if self.dry_run { "; nothing was written (--dry-run)" } else { "" };
        writeln!(f, "{}: {total} {unit}{end}", self.name)
    }
}

impl Report<'_> {
    /// Expired tokens that are not verified.
    fn left(&self) -> impl Iterator<Item = &IdOrToken> {
        let is_left =
            |arg: &&IdOrToken| self.prune && arg.is_expired() && arg.verified != Verified::Yes;
        self.args.iter().filter(is_left)
    }

    /// Descriptions of the tokens, by their ids. If several tokens have one id, the first counts.
    fn from(&self) -> HashMap<&str, String> {
        let mut from = HashMap::new();
        for arg in self.args {
            let known = arg.describe();
            if !known.is_empty() {
                from.entry(arg.id.as_str()).or_insert_with(|| format!(" ({known})"));
            }
        }
        from
    }
}

/// Other changes in the file.
pub(super) fn layout_words(layout: Layout) -> &'static str {
    match layout {
        Layout::Kept => "",
        Layout::Commas => {
            "The ids were separated by white space, which Kuma does not understand; now by commas.\n"
        }
        Layout::Anew => {
            "The revocations could not be changed alone: the file is written anew, without its \
             comments (--reformat).\n"
        }
    }
}
