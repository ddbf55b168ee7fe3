//! Where inputs come from: the kernel, the cluster's configuration, a tape.

pub mod cluster;
pub mod kernel;
pub mod tape;
