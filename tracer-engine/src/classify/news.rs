//! Facts come late: a pod's address is on the wire before kubelet has reported it and a watch has told of it, and so is
//! that of a pod which has the address of one that is gone. Whatever is told in time is attributed late rather than wrong;
//! of an address that nobody tells of, nothing is presumed.

use crate::flow::{FlowView, Role};
use crate::mesh::index::{Index, Occupant};
use crate::net::Ktime;
use crate::record::UnknownReason;
use crate::socket::Socket;
use smallvec::SmallVec;
use std::net::IpAddr;
use std::time::Duration;

/// How long news of a pod may be on their way: kubelet writes a pod's status every ten seconds at the latest.
const LATE: Duration = Duration::from_secs(10);

/// How often is looked whether they have come.
const LOOK: Duration = Duration::from_millis(500);

/// When the flow is asked about: when it began, or where somebody was told of only shortly after who must have had an
/// address of it by then, as of that.
pub(super) fn as_of(index: &Index, flow: &FlowView<'_>) -> Ktime {
    let since = flow.root.since();
    let told = |ip: IpAddr| index.told_after(ip, since).filter(|told| told.since(since) <= LATE);
    alive(flow).into_iter().filter_map(told).max().unwrap_or(since)
}

/// When to look again for news of an end of this flow; `None`: who they are is known, or will not be told any more.
/// `everywhere`: pods of other nodes are told of too.
pub(super) fn awaited(index: &Index, flow: &FlowView<'_>, now: Ktime, everywhere: bool) -> Option<Ktime> {
    let since = flow.root.since();
    let latest = since + LATE;
    if now >= latest {
        return None;
    }
    let end = flow.near()?;
    let (as_of, alive) = (as_of(index, flow), alive(flow));
    let is_awaited = |ip: IpAddr, who: Occupant<'_>| match who {
        Occupant::Unknown(UnknownReason::PodNotSeenYet | UnknownReason::FactsNotSynced) => true,
        Occupant::Tombstone(_) => alive.contains(&ip.to_canonical()),
        _ => false,
    };
    let (here, there) = (end.socket.local.ip, end.socket.remote.ip);
    let awaited = is_awaited(here, index.owner(&end.socket, as_of))
        || everywhere && is_awaited(there, index.occupant(there.to_canonical(), as_of));
    awaited.then(|| latest.min(now + LOOK))
}

/// Whether nothing is known of who has this address.
pub(super) fn is_unknown(index: &Index, ip: IpAddr, as_of: Ktime) -> bool {
    matches!(index.occupant(ip.to_canonical(), as_of), Occupant::Unknown(_))
}

/// Whether nothing is known of an end of this socket.
pub(super) fn has_unknown(index: &Index, near: &Socket, as_of: Ktime) -> bool {
    matches!(index.owner(near, as_of), Occupant::Unknown(_)) || is_unknown(index, near.remote.ip, as_of)
}

/// Addresses of the flow that somebody had, for he spoke from there or answered.
fn alive(flow: &FlowView<'_>) -> SmallVec<[IpAddr; 4]> {
    let mut alive = SmallVec::new();
    let mut add = |ip: IpAddr| {
        let ip = ip.to_canonical();
        if !alive.contains(&ip) {
            alive.push(ip);
        }
    };
    for leg in flow.legs() {
        // What a proxy accepts it accepts in the name of others.
        let answered = leg.server.as_ref().is_none_or(|server| server.role != Role::Capture);
        if let Some(client) = &leg.client {
            add(client.socket.local.ip);
            if client.opened.is_some() && answered {
                add(client.socket.remote.ip);
            }
        }
        if let Some(server) = leg.server.as_ref().filter(|_| answered) {
            add(server.socket.local.ip);
            add(server.socket.remote.ip);
        }
    }
    alive
}
