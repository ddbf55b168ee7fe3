//! A dropped segment, and a count of them, as a tape spells them.

use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use tracer_engine::net::{Cookie, Endpoint, Ktime, Name, NetNs};
use tracer_engine::socket::{DropCount, Dropped, Segment};

#[derive(Serialize, Deserialize)]
pub(super) struct DroppedLine {
    at: u64,
    reason: Name,
    source: SocketAddr,
    destination: SocketAddr,
    cookie: Option<u64>,
    netns: u32,
    segment: SegmentLine,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum SegmentLine {
    Syn(u32),
    SynAnswer(u32),
    Other,
}

#[derive(Serialize, Deserialize)]
pub(super) struct DropCountLine {
    at: u64,
    reason: Name,
    between: Option<(IpAddr, IpAddr)>,
    count: u64,
}

impl From<&Dropped> for DroppedLine {
    fn from(dropped: &Dropped) -> Self {
        let Dropped { at, reason, source, destination, cookie, netns, segment } = dropped;
        let address = |of: &Endpoint| SocketAddr::new(of.ip, of.port);
        Self {
            at: at.0,
            reason: reason.clone(),
            source: address(source),
            destination: address(destination),
            cookie: cookie.map(|cookie| cookie.0),
            netns: netns.0,
            segment: match segment {
                Segment::Syn { client_isn } => SegmentLine::Syn(*client_isn),
                Segment::SynAnswer { client_isn } => SegmentLine::SynAnswer(*client_isn),
                Segment::Other => SegmentLine::Other,
            },
        }
    }
}

impl From<DroppedLine> for Dropped {
    fn from(line: DroppedLine) -> Self {
        let DroppedLine { at, reason, source, destination, cookie, netns, segment } = line;
        Self {
            at: Ktime(at),
            reason,
            source: Endpoint::new(source.ip(), source.port()),
            destination: Endpoint::new(destination.ip(), destination.port()),
            cookie: cookie.map(Cookie),
            netns: NetNs(netns),
            segment: match segment {
                SegmentLine::Syn(client_isn) => Segment::Syn { client_isn },
                SegmentLine::SynAnswer(client_isn) => Segment::SynAnswer { client_isn },
                SegmentLine::Other => Segment::Other,
            },
        }
    }
}

impl From<&DropCount> for DropCountLine {
    fn from(count: &DropCount) -> Self {
        let DropCount { at, reason, between, count } = count;
        Self { at: at.0, reason: reason.clone(), between: *between, count: *count }
    }
}

impl From<DropCountLine> for DropCount {
    fn from(line: DropCountLine) -> Self {
        let DropCountLine { at, reason, between, count } = line;
        Self { at: Ktime(at), reason, between, count }
    }
}
