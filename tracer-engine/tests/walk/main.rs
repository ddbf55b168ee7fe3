//! The walk on meshes built by hand: each row of `classification.md`, sections 4 to 8, by its name.

mod ambient;
mod capture;
mod causes;
mod delegates;
mod destination;
mod hosts;
mod index;
mod listeners;
mod mesh;
mod policy;
mod random;
mod remedy;
mod rows;
mod security;
mod unknown;
mod visibility;
