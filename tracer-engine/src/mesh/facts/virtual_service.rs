//! VirtualService: routes by host and port.

use super::{ExportTo, Labels, ObjectKey, Timestamp};
use crate::net::Name;
use ipnet::IpNet;

#[derive(Clone, PartialEq, Debug)]
pub struct VirtualService {
    pub key: ObjectKey,
    pub created: Timestamp,
    /// None: a delegate, whose routes count only where another VirtualService hands requests on to it.
    pub hosts: Vec<Name>,
    /// Empty: `mesh`.
    pub gateways: Vec<Name>,
    pub export_to: Option<ExportTo>,
    pub http: Vec<HttpRoute>,
    pub tls: Vec<L4Route>,
    pub tcp: Vec<L4Route>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct HttpRoute {
    pub name: Name,
    /// Any one must match; empty: all requests.
    pub matches: Vec<HttpMatch>,
    pub route: Vec<Destination>,
    /// `redirect` or `directResponse`: the proxy answers itself.
    pub answers: bool,
    /// The VirtualService whose routes stand in this one's place.
    pub delegate: Option<ObjectKey>,
}

/// Everything named must match. What a first payload does not keep (path, headers, method) is kept only as far as
/// needed to say "this depends on the path".
#[derive(Clone, PartialEq, Debug, Default)]
pub struct HttpMatch {
    pub uri: Option<StringMatch>,
    pub authority: Option<StringMatch>,
    pub port: Option<u16>,
    pub source_labels: Labels,
    pub source_namespace: Option<Name>,
    pub gateways: Vec<Name>,
    /// Conditions on headers, method, scheme or query: never seen by the tracer.
    pub unseen: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StringMatch {
    Exact(Name),
    Prefix(Name),
    Regex(Name),
}

/// A `tcp` or `tls` route.
#[derive(Clone, PartialEq, Debug)]
pub struct L4Route {
    /// Any one must match; empty: all connections.
    pub matches: Vec<L4Match>,
    pub route: Vec<Destination>,
}

#[derive(Clone, PartialEq, Debug, Default)]
pub struct L4Match {
    pub port: Option<u16>,
    pub sni_hosts: Vec<Name>,
    pub destination_subnets: Vec<IpNet>,
    pub source_labels: Labels,
    pub source_namespace: Option<Name>,
    pub gateways: Vec<Name>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Destination {
    pub host: Name,
    /// `None`: the listener's port.
    pub port: Option<u16>,
    pub subset: Option<Name>,
    pub weight: u32,
}
