//! How long is waited for what. A thousand daemons must not come back at the same moment.

use std::time::Duration;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pace {
    /// After the first failure; each further one doubles it.
    pub shortest: Duration,
    pub longest: Duration,
    /// Before a kind that is not served, or not allowed, is asked for again.
    pub absent: Duration,
    /// Before credentials that were refused are read again.
    pub credentials: Duration,
    /// A server that says nothing for this long is not waited for: not in an answer, and beside a watch's own time.
    pub silence: Duration,
    /// How long a watch lasts before the server is to end it.
    pub watch: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            shortest: Duration::from_millis(800),
            longest: Duration::from_secs(30),
            absent: Duration::from_secs(45),
            credentials: Duration::from_secs(1),
            silence: Duration::from_secs(30),
            watch: Duration::from_mins(5),
        }
    }
}

/// Waits that grow.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    pace: Pace,
    failures: u32,
}

impl Backoff {
    pub(super) fn new(pace: Pace) -> Self {
        Self { pace, failures: 0 }
    }

    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// As client-go's: doubled each time, and up to as much again by chance.
    pub(super) fn next(&mut self) -> Duration {
        let grown = self.pace.shortest.saturating_mul(1 << self.failures.min(16));
        self.failures += 1;
        jittered(grown.min(self.pace.longest))
    }
}

/// `least`, and by chance up to as much again.
pub(super) fn jittered(least: Duration) -> Duration {
    least.mul_f64(1.0 + chance())
}

/// From 0 to 1. Of the standard library only the keys of its hash maps are random.
fn chance() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0) as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_begin_anew_after_success() {
        let pace = Pace { shortest: Duration::from_secs(1), longest: Duration::from_secs(5), ..Pace::default() };
        let mut backoff = Backoff::new(pace);
        for least in [1, 2, 4, 5, 5] {
            let wait = backoff.next();
            assert!((least..=2 * least).contains(&wait.as_secs()), "{wait:?} where {least} s is the least");
        }
        backoff.reset();
        assert!(backoff.next() <= Duration::from_secs(2));
    }

    #[test]
    fn two_daemons_do_not_wait_equally_long() {
        let waits: Vec<_> = (0..8).map(|_| jittered(Duration::from_secs(1))).collect();
        assert!(waits.iter().any(|wait| *wait != waits[0]), "{waits:?}");
    }
}
