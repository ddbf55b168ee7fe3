//! Sources and sinks around the engine. The binary `mesh-tracer` is `main.rs`; tests call the same parts.

pub mod clock;
pub mod process;
pub mod heap;
pub mod lifecycle;
pub mod cli;
pub mod config;
pub mod source;
pub mod sink;
pub mod command;
pub mod replay;
pub mod app;
