//! The pure core of mesh-tracer: facts and kernel events go in, records come out.

pub mod net;
pub mod socket;
pub mod input;
pub mod mesh;
pub mod verdict;
pub mod walk;
pub mod record;
