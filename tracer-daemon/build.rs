//! Builds the kernel side and puts its object where `source/kernel/probes.rs` includes it from.
//!
//! Directly, and not through aya-build: that one looks for the package in this workspace, which cannot hold it, and
//! turns every line of progress into a warning.

#![expect(clippy::disallowed_methods, reason = "a build script's only input is its environment")]

use std::error::Error;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

const SETUP: &str = "run `cargo xtask setup`, which installs it";

fn main() -> Result<(), Box<dyn Error>> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("the crate has no parent directory")?;
    let ebpf = workspace.join("tracer-ebpf");
    for input in ["tracer-ebpf/src", "tracer-ebpf/Cargo.toml", "tracer-ebpf/Cargo.lock", "tracer-common/src"] {
        println!("cargo:rerun-if-changed={}", workspace.join(input).display());
    }
    println!("cargo:rerun-if-changed=build.rs");

    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set: build with cargo")?);
    let target = match env::var("CARGO_CFG_TARGET_ENDIAN")?.as_str() {
        "big" => "bpfeb-unknown-none",
        _ => "bpfel-unknown-none",
    };
    let path = search_path(workspace)?;
    if !env::split_paths(&path).any(|directory| directory.join("bpf-linker").is_file()) {
        return Err(format!("bpf-linker is neither on PATH nor in .setup/bin: {SETUP}").into());
    }
    let sysroot = sysroot(&ebpf)?;
    if !sysroot.join("lib/rustlib/src/rust/library/core/src/lib.rs").is_file() {
        return Err(format!("the component rust-src is missing in {}: {SETUP}", sysroot.display()).into());
    }

    let directory = out.join("ebpf");
    let flags = [
        "-Cdebuginfo=2".to_owned(),
        "-Clink-arg=--btf".to_owned(),
        // Compare-and-swap (`live.rs`; `jit.rs` of source/kernel says who has it).
        "-Ctarget-cpu=v3".to_owned(),
        format!("--cfg=bpf_target_arch=\"{}\"", env::var("CARGO_CFG_TARGET_ARCH")?),
    ];
    let status = pinned("cargo", &ebpf)
        .args(["build", "--quiet", "--locked", "--release", "--target", target, "-Zbuild-std=core", "--target-dir"])
        .arg(&directory)
        .env("PATH", path)
        // core is built from source for a target that has no prebuilt one; a stable compiler must be told to.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
        // What cargo tells this script about the outer build is not meant for the inner one.
        .env_remove("RUSTC")
        .env_remove("CARGO_ENCODED_RUSTDOCFLAGS")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_TARGET_DIR")
        .status()?;
    if !status.success() {
        return Err(format!("the kernel side did not build ({status}): see above").into());
    }
    fs::copy(directory.join(target).join("release/tracer-ebpf"), out.join("tracer-ebpf.o"))?;
    Ok(())
}

/// PATH, and where `cargo xtask setup` puts what is not on it.
fn search_path(workspace: &Path) -> Result<OsString, Box<dyn Error>> {
    let path = env::var_os("PATH").unwrap_or_default();
    Ok(env::join_paths(env::split_paths(&path).chain([workspace.join(".setup/bin")]))?)
}

fn sysroot(ebpf: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let output = pinned("rustc", ebpf).args(["--print", "sysroot"]).output()?;
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim()))
}

/// A program of the toolchain that rust-toolchain.toml pins, whatever builds the rest: bpf-linker fits its LLVM and no
/// other (fuzzing builds with a nightly).
fn pinned(program: &str, ebpf: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(ebpf).env_remove("RUSTUP_TOOLCHAIN");
    command
}
