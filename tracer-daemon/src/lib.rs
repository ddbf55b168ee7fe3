//! Sources and sinks around the engine. The binary `mesh-tracer` is `main.rs`; tests call the same parts.

pub mod source;
