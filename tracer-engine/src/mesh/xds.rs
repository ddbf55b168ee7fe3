//! What istiod pushes to one proxy, as far as one connection asks for it: the listener of an address (LDS), the virtual
//! host of a name (RDS), a cluster and its endpoints (CDS, EDS), and how the cluster secures them.

pub(crate) mod client_tls;
pub(crate) mod cluster;
pub(crate) mod listener;
pub(crate) mod server_name;
pub(crate) mod virtual_host;
pub(crate) mod virtual_service;
