//! What is there of a run, asked of the kernel and of `ip`.

use std::fs;
use std::path::Path;
use std::process::Command;

#[derive(Default, PartialEq, Eq, Debug)]
pub(crate) struct Remains {
    pub(crate) namespaces: Vec<String>,
    pub(crate) processes: Vec<String>,
    pub(crate) cgroups: Vec<String>,
    pub(crate) folders: Vec<String>,
    pub(crate) links: Vec<String>,
}

/// Of every run of the process `pid`, or of `run` where its whole name is given.
pub(crate) fn of(run: &str) -> Remains {
    let processes = entries("/proc").into_iter().filter(|pid| {
        let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
        // Who adopts the orphans of a killed run may take its time to reap them; they are dead all the same.
        let dead = read("stat").rsplit(") ").next().is_none_or(|state| state.starts_with(['Z', 'X']));
        !dead && read("cgroup").lines().any(|line| line.starts_with(&format!("0::/{run}")))
    });
    let links = Command::new("ip").args(["-brief", "link"]).output().unwrap().stdout;
    Remains {
        namespaces: begin_with(run, "/run/netns"),
        processes: processes.collect(),
        cgroups: begin_with(run, cgroup2()),
        folders: begin_with(run, "/run/tracer-lab"),
        links: String::from_utf8(links).unwrap().lines().filter(|line| line.contains(run)).map(str::to_owned).collect(),
    }
}

fn begin_with(run: &str, folder: impl AsRef<Path>) -> Vec<String> {
    entries(folder).into_iter().filter(|name| name.starts_with(run)).collect()
}

fn entries(folder: impl AsRef<Path>) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries.filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned())).collect()
}

fn cgroup2() -> String {
    let mounts = fs::read_to_string("/proc/mounts").unwrap();
    let mount = mounts.lines().find(|line| line.split(' ').nth(2) == Some("cgroup2")).expect("no cgroup2");
    mount.split(' ').nth(1).unwrap().to_owned()
}
