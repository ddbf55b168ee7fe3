//! What the machine is for: written into its first file system by `cargo xtask vm`.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::Deserialize;

const FILE: &str = "/plan.json";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    /// In the order in which they can be loaded.
    pub(crate) modules: Vec<PathBuf>,
    pub(crate) programs: Vec<Program>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Program {
    /// What a person calls it.
    pub(crate) name: String,
    pub(crate) argv: Vec<String>,
}

impl Plan {
    pub(crate) fn read() -> Result<Self> {
        let text = fs::read_to_string(FILE).with_context(|| format!("cannot read {FILE}"))?;
        serde_json::from_str(&text).with_context(|| format!("{FILE} is no plan"))
    }
}
