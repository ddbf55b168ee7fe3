//! The monotonic clock, the same that the kernel stamps its events with, and the only place that waits by it.

use std::time::Duration;

use rustix::thread::ClockId;
use rustix::time::Timespec;

/// Nanoseconds of `CLOCK_MONOTONIC`.
pub(crate) fn now() -> u64 {
    let Timespec { tv_sec, tv_nsec } = rustix::time::clock_gettime(ClockId::Monotonic);
    tv_sec as u64 * 1_000_000_000 + tv_nsec as u64
}

/// Processor time of this process, all threads.
pub(crate) fn cpu() -> Duration {
    let Timespec { tv_sec, tv_nsec } = rustix::time::clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(tv_sec.cast_unsigned(), u32::try_from(tv_nsec).unwrap_or(0))
}

/// For pacing calls and for asking again what has no notification (is this proxy ready?).
pub(crate) fn sleep(duration: Duration) {
    sleep_until(now() + duration.as_nanos() as u64);
}

/// Sleeps up to a moment of this clock, so that a paced series does not drift.
pub(crate) fn sleep_until(moment: u64) {
    let (seconds, rest) = (moment / 1_000_000_000, moment % 1_000_000_000);
    let moment = Timespec { tv_sec: seconds.cast_signed(), tv_nsec: rest.cast_signed() };
    // A signal may end it early; every caller either loops or does not mind a call that comes a moment too soon.
    let _interrupted = rustix::thread::clock_nanosleep_absolute(ClockId::Monotonic, &moment);
}
