//! A guest's first and only file system: init, the programs to run, and what those call.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::json;

use super::cpio::Archive;
use super::modules;
use crate::kernel_package::KernelPackage;
use crate::shell;

/// What the kernel tests call.
const CALLED: [&str; 7] = ["sh", "bash", "mount", "umount", "ip", "iptables", "ip6tables"];

/// A program of ours that a guest runs.
pub(super) struct Program<'a> {
    /// What a person calls it.
    pub(super) name: &'a str,
    pub(super) path: &'a Path,
    pub(super) args: &'a [String],
}

/// Files that are the same for every kernel. Programs are this machine's own, with their shared libraries: what runs in
/// a guest is the very program that runs here.
pub(super) struct Userland {
    init: Vec<u8>,
    /// Absolute path and content.
    files: Vec<(String, Vec<u8>)>,
}

impl Userland {
    /// `work`: a folder for files in between.
    pub(super) fn gather(init: &Path, programs: &[&Path], work: &Path) -> Result<Self> {
        let mut files = Vec::new();
        let mut linked = vec![init.to_path_buf()];
        for name in CALLED {
            let path = shell::which(name).with_context(|| format!("{name} is not on PATH"))?;
            files.push((format!("/bin/{name}"), read(&path)?));
            linked.push(path);
        }
        // iptables loads each match and target of a rule as a library.
        let extensions = extensions(&linked)?;
        linked.extend(extensions.iter().cloned());
        for program in programs {
            files.push((inside(program), stripped(program, work)?));
            linked.push(program.to_path_buf());
        }
        for library in libraries(&linked)?.into_iter().chain(extensions) {
            files.push((library.display().to_string(), read(&library)?));
        }
        Ok(Self { init: stripped(init, work)?, files })
    }

    /// The archive for one kernel.
    pub(super) fn archive(&self, kernel: &KernelPackage, programs: &[Program<'_>]) -> Result<Vec<u8>> {
        let mut archive = Archive::default();
        // The kernel opens it for init before init could mount anything.
        archive.character_device("/dev/console", (5, 1));
        archive.file("/init", &self.init);
        for (path, content) in &self.files {
            archive.file(path, content);
        }
        let mut modules = Vec::new();
        for module in modules::wanted(&kernel.modules())? {
            let path = format!("/modules/{}.ko", module.name);
            archive.file(&path, &module.content);
            modules.push(path);
        }
        let programs: Vec<_> = programs
            .iter()
            .map(|Program { name, path, args }| {
                let argv: Vec<_> = std::iter::once(inside(path)).chain(args.iter().cloned()).collect();
                json!({ "name": name, "argv": argv })
            })
            .collect();
        archive.file("/plan.json", json!({ "modules": modules, "programs": programs }).to_string().as_bytes());
        Ok(archive.finish())
    }
}

fn inside(program: &Path) -> String {
    format!("/programs/{}", program.file_name().unwrap_or_default().display())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Without debug information, which is most of a test program and would fill the guest's memory.
fn stripped(program: &Path, work: &Path) -> Result<Vec<u8>> {
    let to = work.join("stripped");
    shell::read(Command::new("strip").arg("--strip-debug").arg("-o").arg(&to).arg(program))?;
    read(&to)
}

/// The shared libraries of programs, where the dynamic linker will look for them.
fn libraries(programs: &[PathBuf]) -> Result<BTreeSet<PathBuf>> {
    Ok(paths(&shell::read(Command::new("ldd").args(programs))?))
}

/// Every absolute path that `ldd` names, but for the programs themselves, which it ends with a colon.
fn paths(ldd: &str) -> BTreeSet<PathBuf> {
    let words = ldd.split_whitespace().filter(|word| word.starts_with('/') && !word.ends_with(':'));
    words.map(PathBuf::from).collect()
}

/// The folder of iptables' own libraries lies beside the library that loads them.
fn extensions(programs: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let libraries = libraries(programs)?;
    let loader = libraries.iter().find(|path| path.display().to_string().contains("/libxtables.so"));
    let loader = loader.context("iptables uses no libxtables")?;
    let loader = loader.canonicalize().with_context(|| format!("no {}", loader.display()))?;
    let folder = loader.with_file_name("xtables");
    let entries = fs::read_dir(&folder).with_context(|| format!("no iptables extensions in {}", folder.display()))?;
    let mut extensions: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    extensions.retain(|path| path.extension().is_some_and(|end| end == "so"));
    extensions.sort();
    Ok(extensions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_told_from_programs_and_from_the_kernels_own() {
        let ldd = "/usr/sbin/ip:\n\tlinux-vdso.so.1 (0x00007ffd)\n\tlibmnl.so.0 => /lib/x/libmnl.so.0 (0x00007f1)\n\
                   \t/lib64/ld-linux-x86-64.so.2 (0x00007f2)\n/t/kernel:\n\tlibmnl.so.0 => /lib/x/libmnl.so.0 (0x00007f3)\n";
        let found: Vec<_> = paths(ldd).into_iter().collect();
        assert_eq!(found, [PathBuf::from("/lib/x/libmnl.so.0"), PathBuf::from("/lib64/ld-linux-x86-64.so.2")]);
    }
}
