//! Which cgroup of this node is which pod's, and which is no pod's.

use crate::mesh::facts::Uid;
use crate::net::{CgroupId, Ktime};
use crate::socket::CgroupOwner;
use rustc_hash::FxHashMap as HashMap;

#[derive(Debug, Default)]
pub(super) struct Cgroups {
    pods: HashMap<CgroupId, Told>,
}

#[derive(Debug)]
struct Told {
    at: Ktime,
    /// `None`: no pod's.
    uid: Option<Uid>,
}

/// Whose the processes of a cgroup are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Whose {
    /// The pod with this uid.
    Pod(Uid),
    /// No pod's.
    Node,
    Unknown,
}

/// Twice what the daemon keeps in mind before it tells of every living cgroup anew (`source::kernel::cgroups`): whatever
/// it told since then stays.
const MOST: usize = 2 * 65_536;

impl Cgroups {
    pub(super) fn insert(&mut self, owner: &CgroupOwner) {
        if self.pods.len() >= MOST {
            self.forget_older_half();
        }
        self.pods.insert(owner.cgroup, Told { at: owner.at, uid: owner.pod.as_deref().map(Uid::from) });
    }

    pub(super) fn whose(&self, cgroup: CgroupId) -> Whose {
        match self.pods.get(&cgroup) {
            Some(Told { uid: Some(uid), .. }) => Whose::Pod(*uid),
            Some(Told { uid: None, .. }) => Whose::Node,
            None => Whose::Unknown,
        }
    }

    /// Containers come and go, and the number of a cgroup does not come back.
    fn forget_older_half(&mut self) {
        let mut times: Vec<Ktime> = self.pods.values().map(|told| told.at).collect();
        let (_, median, _) = times.select_nth_unstable(MOST / 2);
        let median = *median;
        self.pods.retain(|_, told| told.at >= median);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_last_is_kept_and_memory_is_bounded() {
        let mut cgroups = Cgroups::default();
        for number in 0..3 * MOST as u64 {
            let owner = CgroupOwner { at: Ktime(number), cgroup: CgroupId(number), pod: Some("uid".into()) };
            cgroups.insert(&owner);
            assert!(cgroups.pods.len() <= MOST);
        }
        let last = 3 * MOST as u64 - 1;
        let kept = (last - MOST as u64 / 4..=last).all(|number| cgroups.whose(CgroupId(number)) != Whose::Unknown);
        assert!(kept);
        assert_eq!(cgroups.whose(CgroupId(0)), Whose::Unknown);
    }
}
