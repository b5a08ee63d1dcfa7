//! `zonegate man`.
//!
//! In: a folder, or nothing. Out: a manual page for the tool and for each of its verbs: as files in the folder, which
//! replace earlier ones, or all of them on standard output.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Command};
use clap_mangen::Man;

use super::failure::BadInput;
use super::{command, output};

const EXAMPLES: &str = "\
Examples:
  $ zonegate man | man -l -
  $ zonegate man /usr/local/share/man/man1";

/// Write the manual pages
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Manual {
    /// An existing folder, for a file per page; without it all pages go to standard output
    folder: Option<PathBuf>,
}

impl Manual {
    /// Writes the pages.
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let pages = pages()?;
        match self.folder {
            Some(folder) => write(&pages, &folder)?,
            None => {
                let all: String = pages.into_iter().map(|page| page.text).collect();
                output::print(&all).context("could not write to standard output")?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

struct Page {
    file: String,
    text: String,
}

fn pages() -> anyhow::Result<Vec<Page>> {
    let mut tool = command().disable_help_subcommand(true);
    tool.build();
    let mut pages = Vec::new();
    collect(&tool, &mut pages)?;
    Ok(pages)
}

/// Adds the page of `command`, then the pages of its verbs.
fn collect(command: &Command, pages: &mut Vec<Page>) -> anyhow::Result<()> {
    let source = concat!("zonegate ", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command.clone()).manual("Zonegate").source(source);
    let mut text = Vec::new();
    man.render(&mut text).context("could not write a page")?;
    let text = String::from_utf8(text).context("a page is no text")?;
    let text = text.replace("\n.SH EXTRA\n", "\n.SH NOTES\n");
    pages.push(Page { file: man.get_filename(), text });
    command.get_subcommands().try_for_each(|verb| collect(verb, pages))
}

fn write(pages: &[Page], folder: &Path) -> anyhow::Result<()> {
    if !folder.is_dir() {
        anyhow::bail!(BadInput(format!("{}: no such folder: make it first", folder.display())));
    }
    for page in pages {
        let path = folder.join(&page.file);
        fs::write(&path, &page.text)
            .with_context(|| format!("could not write {}", path.display()))?;
    }
    Ok(())
}
