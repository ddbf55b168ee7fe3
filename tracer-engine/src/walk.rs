//! Istio's own decisions, followed.
pub mod outcome;
