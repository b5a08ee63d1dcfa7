//! The times of the polls.
//!
//! In: the result of the last poll, and a random number. Out: how long to wait. Nothing waits here.

use std::time::Duration;

/// The longest pause while a control plane is away, unless the interval is longer. It limits how late a gateway notices
/// that the control plane is back.
pub const MAX_BACKOFF: Duration = Duration::from_secs(60);

/// The times between polls.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    interval: Duration,
    failures: u32,
}

impl Schedule {
    /// A poll every `interval`.
    pub fn new(interval: Duration) -> Self {
        Self { interval, failures: 0 }
    }

    /// The number of failed polls since the last success.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// The wait after a successful poll: the interval or up to a tenth less, so that many gateways do not ask at once.
    /// `random` is from 0 to 1.
    pub fn after_success(&mut self, random: f64) -> Duration {
        self.failures = 0;
        share(self.interval, 1.0 - 0.1 * clamped(random))
    }

    /// The wait after a failed poll: the interval, doubled with each failure after the first, minus up to half of it at
    /// random.
    pub fn after_failure(&mut self, random: f64) -> Duration {
        let doubled = 2_u32.checked_pow(self.failures).unwrap_or(u32::MAX);
        self.failures = self.failures.saturating_add(1);
        let most = MAX_BACKOFF.max(self.interval);
        let wait = self.interval.checked_mul(doubled).unwrap_or(most).min(most);
        share(wait, 1.0 - 0.5 * clamped(random))
    }

    /// The longest wait.
    pub fn longest(&self) -> Duration {
        MAX_BACKOFF.max(self.interval)
    }
}

/// A part of `whole`. `Duration::mul_f64` would panic if rounding goes beyond the longest duration.
fn share(whole: Duration, part: f64) -> Duration {
    Duration::try_from_secs_f64(whole.as_secs_f64() * part).unwrap_or(whole)
}

/// A value outside 0 to 1 could make a duration negative.
fn clamped(random: f64) -> f64 {
    if random.is_nan() { 0.0 } else { random.clamp(0.0, 1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn no_poll_is_later_than_the_interval() {
        let mut schedule = Schedule::new(SECOND);
        assert_eq!(schedule.after_success(0.0), SECOND);
        assert_eq!(schedule.after_success(1.0), Duration::from_millis(900));
        assert_eq!(schedule.after_success(f64::NAN), SECOND);
    }

    #[test]
    fn waits_double_up_to_the_bound_and_start_anew() {
        let mut schedule = Schedule::new(SECOND);
        let waits: Vec<_> = (0..8).map(|_| schedule.after_failure(0.0).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(schedule.failures(), 8);
        assert_eq!(schedule.after_failure(1.0).as_secs(), 30);
        schedule.after_success(0.5);
        assert_eq!((schedule.failures(), schedule.after_failure(0.0)), (0, SECOND));
    }

    #[test]
    fn a_long_interval_is_its_own_bound() {
        let hour = Duration::from_secs(3600);
        let mut schedule = Schedule::new(hour);
        assert_eq!([schedule.after_failure(0.0), schedule.after_failure(0.0)], [hour, hour]);
        let mut schedule = Schedule { interval: Duration::MAX, failures: 40 };
        assert_eq!(schedule.after_failure(0.0), Duration::MAX);
    }
}
