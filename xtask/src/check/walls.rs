//! Reads the tree once and lets each wall judge it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::finding::Finding;
use super::places::Places;
use super::source::{Source, mark_tests};
use super::{circles, crates, imports, shape};
use crate::kernel_side;
use crate::shell;
use crate::tally::Tally;
use crate::workspace::Workspace;

/// The tree as text, read once.
struct Tree {
    files: Vec<(PathBuf, String)>,
    sources: Vec<Source>,
}

pub(super) fn check(workspace: &Workspace, tally: &mut Tally) {
    let tree = match Tree::read(workspace) {
        Ok(tree) => tree,
        Err(error) => return tally.item("walls", || Err(error)),
    };
    let Tree { files, sources } = tree;
    tally.item("wall: crates", || judged(crate_findings(workspace)?));
    tally.item("wall: imports", || judged(imports::findings(&sources)));
    tally.item("wall: circles", || judged(circles::findings(&sources)));
    tally.item("wall: shape", || judged(shape::findings(&sources)).map(|_| shape::summary(&sources)));
    tally.item("wall: places", || {
        let places = Places::new(workspace.root(), &package_settings());
        judged(files.iter().flat_map(|(path, text)| places.findings(path, text)).collect())
    });
}

impl Tree {
    fn read(workspace: &Workspace) -> Result<Self> {
        let files = files(workspace)?;
        let rust = files.iter().filter(|(path, _)| path.extension().is_some_and(|end| end == "rs"));
        let mut sources = rust.map(|(path, text)| Source::parse(path, text)).collect::<Result<Vec<_>>>()?;
        mark_tests(&mut sources);
        Ok(Self { files, sources })
    }
}

/// Every text file that git knows or would add: path from the root, and content.
fn files(workspace: &Workspace) -> Result<Vec<(PathBuf, String)>> {
    let mut git = Command::new("git");
    git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(workspace.root());
    let list = shell::read(&mut git).context("the walls are checked in a git checkout")?;
    let mut files = Vec::new();
    for path in list.split_terminator('\0').map(PathBuf::from) {
        match fs::read(workspace.root().join(&path)) {
            // Images and recordings have no lines to judge.
            Ok(bytes) => files.extend(String::from_utf8(bytes).ok().map(|text| (path, text))),
            // Deleted, and not yet committed.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }
    Ok(files)
}

fn crate_findings(workspace: &Workspace) -> Result<Vec<Finding>> {
    let question = ["--no-deps", "--format-version", "1"];
    let user_side = shell::read(workspace.cargo(&["metadata"]).args(question))?;
    let kernel_side = shell::read(kernel_side::cargo(workspace, "metadata").args(question))?;
    let text_of = |manifest: &Path| fs::read_to_string(workspace.root().join(manifest)).unwrap_or_default();
    let mut findings = crates::findings(&user_side, workspace.root(), text_of)?;
    findings.extend(crates::findings(&kernel_side, workspace.root(), text_of)?);
    Ok(findings)
}

/// What this machine's package managers are told; whatever of it cannot be read names no mirror.
fn package_settings() -> String {
    let mut settings = shell::read(Command::new("python3").args(["-m", "pip", "config", "list"])).unwrap_or_default();
    let mut open = vec![PathBuf::from("/etc/apt/sources.list"), PathBuf::from("/etc/apt/sources.list.d")];
    while let Some(path) = open.pop() {
        match fs::read_dir(&path) {
            Ok(entries) => open.extend(entries.flatten().map(|entry| entry.path())),
            Err(_) => settings.push_str(&fs::read_to_string(&path).unwrap_or_default()),
        }
        settings.push('\n');
    }
    settings
}

fn judged(mut findings: Vec<Finding>) -> Result<String> {
    if findings.is_empty() {
        return Ok(String::new());
    }
    findings.sort();
    findings.dedup();
    for finding in &findings {
        println!("  {finding}");
    }
    bail!("{} found", findings.len())
}
