//! Where this crate's own program lies: it is what runs inside the pods, whoever set them up.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

const NAME: &str = "tracer-lab";

/// Beside the running program: `target/debug/tracer-lab` for another program of the workspace, one folder up for a
/// test (`target/debug/deps/...`). From the program itself it is that program.
pub(crate) fn locate() -> Result<PathBuf> {
    let running = std::env::current_exe().context("cannot tell which program this is")?;
    let folders = running.ancestors().skip(1).take(2);
    let mut places = folders.map(|folder| folder.join(NAME));
    match places.find(|place| place.is_file()) {
        Some(place) => Ok(place),
        None => bail!(
            "no {NAME} program beside {}: build it with `cargo build -p {NAME}`, or name it in Options::program",
            running.display()
        ),
    }
}
