//! Inputs in, records out: what the engine says of what real proxies and kernels show. No clock, no sleep, no kernel.

mod ambient;
mod cgroups;
mod claims;
mod cluster;
mod demo;
mod drops;
mod endings;
mod lab;
mod meshes;
mod news;
mod properties;
mod rows;
mod unanswered;
mod wire;
