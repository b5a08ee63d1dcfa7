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

/// Hides `argument` in `text`, whole, and the value of `--flag=value`.
fn hide(text: &str, argument: &str) -> String {
    let value = argument.split_once('=').map_or(argument, |(_, value)| value);
    [argument, value].into_iter().filter(|hidden| hidden.len() > LONG).fold(
        text.to_owned(),
        |text, hidden| {
            let note = format!("[{} bytes, not shown]", hidden.len());
            // Inside quotes, an error shows line breaks as escapes.
            text.replace(hidden, &note).replace(&hidden.escape_debug().to_string(), &note)
        },
    )
}
