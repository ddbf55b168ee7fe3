//! Which pod a cgroup belongs to: the kubelet names a pod's cgroup after the pod's uid, and the kernel numbers a cgroup
//! by the inode of its directory. It is the only way to tell apart the pods that share the node's own network namespace
//! (trap 16), and it proves whose a pod ip is.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::clock;
use tracer_engine::net::{CgroupId, Ktime, Name};
use tracer_engine::socket::{CgroupOwner, KernelEvent};

/// The directories of cgroup2, as far as they were asked about.
#[derive(Debug, Default)]
pub(super) struct Cgroups {
    root: Option<PathBuf>,
    /// `None`: no pod's, or gone before it could be looked at.
    known: HashMap<CgroupId, Option<Name>>,
    again: Ktime,
}

/// An unknown cgroup is looked for at most this often. Until then its sockets are attributed by address.
const PAUSE: Duration = Duration::from_millis(200);
/// And so rarely that looking costs a twentieth of a core where directories are many and new ones come all the time.
const RESTS: u32 = 20;
/// kubepods.slice/kubepods-burstable.slice/...-pod<uid>.slice/<container>, and what a node in a container adds above.
const DEEPEST: usize = 12;
/// Past this many all are asked for anew: containers come and go, and the number of a cgroup does not come back.
const MOST: usize = 65_536;

impl Cgroups {
    pub(super) fn new(root: Option<PathBuf>) -> Self {
        Self { root, ..Self::default() }
    }

    /// Puts in front of the events whose cgroups are in them, as far as that was not told yet.
    pub(super) fn introduce(&mut self, events: &mut Vec<KernelEvent>) {
        let Some(root) = &self.root else { return };
        let Some(at) = events.first().map(KernelEvent::at) else { return };
        if at < self.again || cgroups_of(events).all(|cgroup| self.known.contains_key(&cgroup)) {
            return;
        }
        let begun = clock::ktime();
        let found = directories(root);
        self.again = at + PAUSE.max(RESTS * clock::ktime().since(begun));
        if self.known.len() >= MOST {
            self.known.clear();
        }
        // Of what is no pod's only whoever speaks is of interest.
        let speaking: HashSet<CgroupId> = cgroups_of(events).collect();
        let mut news = Vec::new();
        for (cgroup, pod) in found {
            if pod.is_none() && !speaking.contains(&cgroup) {
                continue;
            }
            if self.known.insert(cgroup, pod.clone()).is_none() {
                news.push(KernelEvent::CgroupOwner(CgroupOwner { at, cgroup, pod }));
            }
        }
        for cgroup in cgroups_of(events) {
            self.known.entry(cgroup).or_default();
        }
        events.splice(0..0, news);
    }
}

fn cgroups_of(events: &[KernelEvent]) -> impl Iterator<Item = CgroupId> {
    events.iter().filter_map(|event| match event {
        KernelEvent::Socket(event) => Some(event.socket.owner.cgroup),
        KernelEvent::Dropped(_) | KernelEvent::DropCount(_) | KernelEvent::CgroupOwner(_) => None,
    })
}

/// Every directory, and the pod that it is of.
fn directories(root: &Path) -> Vec<(CgroupId, Option<Name>)> {
    let mut found = Vec::new();
    if let Ok(folder) = fs::metadata(root) {
        found.push((CgroupId(folder.ino()), None));
    }
    walk(root, None, DEEPEST, &mut found);
    found
}

fn walk(folder: &Path, pod: Option<&Name>, depth: usize, found: &mut Vec<(CgroupId, Option<Name>)>) {
    // A cgroup may go away at any moment; what is gone has no sockets.
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let own = pod_uid(&entry.file_name().to_string_lossy());
        let pod = own.as_ref().or(pod);
        found.push((CgroupId(entry.ino()), pod.cloned()));
        if depth > 0 {
            walk(&entry.path(), pod, depth - 1, found);
        }
    }
}

