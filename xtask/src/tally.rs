//! The count at the end: what passed, what failed, and a line for each thing counted.

use std::ops::AddAssign;

use anyhow::Result;

use crate::shell;

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
}

impl Tally {
    /// Does one thing, says how it went and how long it took, and counts it. An `Ok` is a remark, an error a failure.
    pub(crate) fn item(&mut self, name: &str, work: impl FnOnce() -> Result<String>) {
        let took = shell::stopwatch();
        match work() {
            Ok(remark) if remark.is_empty() => println!("ok      {name} ({:.1} s)", took()),
            Ok(remark) => println!("ok      {name} ({:.1} s): {remark}", took()),
            Err(error) => {
                println!("FAILED  {name} ({:.1} s): {error:#}", took());
                self.failed += 1;
                return;
            }
        }
        self.passed += 1;
    }

    pub(crate) fn good(self) -> bool {
        self.failed == 0 && self.passed > 0
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, Tally { passed, failed }: Tally) {
        self.passed += passed;
        self.failed += failed;
    }
}
