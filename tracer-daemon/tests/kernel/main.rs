//! The probes on the real kernel: needs root, and fails without it. The traps are those of the probes' specification,
//! each test named after the one it guards.
//!
//! Every test has a network namespace of its own, which ends with it, and looks at the events of that namespace only:
//! other traffic of the machine does not disturb.

mod drops;
mod gone;
mod harness;
mod late;
mod live;
mod loading;
mod loss;
mod open;
mod outcome;
mod owner;
mod payload;
mod scope;
mod tuple;
