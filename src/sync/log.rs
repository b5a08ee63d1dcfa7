//! Where a sync says what it does.
//!
//! In: a line. Out: the line on standard error, with the program's name in front. The time is added by
//! whoever collects it (journald, a container's runtime).

use std::io::{self, Write};

/// Says `line`. If standard error is closed, nobody can be told.
pub fn say(line: &str) {
    let _ = io::stderr().write_all(format!("zonegate sync: {line}\n").as_bytes());
}
