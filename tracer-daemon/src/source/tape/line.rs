//! One line: an input, or the end.

use super::Recorded;
use super::dropped::{DropCountLine, DroppedLine};
use super::socket::SocketLine;
use crate::source::cluster::ClusterEvent;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use tracer_engine::net::{CgroupId, Ktime, Name};
use tracer_engine::socket::{CgroupOwner, KernelEvent};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Line<'a> {
    Socket(SocketLine),
    Dropped(DroppedLine),
    DropCount(DropCountLine),
    CgroupOwner {
        at: u64,
        cgroup: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pod: Option<Name>,
    },
    Cluster {
        at: u64,
        event: Cow<'a, ClusterEvent>,
    },
    Tick(u64),
    Lost {
        at: u64,
        count: u64,
    },
    Clock(Timestamp),
    /// Nothing follows; so many inputs came before.
    End {
        inputs: u64,
    },
}

impl<'a> From<&'a Recorded> for Line<'a> {
    fn from(recorded: &'a Recorded) -> Self {
        match recorded {
            Recorded::Kernel(KernelEvent::Socket(event)) => Line::Socket(event.into()),
            Recorded::Kernel(KernelEvent::Dropped(dropped)) => Line::Dropped(dropped.into()),
            Recorded::Kernel(KernelEvent::DropCount(count)) => Line::DropCount(count.into()),
            Recorded::Kernel(KernelEvent::CgroupOwner(CgroupOwner { at, cgroup, pod })) => {
                Line::CgroupOwner { at: at.0, cgroup: cgroup.0, pod: pod.clone() }
            }
            Recorded::Cluster { at, event } => Line::Cluster { at: at.0, event: Cow::Borrowed(event) },
            Recorded::Tick(at) => Line::Tick(at.0),
            Recorded::Lost { at, count } => Line::Lost { at: at.0, count: *count },
            Recorded::Clock(boot) => Line::Clock(*boot),
        }
    }
}

impl Line<'_> {
    /// `Err`: the end, and how many inputs there should have been.
    pub(super) fn into_recorded(self) -> Result<Recorded, u64> {
        Ok(match self {
            Line::Socket(event) => Recorded::Kernel(KernelEvent::Socket(event.into())),
            Line::Dropped(dropped) => Recorded::Kernel(KernelEvent::Dropped(dropped.into())),
            Line::DropCount(count) => Recorded::Kernel(KernelEvent::DropCount(count.into())),
            Line::CgroupOwner { at, cgroup, pod } => {
                let owner = CgroupOwner { at: Ktime(at), cgroup: CgroupId(cgroup), pod };
                Recorded::Kernel(KernelEvent::CgroupOwner(owner))
            }
            Line::Cluster { at, event } => Recorded::Cluster { at: Ktime(at), event: event.into_owned() },
            Line::Tick(at) => Recorded::Tick(Ktime(at)),
            Line::Lost { at, count } => Recorded::Lost { at: Ktime(at), count },
            Line::Clock(boot) => Recorded::Clock(boot),
            Line::End { inputs } => return Err(inputs),
        })
    }
}
