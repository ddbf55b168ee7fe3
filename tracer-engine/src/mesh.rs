//! What the cluster's configuration says.

pub mod facts;
pub mod index;
