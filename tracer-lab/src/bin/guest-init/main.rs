//! `guest-init`: the first process of a virtual machine that `cargo xtask vm` boots, and besides what it starts the only one.
//!
//! Makes of a bare kernel a machine that tests can run on, runs the programs of its plan one after the other, and powers
//! off. What it and the programs say goes to the second serial port, where the kernel does not write. Its own lines
//! begin with `guest: ` (xtask/src/vm/report.rs reads them).

mod machine;
mod plan;

use std::fs::File;
use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use rustix::system::{RebootCommand, reboot};

use crate::plan::{Plan, Program};

const PORT: &str = "/dev/ttyS1";

/// The only folder of programs.
const PATH: &str = "/bin";

fn main() {
    if let Err(error) = machine::mount_all().and_then(|()| report()) {
        // Without the second port there is the first, which the kernel has opened for us.
        eprintln!("guest: failed {error:#}");
    }
    if let Err(error) = reboot(RebootCommand::PowerOff) {
        eprintln!("guest: cannot power off: {error}: is this process number 1 of a virtual machine?");
    }
}

/// Closing the port waits until all is sent.
fn report() -> Result<()> {
    let mut port = File::options().write(true).open(PORT).with_context(|| format!("cannot open {PORT}"))?;
    match run(&mut port) {
        Ok(()) => writeln!(port, "guest: done"),
        Err(error) => writeln!(port, "guest: failed {error:#}"),
    }
    .context("cannot write to the serial port")
}

fn run(port: &mut File) -> Result<()> {
    let Plan { modules, programs } = Plan::read()?;
    for module in &modules {
        machine::load(module)?;
    }
    machine::loopback_up(PATH)?;
    writeln!(port, "guest: up {}", machine::kernel_release())?;
    for program in programs {
        start(port, &program)?;
    }
    Ok(())
}

fn start(port: &mut File, Program { name, argv }: &Program) -> Result<()> {
    let (path, args) = argv.split_first().with_context(|| format!("{name} has no program"))?;
    writeln!(port, "guest: begin {name}")?;
    let mut command = Command::new(path);
    // Files that a test writes beside itself have to go somewhere.
    command.args(args).current_dir("/tmp").env_clear().env("PATH", PATH);
    command.stdin(Stdio::null()).stdout(port.try_clone()?).stderr(port.try_clone()?);
    let status = command.status().with_context(|| format!("cannot start {path}"))?;
    writeln!(port, "guest: end {name}: {status}")?;
    Ok(())
}
