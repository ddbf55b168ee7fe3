//! Ground vocabulary: addresses, sockets' names and kernel time. Everything else is said in these words.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// A shared, immutable string: names are cloned into every record, so a clone must cost a counter and not a copy.
pub type Name = arcstr::ArcStr;

/// One end of a TCP connection. IPv4-mapped IPv6 addresses never get here: `Endpoint::new` unmaps them (trap 11).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Endpoint {
    pub ip: IpAddr,
    pub port: u16,
}

/// Nanoseconds of the kernel's monotonic clock (`bpf_ktime_get_ns`). The engine knows no other clock.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct Ktime(pub u64);

/// The kernel's name of a socket (`bpf_get_socket_cookie`), never reused while the machine is up.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Cookie(pub u64);

/// Inode number of a network namespace (`/proc/PID/ns/net`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct NetNs(pub u32);

/// Id of a cgroup2 directory (its inode number).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct CgroupId(pub u64);

impl Endpoint {
    pub fn new(ip: IpAddr, port: u16) -> Self {
        Self { ip: ip.to_canonical(), port }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ip {
            IpAddr::V4(ip) => write!(f, "{ip}:{}", self.port),
            IpAddr::V6(ip) => write!(f, "[{ip}]:{}", self.port),
        }
    }
}

impl Ktime {
    /// Time from `earlier` to `self`; zero where the clock of another cpu ran a little ahead.
    pub fn since(self, earlier: Ktime) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl std::ops::Add<Duration> for Ktime {
    type Output = Ktime;

    fn add(self, by: Duration) -> Ktime {
        Ktime(self.0.saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
    }
}
