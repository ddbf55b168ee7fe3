//! What the cluster's configuration says, and the rules that need nothing else.

pub mod attribution;
pub mod capture;
pub mod facts;
pub mod inbound;
pub mod index;
pub mod policy;
pub mod protocol;
pub mod registry;
pub(crate) mod traffic_policy;
pub mod visibility;
pub(crate) mod waypoint;
pub(crate) mod xds;
