//! `tracer-lab exec`: a program in a pod of a mesh that another `tracer-lab` holds up.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;

use anyhow::{Context, Result, bail};
use clap::Args;
use tracer_lab::{Pod, PodName};

#[derive(Args)]
pub(crate) struct Exec {
    /// namespace/pod
    pod: PodName,
    /// The run whose pod it is, where several meshes are up
    #[arg(long)]
    run: Option<String>,
    /// Both uid and gid; 1337 is the proxy's and not captured
    #[arg(long, default_value_t = 0)]
    uid: u32,
    /// The program and its arguments
    #[arg(last = true, default_value = "sh")]
    program: Vec<OsString>,
}

impl Exec {
    pub(crate) fn run(self) -> Result<bool> {
        let Exec { pod, run, uid, program } = self;
        let [program, args @ ..] = program.as_slice() else { bail!("no program to run") };
        let pod = Pod::find(&pod, run.as_deref())?;
        let error = pod.command(uid, program).args(args).exec();
        Err(error).context("cannot start the way into the pod")
    }
}
