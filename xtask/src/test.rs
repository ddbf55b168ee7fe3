//! `cargo xtask test`: everything that a change has to pass, and one line at the end that says how it went.

mod suite;

use crate::check;
use crate::setup::{self, Part};
use crate::shell;
use crate::tally::Tally;
use crate::workspace::Workspace;

use self::suite::Suite;

/// With `full` also the tests marked `#[ignore = "full: ..."]`: the ones too long for every change.
pub(crate) fn all(workspace: &Workspace, full: bool) -> Tally {
    let took = shell::stopwatch();
    let mut tally = match setup::ensure(workspace, &Part::TEST) {
        Ok(()) => check::all(workspace),
        Err(error) => failed("setup", &error),
    };
    let mut left_out = 0;
    match suite::build(workspace) {
        Ok(suites) => {
            println!("ok      build of {} test programs", suites.len());
            tally.passed += 1;
            for suite in suites {
                left_out += run(workspace, &suite, full, &mut tally);
            }
        }
        Err(error) => tally += failed("build of the test programs", &error),
    }
    println!("all of it took {:.0} s", took());
    match left_out {
        0 => {}
        1 => println!("1 test was left to `cargo xtask test --full`"),
        left => println!("{left} tests were left to `cargo xtask test --full`"),
    }
    println!("{} passed, {} failed", tally.passed, tally.failed);
    tally
}

/// Runs one test program and counts its tests; gives back how many it left out.
fn run(workspace: &Workspace, suite: &Suite, full: bool, tally: &mut Tally) -> usize {
    println!("\n-- {}", suite.name);
    let took = shell::stopwatch();
    match suite.run(workspace, full) {
        Ok(outcome) => {
            let word = if outcome.tally.failed == 0 { "ok    " } else { "FAILED" };
            let Tally { passed, failed } = outcome.tally;
            println!("{word}  {} ({:.1} s): {passed} passed, {failed} failed", suite.name, took());
            *tally += outcome.tally;
            outcome.left_out
        }
        Err(error) => {
            *tally += failed(&suite.name, &error);
            0
        }
    }
}

/// What could not run did not pass.
fn failed(what: &str, error: &anyhow::Error) -> Tally {
    println!("FAILED  {what}: {error:#}");
    Tally { passed: 0, failed: 1 }
}
