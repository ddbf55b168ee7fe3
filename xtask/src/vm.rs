//! `cargo xtask vm`: the kernel tests on other kernels than this machine's, each booted in a virtual machine of its own.
//!
//! Real Debian kernels, emulated; a first file system of our own, and in it the very test program that runs on this
//! machine too.

mod console;
mod cpio;
mod guest;
mod initramfs;
mod kernels;
mod modules;
mod report;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result};

use crate::setup::{self, Part, Series};
use crate::shell;
use crate::suite::{self, Built, Outcome};
use crate::tally::Tally;
use crate::workspace::Workspace;

use self::guest::Guest;
use self::initramfs::{Program, Userland};
use self::kernels::Chosen;

/// What a person asked for.
pub(crate) struct Request {
    pub(crate) kernels: Vec<Series>,
    /// Packages of one kernel more, which nobody fetches.
    pub(crate) debs: Vec<PathBuf>,
    /// Not the tests, but what `mesh-tracer check` says there.
    pub(crate) check: bool,
    /// For the test program; none of them: all tests.
    pub(crate) args: Vec<String>,
}

/// How it went on one kernel.
struct Ran {
    release: String,
    outcome: Result<Outcome>,
    seconds: f64,
}

/// What runs in the guests.
struct Work<'a> {
    name: &'a str,
    program: &'a Path,
    userland: Userland,
    /// A test program, whose results are counted.
    tests: bool,
    folder: PathBuf,
}

const KERNEL_TESTS: &str = "tracer-daemon tests/kernel";

/// Boots what was asked for; whether all of it went well.
pub(crate) fn run(workspace: &Workspace, request: &Request) -> Result<bool> {
    setup::ensure(workspace, &Part::VM)?;
    // These two test targets, because cargo builds the programs of their packages for them.
    let built = suite::build(workspace, &["--test", "kernel", "--test", "lab"])?;
    let mut kernels = kernels::fetched(workspace, &request.kernels)?;
    if !request.debs.is_empty() {
        kernels.push(kernels::unpacked(&request.debs, &folder(workspace)?)?);
    }
    let args = if request.check { &vec!["check".to_owned()] } else { &request.args };
    if !args.is_empty() {
        for kernel in &mut kernels {
            kernel.args.clone_from(args);
        }
    }
    let work = if request.check {
        Work::new(workspace, &built, "mesh-tracer check", built.program("mesh-tracer")?, false)?
    } else {
        Work::tests(workspace, &built)?
    };
    let mut tally = Tally::default();
    for ran in work.on_all(&kernels) {
        match &ran.outcome {
            // Its words stand above.
            Ok(_) if request.check => {}
            _ => drop(ran.tell(&mut tally)),
        }
    }
    if !request.check {
        println!("{} passed, {} failed", tally.passed, tally.failed);
    }
    Ok(tally.failed == 0)
}

/// The kernel tests on each of these kernels, counted; how many tests were left out.
pub(crate) fn test(
    workspace: &Workspace,
    built: &Built,
    kernels: &[Series],
    full: bool,
    tally: &mut Tally,
) -> Result<usize> {
    setup::ensure(workspace, &Part::VM)?;
    let mut kernels = kernels::fetched(workspace, kernels)?;
    if full {
        for kernel in &mut kernels {
            kernel.args.push("--include-ignored".to_owned());
        }
    }
    let ran = Work::tests(workspace, built)?.on_all(&kernels);
    Ok(ran.into_iter().map(|ran| ran.tell(tally)).sum())
}

impl<'a> Work<'a> {
    fn tests(workspace: &Workspace, built: &'a Built) -> Result<Self> {
        Self::new(workspace, built, KERNEL_TESTS, &built.suite(KERNEL_TESTS)?.program, true)
    }

    fn new(workspace: &Workspace, built: &Built, name: &'a str, program: &'a Path, tests: bool) -> Result<Self> {
        let folder = folder(workspace)?;
        let userland = Userland::gather(built.program("guest-init")?, &[program], &folder)?;
        Ok(Self { name, program, userland, tests, folder })
    }

    /// As many guests at a time as there are processors; the outcomes in the order of the kernels.
    fn on_all(&self, kernels: &[Chosen]) -> Vec<Ran> {
        let at_once = thread::available_parallelism().map_or(1, usize::from).min(kernels.len());
        let waiting = Mutex::new(kernels.iter().enumerate());
        let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
        let work_off = || {
            let mut ran = Vec::new();
            while let Some((index, kernel)) = next() {
                ran.push((index, self.on(kernel)));
            }
            ran
        };
        let mut ran: Vec<_> = thread::scope(|scope| {
            let workers: Vec<_> = (0..at_once).map(|_| scope.spawn(work_off)).collect();
            workers.into_iter().flat_map(|worker| worker.join().expect("a worker does not panic")).collect()
        });
        ran.sort_by_key(|(index, _)| *index);
        ran.into_iter().map(|(_, ran)| ran).collect()
    }

    fn on(&self, Chosen { label, kernel, args }: &Chosen) -> Ran {
        let took = shell::stopwatch();
        let boot = || {
            let folder = self.folder.join(&kernel.release);
            fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
            let program = Program { name: self.name, path: self.program, args };
            let programs = [program];
            let initramfs = self.userland.archive(kernel, &programs)?;
            let guest = Guest { label, image: &kernel.image(), folder: &folder, tests: self.tests };
            guest.run(&initramfs, programs.len())
        };
        Ran { release: kernel.release.clone(), outcome: boot(), seconds: took() }
    }
}

impl Ran {
    /// Says how it went and counts it; how many tests were left out.
    fn tell(self, tally: &mut Tally) -> usize {
        let Self { release, outcome, seconds } = self;
        match outcome {
            Ok(Outcome { tally: Tally { passed, failed }, left_out }) => {
                let word = if failed == 0 { "ok    " } else { "FAILED" };
                println!("{word}  Linux {release} ({seconds:.1} s): {passed} passed, {failed} failed");
                *tally += Tally { passed, failed };
                left_out
            }
            Err(error) => {
                println!("FAILED  Linux {release} ({seconds:.1} s): {error:#}");
                tally.failed += 1;
                0
            }
        }
    }
}

/// Where guests leave what they said.
fn folder(workspace: &Workspace) -> Result<PathBuf> {
    let folder = workspace.target()?.join("vm");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder)
}
