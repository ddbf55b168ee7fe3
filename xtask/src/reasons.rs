//! `cargo xtask reasons`: `docs/reasons.md` and the alerts, from the engine's own tables.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::shell;
use crate::workspace::Workspace;

/// A generated file, and what the example that writes it is told.
const FILES: [(&str, &[&str]); 2] =
    [("docs/reasons.md", &[]), ("manifests/overlays/prometheus-operator/rules.yaml", &["rules"])];

/// Writes the files anew.
pub(crate) fn write(workspace: &Workspace) -> Result<()> {
    for (file, args) in FILES {
        let path = workspace.root().join(file);
        fs::write(&path, text(workspace, args)?).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Whether the files say what the table says.
pub(crate) fn check(workspace: &Workspace) -> Result<String> {
    for (file, args) in FILES {
        let path = workspace.root().join(file);
        let known = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        if let Some(at) = first_difference(&known, &text(workspace, args)?) {
            bail!("{file} is stale at line {at}: `cargo xtask reasons` writes it anew");
        }
    }
    Ok(String::new())
}

/// An example of the engine prints it: xtask itself knows nothing of the engine.
fn text(workspace: &Workspace, args: &[&str]) -> Result<String> {
    let example = ["run", "--quiet", "--locked", "-p", "tracer-engine", "--example", "reasons", "--"];
    shell::read(workspace.cargo(&example).args(args))
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
