//! How a command reports a failure.
//!
//! In: an error. Out: a line or two on standard error, and the exit code. Long arguments are not repeated, because one
//! may be a key or a token that was pasted into the wrong place. Characters that a terminal does not show as themselves
//! are escaped.
//! show as itself on a terminal is escaped.

use std::fmt;
use std::io::Write;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};

use super::printable;

/// Context that marks an error as the caller's: wrong arguments, or a file with the wrong contents.
#[derive(Debug)]
pub(super) struct BadInput(pub(super) String);

impl fmt::Display for BadInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadInput {}

/// Prints `error` and its causes.
pub(super) fn report(error: &anyhow::Error) -> ExitCode {
    print_error(error);
    if error.is::<BadInput>() { BAD_INPUT.into() } else { ExitCode::FAILURE }
}

/// Prints `error`, which is always the caller's mistake.
pub(super) fn bad_input(error: &anyhow::Error) -> ExitCode {
    print_error(error);
    BAD_INPUT.into()
}

/// The exit code for wrong arguments, and for files with the wrong contents.
const BAD_INPUT: u8 = 2;

/// Prints `error` and its causes, on one line.
fn print_error(error: &anyhow::Error) {
    print("error:", &format!(" {error:#}\n"));
}

/// Prints a warning beside the result.
pub(super) fn warn(what: &str) {
    let text = printable::lines(&hide_long_arguments(what));
    let _ = writeln!(anstream::stderr(), "{WARNING}warning:{WARNING:#} {text}");
}

/// Prints clap's result: an error, or the help or version.
pub(super) fn report_usage(error: &clap::Error) -> ExitCode {
    let text = error.render().to_string();
    let shown = printable::lines(&hide_long_arguments(&text));
    if shown == text && arguments().all(|argument| printable::lines(&argument) == argument) {
        // `error.print` keeps clap's colours, and prints help to standard output. A closed pipe is no error.
        let _ = error.print();
    } else {
        print("", &shown);
    }
    u8::try_from(error.exit_code()).unwrap_or(BAD_INPUT).into()
}

/// The style of clap.
const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();

/// Errors are ignored: if standard error is closed, nobody can be told.
fn print(title: &str, text: &str) {
    let text = printable::lines(&hide_long_arguments(text));
    let _ = write!(anstream::stderr(), "{ERROR}{title}{ERROR:#}{text}");
}

/// Longer than most paths, shorter than every key and token, in bytes.
const LONG: usize = 200;

fn hide_long_arguments(text: &str) -> String {
    arguments().fold(text.to_owned(), |text, argument| hide(&text, &argument))
}

fn arguments() -> impl Iterator<Item = String> {
    std::env::args_os().map(|argument| argument.to_string_lossy().into_owned())
}

/// Hides `argument` in `text`, as a whole and in each part between `=`: clap splits `--flag=value`, and treats
/// everything that starts with two dashes as a flag, even a PEM.
fn hide(text: &str, argument: &str) -> String {
    let parts = [argument].into_iter().chain(argument.split('='));
    parts.filter(|part| part.len() > LONG).fold(text.to_owned(), |text, part| {
        let note = format!("[{} bytes, not shown]", part.len());
        text.replace(part, &note)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_arguments_are_hidden_whole_and_in_part() {
        let secret = "s".repeat(LONG).replace("ss", "s\n") + "=";
        assert_eq!(hide(&format!("'{secret}'"), &secret), "'[201 bytes, not shown]'");
        let long = "s".repeat(201);
        for (argument, shown) in [
            (format!("--format={long}"), long.clone()),
            (format!("--{long}==\n--"), format!("--{long}")),
        ] {
            let hidden = hide(&format!("a '{shown}' b"), &argument);
            assert_eq!(hidden, format!("a '[{} bytes, not shown]' b", shown.len()));
        }
        assert_eq!(hide("short", "short"), "short");
    }
}
