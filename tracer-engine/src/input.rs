//! The closed set of things that can be told to the engine. Time and loss are inputs like any other.

use crate::mesh::facts::Delta;
use crate::net::Ktime;
use crate::socket::{CgroupOwner, DropCount, Dropped, KernelEvent, SocketEvent};

#[derive(Clone, Debug)]
pub enum Input {
    /// The kernel said something about a socket.
    Socket(SocketEvent),
    /// The kernel discarded a segment.
    Dropped(Dropped),
    /// The kernel discarded so many, all told.
    DropCount(DropCount),
    /// A cgroup of this node is a pod's.
    CgroupOwner(CgroupOwner),
    /// The cluster changed, or was learnt, at `at`.
    Facts { at: Ktime, delta: Delta },
    /// It is `at` now: decide what is due. `Engine::next_tick` says when the next one is wanted.
    Tick(Ktime),
    /// `count` kernel events were lost by `at`: absence of evidence strikes out nothing for flows alive then.
    Lost { at: Ktime, count: u64 },
}

impl From<KernelEvent> for Input {
    fn from(event: KernelEvent) -> Self {
        match event {
            KernelEvent::Socket(event) => Input::Socket(event),
            KernelEvent::Dropped(dropped) => Input::Dropped(dropped),
            KernelEvent::DropCount(count) => Input::DropCount(count),
            KernelEvent::CgroupOwner(owner) => Input::CgroupOwner(owner),
        }
    }
}
