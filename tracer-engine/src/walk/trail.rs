//! The steps that lead to an outcome: `explain`'s text. Where nobody reads them they cost nothing.

use super::outcome::{Place, Step};
use std::fmt::Display;

pub(super) trait Trail: Clone + Default {
    fn step<B: Display>(&mut self, at: Place, says: impl FnOnce() -> String, because: impl FnOnce() -> B);
    fn into_steps(self) -> Vec<Step>;
}

/// Nobody asked.
#[derive(Clone, Default)]
pub(super) struct Untold;

#[derive(Clone, Default)]
pub(super) struct Told(Vec<Step>);

impl Trail for Untold {
    #[inline]
    fn step<B: Display>(&mut self, _: Place, _: impl FnOnce() -> String, _: impl FnOnce() -> B) {}

    fn into_steps(self) -> Vec<Step> {
        Vec::new()
    }
}

impl Trail for Told {
    fn step<B: Display>(&mut self, at: Place, says: impl FnOnce() -> String, because: impl FnOnce() -> B) {
        self.0.push(Step { at, says: says(), because: because().to_string() });
    }

    fn into_steps(self) -> Vec<Step> {
        self.0
    }
}
