//! The only place that reads a clock. The engine is told the time; everything that leaves the daemon is dated from
//! here.

use jiff::Timestamp;
use rustix::time::{ClockId, Timespec, clock_gettime};
use tracer_engine::net::Ktime;

/// The wall time at which the kernel's monotonic clock stood at zero. It moves when the wall clock is set, so it is
/// read anew for each batch of records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Epoch {
    nanos: i128,
}

/// The clock that the probes read (`bpf_ktime_get_ns`).
pub fn ktime() -> Ktime {
    Ktime(nanos(clock_gettime(ClockId::Monotonic)).try_into().unwrap_or_default())
}

pub fn wall() -> Timestamp {
    timestamp(nanos(clock_gettime(ClockId::Realtime)))
}

impl Epoch {
    pub fn now() -> Self {
        let monotonic = nanos(clock_gettime(ClockId::Monotonic));
        Self { nanos: nanos(clock_gettime(ClockId::Realtime)) - monotonic }
    }

    /// For tests and for recorded inputs, whose clocks were read on another machine.
    pub fn from_boot(boot: Timestamp) -> Self {
        Self { nanos: boot.as_nanosecond() }
    }

    /// As far as two readings of two clocks, one after the other, can tell.
    pub fn is_about(self, other: Self) -> bool {
        (self.nanos - other.nanos).abs() < 1_000_000
    }

    pub fn at(self, time: Ktime) -> Timestamp {
        timestamp(self.nanos + i128::from(time.0))
    }
}

fn nanos(time: Timespec) -> i128 {
    i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec)
}

/// A clock that is off by millennia still gives a record a date.
fn timestamp(nanos: i128) -> Timestamp {
    Timestamp::from_nanosecond(nanos).unwrap_or(if nanos < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_time_becomes_wall_time() {
        let boot: Timestamp = "2026-11-23T10:00:00Z".parse().expect("a date");
        let at = Epoch::from_boot(boot).at(Ktime(123_456_789));
        assert_eq!(format!("{at:.9}"), "2026-11-23T10:00:00.123456789Z");
    }

    #[test]
    fn now_is_now_by_both_clocks() {
        let apart = wall().as_nanosecond() - Epoch::now().at(ktime()).as_nanosecond();
        assert!(apart.abs() < 1_000_000_000, "the two clocks differ by {apart} ns");
    }
}
