//! bpf-linker: links the probes. Built against the LLVM that the Rust toolchain itself carries, so no LLVM is installed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::Stamp;
use crate::setup::rust_src::sysroot;
use crate::shell;
use crate::workspace::Workspace;

const VERSION: &str = "0.13.0";
/// The feature that names the LLVM of the pinned toolchain (rustc 1.95 carries LLVM 22).
const LLVM: &str = "llvm-22";

pub(super) fn missing(workspace: &Workspace) -> Option<String> {
    let linker = workspace.tools().join("bin/bpf-linker");
    // It is started, not only looked for: without its toolchain's LLVM beside it, it is a file and no linker.
    let there =
        stamp(workspace).is_ok_and(|stamp| stamp.holds()) && shell::succeeds(Command::new(linker).arg("--version"));
    (!there).then(|| format!("bpf-linker {VERSION}, links the probes: built from crates.io, 1 to 2 minutes"))
}

pub(super) fn install(workspace: &Workspace) -> Result<()> {
    let sysroot = sysroot()?;
    let llvm = llvm_prefix(workspace, &sysroot)?;
    super::cargo_install(workspace, "bpf-linker", VERSION, |cargo| {
        cargo.args(["--no-default-features", "--features", LLVM]);
        cargo.env("LLVM_PREFIX", &llvm);
        cargo.env("RUSTFLAGS", format!("-C link-arg=-Wl,-rpath,{}/lib", sysroot.display()));
    })?;
    stamp(workspace)?.write()
}

/// A folder that looks like an installed LLVM to llvm-sys: `lib/libLLVM.so`, which is the toolchain's own library.
fn llvm_prefix(workspace: &Workspace, sysroot: &Path) -> Result<PathBuf> {
    let library = llvm_of(sysroot)?;
    let prefix = workspace.tools().join("llvm");
    let link = prefix.join("lib/libLLVM.so");
    fs::create_dir_all(prefix.join("lib")).with_context(|| format!("cannot create {}", prefix.display()))?;
    if link.is_symlink() {
        fs::remove_file(&link).with_context(|| format!("cannot replace {}", link.display()))?;
    }
    symlink(&library, &link).with_context(|| format!("cannot link {} to {}", link.display(), library.display()))?;
    Ok(prefix)
}

fn llvm_of(sysroot: &Path) -> Result<PathBuf> {
    let lib = sysroot.join("lib");
    let entries = fs::read_dir(&lib).with_context(|| format!("cannot read {}", lib.display()))?;
    let found = entries.flatten().map(|entry| entry.path()).find(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("libLLVM.so.") && name.contains("-rust-")
    });
    found.with_context(|| {
        format!("no libLLVM.so.*-rust-* in {}: bpf-linker needs a toolchain that rustup installed", lib.display())
    })
}

/// The path of the toolchain is part of it: the linker finds its LLVM there.
fn stamp(workspace: &Workspace) -> Result<Stamp> {
    Ok(Stamp::new(workspace, "bpf-linker", format!("{VERSION} {LLVM} {}\n", llvm_of(&sysroot()?)?.display())))
}