/// `pod<uid>` (driver cgroupfs) or `kubepods-besteffort-pod<uid>.slice` with `_` for `-` (driver systemd). A static pod's
/// uid is a hash without dashes.
fn pod_uid(name: &str) -> Option<Name> {
    let name = name.strip_suffix(".slice").unwrap_or(name);
    let uid = match name.rfind("-pod") {
        Some(at) if name.starts_with("kubepods") => &name[at + 4..],
        _ => name.strip_prefix("pod")?,
    };
    let uid = uid.replace('_', "-");
    let plain = uid.len() == 32 && uid.bytes().all(|byte| byte.is_ascii_hexdigit());
    let dashed = uid.len() == 36 && uid.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    (plain || dashed).then(|| uid.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracer_engine::net::{Cookie, Endpoint};
    use tracer_engine::socket::{Owner, Socket, SocketChange, SocketEvent};

    const UID: &str = "0c8a1d1e-3b7e-4d5a-9c8f-6b1f0a2d3e4f";

    fn event(cgroup: CgroupId, at: u64) -> KernelEvent {
        let end = Endpoint::new([127, 0, 0, 1].into(), 1);
        let owner = Owner { cgroup, ..Owner::default() };
        let socket = Socket { cookie: Cookie(1), local: end, remote: end, owner };
        KernelEvent::Socket(SocketEvent { at: Ktime(at), socket, change: SocketChange::Found })
    }

    #[test]
    fn both_drivers_name_pods() {
        let systemd = format!("kubepods-burstable-pod{}.slice", UID.replace('-', "_"));
        for name in [format!("pod{UID}"), systemd.clone(), systemd.replace("burstable-", "")] {
            assert_eq!(pod_uid(&name).as_deref(), Some(UID), "{name}");
        }
        let hash = "b1946ac92492d2347c6235b4d2611184";
        assert_eq!(pod_uid(&format!("pod{hash}")).as_deref(), Some(hash));
        for other in
            ["kubepods.slice", "kubepods-besteffort.slice", "podman-1234.scope", "cri-containerd-ab.scope", "pod"]
        {
            assert_eq!(pod_uid(other), None, "{other}");
        }
    }

    #[test]
    fn trap_16_a_container_s_cgroup_is_its_pod_s() {
        let root = tempfile::tempdir().expect("a folder");
        let container = root.path().join(format!("node1/kubepods/burstable/pod{UID}/5f1c"));
        let other = root.path().join("system.slice/kubelet.service");
        fs::create_dir_all(&container).and_then(|()| fs::create_dir_all(&other)).expect("folders");
        let id = |path: &Path| CgroupId(fs::metadata(path).expect("a folder").ino());
        let mut cgroups = Cgroups::new(Some(root.path().to_owned()));
        let mut events = vec![event(id(&other), 1), event(id(&container), 2)];
        cgroups.introduce(&mut events);
        let owners: Vec<_> = events
            .iter()
            .filter_map(|event| match event {
                KernelEvent::CgroupOwner(owner) => Some((owner.cgroup, owner.pod.as_deref())),
                _ => None,
            })
            .collect();
        assert!(owners.contains(&(id(&container), Some(UID))), "{owners:?}");
        assert!(owners.contains(&(id(&other), None)), "kubelet is no pod's: {owners:?}");
        assert!(matches!(events.last(), Some(KernelEvent::Socket(_))), "events keep their order behind the news");
        // Known by now: nothing is read and nothing said again.
        let mut again = vec![event(id(&container), 3)];
        cgroups.introduce(&mut again);
        assert_eq!(again.len(), 1);
    }

    #[test]
    fn an_unknown_cgroup_is_looked_for_at_most_so_often() {
        let root = tempfile::tempdir().expect("a folder");
        let mut cgroups = Cgroups::new(Some(root.path().to_owned()));
        cgroups.introduce(&mut vec![event(CgroupId(7), 1)]);
        assert!(cgroups.again >= Ktime(1) + PAUSE, "{cgroups:?}");
        // Longer only where the walk itself took long, which is the machine's business.
        cgroups.again = Ktime(1) + PAUSE;
        let pod = root.path().join(format!("pod{UID}"));
        fs::create_dir(&pod).expect("a folder");
        let id = CgroupId(fs::metadata(&pod).expect("a folder").ino());
        let soon = PAUSE.as_nanos() as u64;
        for (at, expected) in [(soon, 1), (soon + 1, 2)] {
            let mut events = vec![event(id, at)];
            cgroups.introduce(&mut events);
            assert_eq!(events.len(), expected, "at {at}");
        }
    }
}
