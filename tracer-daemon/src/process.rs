//! What the kernel says of this very process: for `status` and the `process_*` metrics.

use rustix::time::{ClockId, clock_gettime};
use std::fs;
use std::io;
use std::time::Duration;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    /// `RssAnon`: what is ours alone; mapped files and the probes' ring are not in it.
    pub rss_anon: u64,
    /// `VmRSS`
    pub rss: u64,
    pub open_fds: u64,
    pub cpu: Duration,
}

impl Usage {
    pub fn now() -> io::Result<Self> {
        let status = fs::read_to_string("/proc/self/status")?;
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        Ok(Self {
            rss_anon: kibibytes(&status, "RssAnon:"),
            rss: kibibytes(&status, "VmRSS:"),
            // The directory that counts them is open itself.
            open_fds: (fs::read_dir("/proc/self/fd")?.count() as u64).saturating_sub(1),
            cpu: Duration::new(cpu.tv_sec.try_into().unwrap_or_default(), cpu.tv_nsec.try_into().unwrap_or_default()),
        })
    }
}

/// The host's name: in a cluster mostly the node's too.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// `6.18.0-1-amd64`
pub fn kernel_release() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

fn kibibytes(status: &str, key: &str) -> u64 {
    status
        .lines()
        .find_map(|line| line.strip_prefix(key))
        .and_then(|rest| rest.trim().strip_suffix(" kB"))
        .and_then(|number| number.trim().parse::<u64>().ok())
        .map_or(0, |number| number * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_its_own_figures() {
        let usage = Usage::now().unwrap();
        assert!(usage.rss >= usage.rss_anon && usage.rss_anon > 0, "{usage:?}");
        assert!(usage.open_fds >= 3 && usage.cpu > Duration::ZERO, "{usage:?}");
    }
}
