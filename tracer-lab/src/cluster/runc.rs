//! `tracer-lab cluster-runc`: runc for machines whose cgroup2 has no controllers. Limits are taken out of what it is
//! told, so pods run without them.

use std::convert::Infallible;
use std::ffi::OsString;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::Value;

const LIMITS: [&str; 6] = ["blockIO", "cpu", "hugepageLimits", "memory", "pids", "unified"];

#[derive(Args)]
pub struct RuncArgs {
    /// The real one
    runc: PathBuf,
    #[arg(last = true)]
    args: Vec<OsString>,
}

impl RuncArgs {
    /// Becomes runc.
    pub fn run(self) -> Result<Option<Infallible>> {
        let Self { runc, args } = self;
        if args.iter().any(|arg| arg == "update") {
            return Ok(None);
        }
        if let Some(bundle) = bundle(&args) {
            without_limits(&bundle.join("config.json"))?;
        }
        let error = Command::new(&runc).args(args).exec();
        Err(error).with_context(|| format!("cannot run {}", runc.display()))
    }
}

fn bundle(args: &[OsString]) -> Option<PathBuf> {
    let after =
        args.windows(2).find(|pair| pair[0] == "--bundle" || pair[0] == "-b").map(|pair| PathBuf::from(&pair[1]));
    after.or_else(|| args.iter().find_map(|arg| arg.to_str()?.strip_prefix("--bundle=").map(PathBuf::from)))
}

fn without_limits(file: &Path) -> Result<()> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut spec: Value = serde_json::from_str(&text).with_context(|| format!("{} is not JSON", file.display()))?;
    if let Some(resources) = spec["linux"]["resources"].as_object_mut() {
        for limit in LIMITS {
            resources.remove(limit);
        }
    }
    fs::write(file, spec.to_string()).with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundle_is_found_however_it_is_named() {
        let args = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        for words in
            [&["--root", "/r", "create", "--bundle", "/b", "id"][..], &["create", "--bundle=/b"], &["-b", "/b"]]
        {
            assert_eq!(bundle(&args(words)), Some(PathBuf::from("/b")), "{words:?}");
        }
        assert_eq!(bundle(&args(&["delete", "id"])), None);
    }
}
