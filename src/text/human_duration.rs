//! A span of time, for people.

use std::fmt;
use std::time::Duration;

/// A span of time in its largest whole unit.
#[derive(Debug, Clone, Copy)]
pub struct HumanDuration(
    /// The time.
    pub Duration,
);

impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let units: [(u64, _); 3] = [(86_400, "days"), (3_600, "hours"), (60, "minutes")];
        match units.iter().find(|(unit, _)| seconds >= unit.saturating_mul(2)) {
            Some((unit, name)) => write!(f, "{} {name}", seconds.checked_div(*unit).unwrap_or(0)),
            None if seconds == 0 => f.write_str("less than a second"),
            None => write!(f, "{seconds} s"),
        }
    }
}
