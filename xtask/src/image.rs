//! `cargo xtask image`: what runs on a node. One static program, no shell and no distribution beneath it; packed from the
//! same program it is the same bytes, and the program is told nothing of where it was compiled.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::oci::{self, Config};
use crate::setup::{self, Part};
use crate::shell;
use crate::workspace::Workspace;

/// What the manifests call it; the version is the crate's.
pub(crate) const NAME: &str = "localhost/mesh-tracer";

/// OCI's name of an architecture, and Rust's of its target.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(crate) enum Architecture {
    Amd64,
    Arm64,
}

/// What may be pulled on every node of a large cluster.
const LARGEST: u64 = 15_000_000;

impl Architecture {
    pub(crate) const HERE: Self = if cfg!(target_arch = "aarch64") { Self::Arm64 } else { Self::Amd64 };

    fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// With glibc linked in: its allocator is the one that every figure was taken with. The API server is reached by
    /// address inside of a cluster, so the name service that a static glibc lacks is not missed.
    fn target(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-unknown-linux-gnu",
            Self::Arm64 => "aarch64-unknown-linux-gnu",
        }
    }

    fn needs(self) -> Vec<Part> {
        let mut parts = Part::BUILD.to_vec();
        if self != Self::HERE {
            parts.push(Part::Cross);
        }
        parts
    }
}

/// Where the image of this architecture is left.
pub(crate) fn archive(workspace: &Workspace, architecture: Architecture) -> Result<PathBuf> {
    Ok(workspace.target()?.join("image").join(format!("mesh-tracer-{}.tar", architecture.name())))
}

/// Builds it and says its size and digest.
pub(crate) fn build(workspace: &Workspace, architecture: Architecture) -> Result<PathBuf> {
    setup::ensure(workspace, &architecture.needs())?;
    let program = program(workspace, architecture)?;
    let archive = archive(workspace, architecture)?;
    let folder = archive.with_extension("root");
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    fs::copy(&program, folder.join("mesh-tracer")).with_context(|| format!("cannot copy {}", program.display()))?;
    let config = Config {
        name: format!("{NAME}:{}", env!("CARGO_PKG_VERSION")),
        architecture: architecture.name(),
        runs: json!({
            "Entrypoint": ["/mesh-tracer"],
            "Labels": {
                "org.opencontainers.image.title": "mesh-tracer",
                "org.opencontainers.image.version": env!("CARGO_PKG_VERSION"),
                "org.opencontainers.image.licenses": "Apache-2.0",
            },
        }),
    };
    let digest = oci::pack(&folder, &config, &archive)?;
    let size = fs::metadata(&archive).context("the archive is there")?.len();
    println!("{} {} {digest} {:.1} MB", archive.display(), config.name, size as f64 / 1e6);
    if size > LARGEST {
        bail!("the image has {size} bytes; more than {LARGEST} is too much to pull on every node");
    }
    Ok(archive)
}

/// The static program, without symbols and without a word of where it was built.
fn program(workspace: &Workspace, architecture: Architecture) -> Result<PathBuf> {
    let target = architecture.target();
    let variable = |name: &str| format!("CARGO_TARGET_{}_{name}", target.to_uppercase().replace('-', "_"));
    let home = shell::cargo_home().context("neither CARGO_HOME nor HOME says where cargo keeps its sources")?;
    let root = workspace.root().display();
    let flags = format!(
        "-C target-feature=+crt-static --remap-path-prefix={root}=/mesh-tracer --remap-path-prefix={}=/cargo",
        home.display()
    );
    let built = workspace.target()?.join("image/build");
    let mut cargo = workspace.cargo(&["build", "--release", "--locked", "--package", "tracer-daemon"]);
    cargo.args(["--target", target]).arg("--target-dir").arg(&built).env(variable("RUSTFLAGS"), flags);
    cargo.env("CARGO_PROFILE_RELEASE_STRIP", "symbols").env("CARGO_PROFILE_RELEASE_DEBUG", "false");
    if architecture == Architecture::Arm64 && architecture != Architecture::HERE {
        cargo.env(variable("LINKER"), "aarch64-linux-gnu-gcc");
    }
    shell::run(&mut cargo)?;
    let program = built.join(target).join("release/mesh-tracer");
    is_static(&program)?;
    Ok(program)
}

/// There is no loader in the image that could look for a library.
fn is_static(program: &Path) -> Result<()> {
    let headers = shell::read(Command::new("readelf").args(["--program-headers", "--wide"]).arg(program))?;
    if headers.contains("INTERP") {
        bail!("{} wants a loader: it was not linked statically", program.display());
    }
    Ok(())
}
