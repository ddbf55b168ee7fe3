//! A mesh on one machine: each pod a network namespace and a cgroup, each sidecar a real Envoy on the configuration
//! that Istio generated, captured by Istio's own rules. The stage on which the tracer is shown and tested; it knows
//! nothing of the tracer.

mod clock;
mod keeper;
mod program;
mod requirements;

mod cgroup;
mod identity;
mod interrupt;
mod netns;
mod network;
mod recipe;
mod run;
mod sidecar;
mod ztunnel;

pub mod inside;

mod mesh;
mod pod;

pub mod cluster;
pub mod kubernetes;
pub mod prometheus;
pub mod storm;
pub mod stream;

pub use inside::wire::{CallResult, Ending};
pub use mesh::{Mesh, Options};
pub use pod::Pod;
pub use recipe::call::{Call, Request, Sends, Truth};
pub use recipe::names as mesh_names;
pub use recipe::pod_name::PodName;
pub use run::sweep::{Swept, clean};
