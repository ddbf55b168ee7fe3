//! `cargo xtask test`: everything that a change has to pass, and one line at the end that says how it went.

use crate::check;
use crate::cluster;
use crate::demo;
use crate::fuzz;
use crate::setup::{self, Part, Series};
use crate::shell;
use crate::suite::{self, Built, Suite};
use crate::tally::Tally;
use crate::vm;
use crate::workspace::Workspace;

/// Seconds for each decoder: `cargo xtask fuzz` has longer ones.
const FUZZED: u32 = 15;

/// With `full` also the tests marked `#[ignore = "full: ..."]`: the ones too long for every change.
pub(crate) fn all(workspace: &Workspace, full: bool) -> Tally {
    let took = shell::stopwatch();
    let mut tally = match setup::ensure(workspace, &Part::TEST) {
        Ok(()) => check::all(workspace),
        Err(error) => failed("setup", &error),
    };
    if full && let Err(error) = cluster::prepare(workspace) {
        tally += failed("the image and the programs of a node", &error);
    }
    let mut left_out = 0;
    match suite::build(workspace, &[]) {
        Ok(built) => {
            println!("ok      build of {} test programs", built.suites.len());
            tally.passed += 1;
            for suite in &built.suites {
                left_out += run(workspace, suite, full, &mut tally);
            }
            left_out += other_kernels(workspace, &built, full, &mut tally);
        }
        Err(error) => tally += failed("build of the test programs", &error),
    }
    tally += fuzzed(workspace, full, &mut left_out);
    tally += demos(workspace, full, &mut left_out);
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

/// The kernel tests once more, on the oldest kernel and the newest; with `full` on those between them too.
fn other_kernels(workspace: &Workspace, built: &Built, full: bool, tally: &mut Tally) -> usize {
    println!("\n-- kernel tests in virtual machines");
    let kernels = if full { &Series::SUPPORTED[..] } else { &Series::ENDS[..] };
    match vm::test(workspace, built, kernels, full, tally) {
        Ok(left_out) => left_out,
        Err(error) => {
            *tally += failed("kernel tests in virtual machines", &error);
            0
        }
    }
}

/// Every decoder for a while; a target counts as one test.
fn fuzzed(workspace: &Workspace, full: bool, left_out: &mut usize) -> Tally {
    if !full {
        return match fuzz::targets(workspace) {
            Ok(targets) => {
                *left_out += targets.len();
                Tally::default()
            }
            Err(error) => failed("fuzz", &error),
        };
    }
    println!("\n-- fuzz");
    fuzz::all(workspace, FUZZED, None).unwrap_or_else(|error| failed("fuzz", &error))
}

/// What README begins with, by a file's facts and by an API server's.
fn demos(workspace: &Workspace, full: bool, left_out: &mut usize) -> Tally {
    const BOTH: [bool; 2] = [false, true];
    if !full {
        *left_out += BOTH.len();
        return Tally::default();
    }
    let mut tally = Tally::default();
    for kube in BOTH {
        let what = if kube { "demo --kube" } else { "demo" };
        println!("\n-- {what}");
        tally += match demo::demo(workspace, false, kube) {
            Ok(true) => Tally { passed: 1, failed: 0 },
            Ok(false) => failed(what, &anyhow::anyhow!("not every verdict is the expected one")),
            Err(error) => failed(what, &error),
        };
    }
    tally
}

/// What could not run did not pass.
fn failed(what: &str, error: &anyhow::Error) -> Tally {
    println!("FAILED  {what}: {error:#}");
    Tally { passed: 0, failed: 1 }
}
