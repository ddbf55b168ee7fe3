//! `cargo xtask reasons`: `docs/reasons.md`, from the engine's own table of texts.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::shell;
use crate::workspace::Workspace;

/// Writes the file anew.
pub(crate) fn write(workspace: &Workspace) -> Result<()> {
    let path = path(workspace);
    fs::write(&path, book(workspace)?).with_context(|| format!("cannot write {}", path.display()))
}

/// Whether the file says what the table says.
pub(crate) fn check(workspace: &Workspace) -> Result<String> {
    let path = path(workspace);
    let known = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let book = book(workspace)?;
    let Some(at) = first_difference(&known, &book) else { return Ok(String::new()) };
    bail!("{} is stale at line {at}: `cargo xtask reasons` writes it anew", path.display());
}

/// An example of the engine prints it: xtask itself knows nothing of the engine.
fn book(workspace: &Workspace) -> Result<String> {
    shell::read(&mut workspace.cargo(&["run", "--quiet", "--locked", "-p", "tracer-engine", "--example", "reasons"]))
}

fn path(workspace: &Workspace) -> PathBuf {
    workspace.root().join("docs/reasons.md")
}

/// The number of the first line that differs.
fn first_difference(a: &str, b: &str) -> Option<usize> {
    let same = a.split('\n').zip(b.split('\n')).take_while(|(a, b)| a == b).count();
    (a != b).then_some(same + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_differs_is_named() {
        assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
        assert_eq!(first_difference("a\nb\n", "a\nc\n"), Some(2));
        assert_eq!(first_difference("a\n", "a\nb\n"), Some(2));
        assert_eq!(first_difference("a\nb", "a\nb\n"), Some(3));
    }
}
