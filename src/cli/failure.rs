//! How a command says that it failed.
//!
//! In: an error. Out: a line or two on standard error, and the exit code. Long arguments are not
//! repeated: one of them may be a key or a token that was pasted into the wrong place.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

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
    print(&format!("error: {error:#}\n"));
    ExitCode::from(if error.is::<BadInput>() { 2 } else { 1 })
}

/// Prints what clap found: an error, or the help or version that was asked for.
pub(super) fn report_usage(error: &clap::Error) -> ExitCode {
    let text = error.render().to_string();
    let shown = hide_long_arguments(&text);
    if shown == text {
        // With clap's colours, and to standard output where it is help. A closed pipe is no error.
        let _ = error.print();
    } else {
        print(&shown);
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

/// Standard error may be closed; then nobody can be told.
fn print(text: &str) {
    let _ = io::stderr().write_all(hide_long_arguments(text).as_bytes());
}

/// Longer than most paths, shorter than every key and token.
const LONG: usize = 200;

fn hide_long_arguments(text: &str) -> String {
    let arguments = std::env::args_os().map(|argument| argument.to_string_lossy().into_owned());
    arguments.fold(text.to_owned(), |text, argument| hide(&text, &argument))
}

/// Hides `argument` in `text`: whole, and each part between `=`, because clap takes `--flag=value`
/// apart, and for it everything that starts with two dashes is a flag, a PEM as well.
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
