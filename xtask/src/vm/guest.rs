//! One virtual machine: booted, listened to, and ended if it does not end by itself.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};

use super::console;
use super::report::Report;
use crate::processes::{Process, tied};
use crate::suite::Outcome;

/// Seconds that a guest may take: several times what it takes on a busy machine.
const PATIENCE: u32 = 900;

/// `timeout` says so of itself.
const TIMED_OUT: i32 = 124;

/// The stall detectors go by the wall clock, which an emulated processor lags behind whenever its host is busy.
const KERNEL_ARGUMENTS: &str =
    "console=ttyS0 loglevel=5 panic=-1 oops=panic nowatchdog rcupdate.rcu_cpu_stall_suppress=1";

/// Lines of the console that are shown of a guest that never came up.
const LAST_WORDS: usize = 10;

pub(super) struct Guest<'a> {
    /// What its lines begin with.
    pub(super) label: &'a str,
    pub(super) image: &'a Path,
    /// For its initramfs and what it says.
    pub(super) folder: &'a Path,
    /// Its programs are test programs.
    pub(super) tests: bool,
}

impl Guest<'_> {
    /// Boots it with this first file system; shows what its programs say, each line as it comes.
    pub(super) fn run(&self, initramfs: &[u8], programs: usize) -> Result<Outcome> {
        let archive = self.folder.join("initramfs.cpio");
        fs::write(&archive, initramfs).with_context(|| format!("cannot write {}", archive.display()))?;
        self.hear(PATIENCE, &self.qemu(&archive), programs)
    }

    /// Runs `machine`, which writes the console into its file and the report on its stdout.
    fn hear(&self, seconds: u32, machine: &Command, programs: usize) -> Result<Outcome> {
        let mut limited = tied(Path::new("timeout"));
        limited.arg(seconds.to_string()).arg(machine.get_program()).args(machine.get_args());
        limited.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut report = Report::new(self.tests);
        let status = self.listen(Process::start(limited)?, &mut report)?;

        let console = self.console();
        let says = fs::read(&console).with_context(|| format!("cannot read {}", console.display()))?;
        let says = String::from_utf8_lossy(&says);
        if let Some(lines) = console::broken(&says) {
            bail!("its kernel broke:\n  {}\nall of it: {}", lines.join("\n  "), console.display());
        }
        if status.code() == Some(TIMED_OUT) {
            bail!("it hung and was ended after {seconds} s; the last that was heard: {:?}", report.last());
        }
        if report.kernel().is_none() {
            let lines: Vec<_> = says.lines().map(str::trim_end).collect();
            let last = lines[lines.len().saturating_sub(LAST_WORDS)..].join("\n  ");
            bail!("it never came up ({status}); its console ends with:\n  {last}");
        }
        report.judge(programs)
    }

    fn qemu(&self, archive: &Path) -> Command {
        let mut qemu = Command::new("qemu-system-x86_64");
        // Emulated, because hardware virtualisation is absent from most machines that are virtual themselves. A plain
        // processor is the fastest to emulate: on a newer one the kernel copies and clears memory by `rep movsb`, byte by
        // byte here.
        qemu.args(["-accel", "tcg", "-cpu", "qemu64", "-smp", "1", "-m", "768"]);
        qemu.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]);
        qemu.arg("-kernel").arg(self.image).arg("-initrd").arg(archive).args(["-append", KERNEL_ARGUMENTS]);
        // The first serial port is the kernel's, the second is for what is run.
        qemu.arg("-serial").arg(format!("file:{}", self.console().display())).args(["-serial", "stdio"]);
        qemu
    }

    fn console(&self) -> PathBuf {
        self.folder.join("console.log")
    }

    fn listen(&self, mut machine: Process, report: &mut Report) -> Result<ExitStatus> {
        let says = machine.child.stdout.take().context("a piped stdout is there")?;
        let copy = self.folder.join("report.log");
        let mut copy = File::create(&copy).with_context(|| format!("cannot create {}", copy.display()))?;
        let mut line = Vec::new();
        let mut says = BufReader::new(says);
        while says.read_until(b'\n', &mut line).context("cannot read what the guest says")? > 0 {
            copy.write_all(&line).context("cannot write the guest's report")?;
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end_matches(['\r', '\n']);
            if report.take(text) {
                println!("{} | {text}", self.label);
            }
            line.clear();
        }
        machine.child.wait().context("the virtual machine vanished")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of a shell script that plays a machine.
    fn said_of(test: &str, console: &str, report: &str) -> String {
        let folder = std::env::temp_dir().join(format!("xtask-guest-{}-{test}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("console.log"), console).unwrap();
        let guest = Guest { label: "x", image: Path::new("/"), folder: &folder, tests: true };
        let mut script = Command::new("sh");
        script.args(["-c", report]);
        let outcome = guest.hear(1, &script, 1);
        fs::remove_dir_all(&folder).unwrap();
        outcome.map_or_else(|error| error.to_string(), |outcome| format!("{outcome:?}"))
    }

    #[test]
    fn a_guest_that_hangs_is_ended_and_the_test_is_named() {
        let report = "printf 'guest: up 6.1\\r\\nguest: begin t\\r\\ntest trap_02 ... '; exec tail -f /dev/null";
        assert_eq!(
            said_of("hangs", "", report),
            "it hung and was ended after 1 s; the last that was heard: \"test trap_02 ...\""
        );
    }

    #[test]
    fn a_kernel_that_breaks_fails_whatever_the_tests_said() {
        let report = "echo 'guest: up 6.1'; echo 'guest: done'";
        let said = said_of("oops", "[    3.1] BUG: kernel NULL pointer dereference\n[    3.1] Call Trace:\n", report);
        assert!(said.starts_with("its kernel broke:\n  [    3.1] BUG: kernel NULL"), "{said}");
    }

    #[test]
    fn a_guest_that_never_comes_up_shows_its_console() {
        let said = said_of("never", "[    1.0] No working init found.\n", "exit 3");
        assert!(said.contains("exit status: 3") && said.contains("No working init"), "{said}");
    }
}
