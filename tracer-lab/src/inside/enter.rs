//! The way into a pod: its cgroup, its network namespace, a uid, and then another program in this one's place.

use std::convert::Infallible;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;
use rustix::process::{Gid, Pid, Signal, Uid, getppid, set_parent_process_death_signal};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use crate::netns;

#[derive(Args)]
pub struct Enter {
    #[arg(long)]
    netns: PathBuf,
    #[arg(long)]
    cgroup: PathBuf,
    /// Both uid and gid.
    #[arg(long, default_value_t = 0)]
    uid: u32,
    /// Die with this process.
    #[arg(long)]
    parent: Option<u32>,
    #[arg(last = true, required = true)]
    program: Vec<OsString>,
}

impl Enter {
    /// Returns only what went wrong.
    pub fn run(&self) -> Result<Infallible> {
        let [program, args @ ..] = self.program.as_slice() else { bail!("no program to run") };
        let members = self.cgroup.join("cgroup.procs");
        fs::write(&members, "0").with_context(|| format!("cannot join {}", members.display()))?;
        netns::enter(&self.netns)?;
        // Opened while still root: it may lie below a folder that only root may pass, such as /root.
        let file = File::open(program);
        become_user(self.uid).with_context(|| format!("cannot become uid {}", self.uid))?;
        if let Some(parent) = self.parent {
            // After the change of uid, which would clear it.
            set_parent_process_death_signal(Some(Signal::KILL)).context("cannot tie my life to my parent's")?;
            if getppid().map(Pid::as_raw_pid) != Some(parent.cast_signed()) {
                bail!("process {parent}, which wanted this program, has ended");
            }
        }
        let error = Command::new(program).args(args).exec();
        let error = match file {
            Ok(file) if error.kind() == ErrorKind::PermissionDenied => {
                let open = Path::new("/proc/self/fd").join(file.as_raw_fd().to_string());
                Command::new(open).arg0(program).args(args).exec()
            }
            _ => error,
        };
        Err(error).with_context(|| format!("cannot run {}", program.display()))
    }
}

fn become_user(uid: u32) -> rustix::io::Result<()> {
    let (user, group) = (Uid::from_raw(uid), Gid::from_raw(uid));
    set_thread_groups(&[])?;
    set_thread_res_gid(group, group, group)?;
    set_thread_res_uid(user, user, user)
}
