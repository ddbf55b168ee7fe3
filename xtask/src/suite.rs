//! Test programs: built all at once by cargo, run one by one here, so that each is timed and a crash has a name.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::setup::{self, Part};
use crate::tally::Tally;
use crate::workspace::Workspace;

/// One test program: a crate's unit tests, or a file of its `tests/`.
#[derive(Debug)]
pub(crate) struct Suite {
    pub(crate) name: String,
    pub(crate) program: PathBuf,
    /// Tests run in their crate's folder, as under `cargo test`.
    folder: PathBuf,
}

#[derive(PartialEq, Eq, Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) tally: Tally,
    pub(crate) left_out: usize,
}

/// What cargo built.
pub(crate) struct Built {
    pub(crate) suites: Vec<Suite>,
    /// Programs that the tests start, by name.
    pub(crate) programs: BTreeMap<String, PathBuf>,
}

/// `only`: targets by name, as cargo takes them; none of them: all.
pub(crate) fn build(workspace: &Workspace, only: &[&str]) -> Result<Built> {
    let mut cargo = workspace.cargo(&["test", "--locked", "--workspace", "--no-run"]);
    cargo.args(only).arg("--message-format=json-render-diagnostics").stderr(Stdio::inherit());
    let output = cargo.output().context("cannot start cargo test")?;
    if !output.status.success() {
        bail!("cargo test --no-run ended with {}: see above", output.status);
    }
    let built = built(&String::from_utf8_lossy(&output.stdout))?;
    if built.suites.is_empty() {
        bail!("cargo test --no-run built no test program");
    }
    Ok(built)
}

impl Built {
    pub(crate) fn suite(&self, name: &str) -> Result<&Suite> {
        self.suites.iter().find(|suite| suite.name == name).with_context(|| format!("cargo built no {name}"))
    }

    pub(crate) fn program(&self, name: &str) -> Result<&Path> {
        self.programs.get(name).map(PathBuf::as_path).with_context(|| format!("cargo built no program {name}"))
    }
}

impl Suite {
    pub(crate) fn run(&self, workspace: &Workspace, full: bool) -> Result<Outcome> {
        let mut program = Command::new(&self.program);
        program.current_dir(&self.folder).env("CARGO_MANIFEST_DIR", &self.folder).env("PATH", workspace.path());
        if full {
            setup::ensure(workspace, self.parts_of_full())?;
            program.arg("--include-ignored");
        }
        let mut child = program.stdout(Stdio::piped()).spawn();
        let child =
            child.as_mut().map_err(|error| anyhow::anyhow!("cannot start {}: {error}", self.program.display()))?;
        let mut outcome = None;
        for line in BufReader::new(child.stdout.take().context("a piped stdout is there")?).lines() {
            let line = line.context("cannot read what the test program prints")?;
            println!("{line}");
            outcome = result_line(&line).or(outcome);
        }
        let status = child.wait().context("the test program vanished")?;
        let outcome = outcome.with_context(|| format!("it ended with {status} and no result"))?;
        if status.success() != (outcome.tally.failed == 0) {
            bail!("it said {} failed and ended with {status}", outcome.tally.failed);
        }
        Ok(outcome)
    }

    /// What its tests of `--full` need beside what every test may use.
    fn parts_of_full(&self) -> &'static [Part] {
        if self.name == "tracer-daemon tests/page" { &[Part::Chromium] } else { &[] }
    }
}

/// The programs among cargo's messages, those of tests in the order of the house: what everything stands on comes first.
fn built(messages: &str) -> Result<Built> {
    let mut suites = Vec::new();
    let mut programs = BTreeMap::new();
    for line in messages.lines() {
        let message: Value =
            serde_json::from_str(line).with_context(|| format!("cargo said what is not JSON: {line}"))?;
        let Some(program) = message["executable"].as_str() else { continue };
        let target = message["target"]["name"].as_str().unwrap_or_default();
        if message["profile"]["test"] != true {
            programs.insert(target.to_owned(), PathBuf::from(program));
            continue;
        }
        let manifest = Path::new(message["manifest_path"].as_str().context("an artifact without a manifest")?);
        let folder = manifest.parent().context("a manifest without a folder")?.to_path_buf();
        let package = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let kind = message["target"]["kind"][0].as_str().unwrap_or_default();
        let name = if kind == "test" { format!("{package} tests/{target}") } else { format!("{package} {kind}") };
        suites.push(Suite { name, program: program.into(), folder });
    }
    let floor = |suite: &Suite| {
        let crates = ["xtask", "tracer-common", "tracer-engine", "tracer-daemon", "tracer-lab"];
        crates.iter().position(|name| suite.folder.ends_with(name)).unwrap_or(crates.len())
    };
    suites.sort_by(|a, b| (floor(a), &a.name).cmp(&(floor(b), &b.name)));
    Ok(Built { suites, programs })
}

/// `test result: ok. 3 passed; 0 failed; 1 ignored; ..`, as libtest and its imitators end.
pub(crate) fn result_line(line: &str) -> Option<Outcome> {
    let figures = line.trim_start().strip_prefix("test result: ")?.split_once(". ")?.1;
    let figure = |what: &str| figures.split("; ").find_map(|part| part.strip_suffix(what)?.trim().parse().ok());
    let tally = Tally { passed: figure("passed")?, failed: figure("failed")? };
    Some(Outcome { tally, left_out: figure("ignored")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_result_line_is_counted() {
        let line = "test result: FAILED. 33 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s";
        let tally = Tally { passed: 33, failed: 2 };
        assert_eq!(result_line(line), Some(Outcome { tally, left_out: 1 }));
        assert_eq!(result_line("test x ... ok"), None);
        assert_eq!(result_line("test result: who knows"), None);
    }

    #[test]
    fn test_programs_are_found_among_cargos_messages() {
        let artifact = |package: &str, kind: &str, target: &str, test: bool| {
            format!(
                r#"{{"reason":"compiler-artifact","manifest_path":"/w/{package}/Cargo.toml","profile":{{"test":{test}}},"#,
            ) + &format!(r#""target":{{"kind":["{kind}"],"name":"{target}"}},"executable":"/t/{target}"}}"#)
        };
        let messages = [
            artifact("tracer-lab", "test", "mesh", true),
            artifact("tracer-daemon", "bin", "mesh-tracer", false),
            artifact("tracer-engine", "lib", "tracer_engine", true),
            r#"{"reason":"build-finished","success":true}"#.to_owned(),
        ];
        let built = built(&messages.join("\n")).unwrap();
        let names: Vec<_> = built.suites.iter().map(|suite| suite.name.as_str()).collect();
        assert_eq!(names, ["tracer-engine lib", "tracer-lab tests/mesh"]);
        assert_eq!(built.suites[0].folder, Path::new("/w/tracer-engine"));
        assert_eq!(built.program("mesh-tracer").unwrap(), Path::new("/t/mesh-tracer"));
        assert!(built.suite("tracer-daemon tests/kernel").is_err());
    }

    #[test]
    fn a_test_program_that_dies_is_no_success() {
        let suite = |script: &str| Suite { name: "x".to_owned(), program: script.into(), folder: "/".into() };
        // `false` says nothing and fails, `true` says nothing and succeeds: neither ran a test.
        assert!(suite("/bin/false").run(&Workspace::this(), false).is_err());
        assert!(suite("/bin/true").run(&Workspace::this(), false).is_err());
        assert!(suite("/no/such/program").run(&Workspace::this(), false).is_err());
    }
}
