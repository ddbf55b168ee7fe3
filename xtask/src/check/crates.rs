//! Wall: which crate may depend on which.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use super::finding::Finding;

/// The dependencies of one crate in its product; what its tests need is held by `never` alone.
struct Rule {
    name: &'static str,
    /// Product dependencies, all there may be; `None` where the list is the crate's own affair.
    only: Option<&'static [&'static str]>,
    /// Not even for its tests or its build.
    never: &'static [&'static str],
    why: &'static str,
}

const RULES: [Rule; 6] = [
    Rule {
        name: "tracer-common",
        only: Some(&[]),
        never: &["tracer-daemon", "tracer-engine", "tracer-lab"],
        why: "the wire contract is integers and depends on nothing",
    },
    Rule {
        name: "tracer-ebpf",
        only: Some(&["tracer-common", "aya-ebpf", "aya-ebpf-bindings", "aya-log-ebpf"]),
        never: &["tracer-daemon", "tracer-engine", "tracer-lab"],
        why: "the kernel side reads, fills and submits: nothing else belongs there",
    },
    Rule {
        name: "tracer-engine",
        only: Some(&["arcstr", "hashbrown", "ipnet", "rustc-hash", "slab", "smallvec", "triomphe", "uuid"]),
        never: &["tracer-common", "tracer-daemon", "tracer-lab", "aya", "kube", "tokio"],
        why: "the engine is a pure fold over its own words: small data crates, no runtime, no wire, no kernel",
    },
    Rule {
        name: "tracer-lab",
        only: None,
        never: &["tracer-common", "tracer-daemon", "tracer-engine", "aya", "kube"],
        why: "the lab is the world that mesh-tracer looks at; it must not share its mistakes",
    },
    Rule { name: "tracer-daemon", only: None, never: &["xtask"], why: "the product does not need its workshop" },
    Rule {
        name: "xtask",
        only: Some(&["anyhow", "clap", "comfy-table", "proc-macro2", "serde_json"]),
        never: &["tracer-common", "tracer-daemon", "tracer-engine", "tracer-lab"],
        why: "a newcomer's first `cargo xtask` waits for each of its dependencies",
    },
];

/// One line of a `[dependencies]` table, as cargo understood it.
struct Dependency {
    of: String,
    manifest: PathBuf,
    name: String,
    in_product: bool,
}

/// Judges what `cargo metadata --no-deps` says. `text_of` reads a manifest, to name the line.
pub(super) fn findings(metadata: &str, root: &Path, text_of: impl Fn(&Path) -> String) -> Result<Vec<Finding>> {
    let metadata: Value = serde_json::from_str(metadata).context("cargo metadata is not JSON")?;
    let mut findings = Vec::new();
    for dependency in dependencies(&metadata, root)? {
        let Dependency { of, manifest, name, in_product } = dependency;
        let line = line_of(&text_of(&manifest), &name);
        // Compiling the probes is the daemon's build, linking the lab is its tests': neither ends up in the binary.
        if name == "tracer-lab" && in_product && of == "tracer-daemon" {
            findings.push(Finding::new(&manifest, line, "tracer-lab is never shipped: [dev-dependencies] only"));
        }
        let Some(rule) = RULES.iter().find(|rule| rule.name == of) else {
            findings.push(Finding::new(&manifest, 1, format!("no rule for crate {of}: add one to xtask's check")));
            continue;
        };
        let strange = in_product && rule.only.is_some_and(|only| !only.contains(&name.as_str()));
        if strange || rule.never.contains(&name.as_str()) {
            findings.push(Finding::new(&manifest, line, format!("{of} does not depend on {name}: {}", rule.why)));
        }
    }
    Ok(findings)
}

fn dependencies(metadata: &Value, root: &Path) -> Result<Vec<Dependency>> {
    let mut all = Vec::new();
    for package in metadata["packages"].as_array().context("cargo metadata has no packages")? {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let manifest = PathBuf::from(text(&package["manifest_path"]));
        let manifest = manifest.strip_prefix(root).unwrap_or(&manifest).to_path_buf();
        for dependency in package["dependencies"].as_array().context("a package has no list of dependencies")? {
            all.push(Dependency {
                of: text(&package["name"]),
                manifest: manifest.clone(),
                name: text(&dependency["name"]),
                in_product: dependency["kind"].is_null(),
            });
        }
    }
    Ok(all)
}

fn line_of(manifest: &str, dependency: &str) -> usize {
    let names = |line: &str| {
        let rest = line.trim_start().strip_prefix(dependency);
        rest.is_some_and(|rest| rest.starts_with([' ', '.', '=']))
    };
    manifest.lines().position(names).map_or(1, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(package: &str, dependency: &str, kind: &str) -> Vec<String> {
        let metadata = format!(
            r#"{{"packages":[{{"name":"{package}","manifest_path":"/w/{package}/Cargo.toml",
                "dependencies":[{{"name":"{dependency}","kind":{kind}}}]}}]}}"#
        );
        let text_of = |_: &Path| format!("[dependencies]\n{dependency}-else = \"1\"\n{dependency} = \"1\"\n");
        let findings = findings(&metadata, Path::new("/w"), text_of).unwrap();
        findings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_engine_stays_pure() {
        assert_eq!(judge("tracer-engine", "ipnet", "null"), [""; 0]);
        let broken = judge("tracer-engine", "tokio", "null");
        assert!(
            broken[0].starts_with("tracer-engine/Cargo.toml:3: tracer-engine does not depend on tokio"),
            "{broken:?}"
        );
        assert_eq!(judge("tracer-engine", "serde", "null").len(), 1);
        assert_eq!(judge("tracer-engine", "tracer-common", "\"dev\"").len(), 1);
        assert_eq!(judge("tracer-engine", "proptest", "\"dev\""), [""; 0]);
    }

    #[test]
    fn the_wire_contract_depends_on_nothing() {
        assert_eq!(judge("tracer-common", "bytemuck", "null").len(), 1);
    }

    #[test]
    fn the_lab_does_not_know_what_looks_at_it() {
        assert_eq!(judge("tracer-lab", "tracer-engine", "null").len(), 1);
        assert_eq!(judge("tracer-lab", "tracer-daemon", "\"dev\"").len(), 1);
        assert_eq!(judge("tracer-lab", "tokio", "null"), [""; 0]);
    }

    #[test]
    fn the_lab_is_never_shipped() {
        assert_eq!(judge("tracer-daemon", "tracer-lab", "null").len(), 1);
        assert_eq!(judge("tracer-daemon", "tracer-lab", "\"dev\""), [""; 0]);
    }

    #[test]
    fn a_crate_without_a_rule_is_named() {
        assert_eq!(judge("tracer-new", "anyhow", "null").len(), 1);
    }
}
