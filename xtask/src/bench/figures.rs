//! Figures that were taken in pairs, one beside the other: their middle, and how sure one can be of it.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// One figure, as often as it was taken.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Figure {
    values: Vec<f64>,
}

/// Everything that a bench says, for people and for machines.
#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
}

struct Row {
    name: String,
    unit: &'static str,
    figure: Figure,
    /// What is asked for, and whether the figure is good enough.
    wanted: Option<(String, bool)>,
}

impl Figure {
    pub(crate) fn new(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        Self { values }
    }

    /// Of each pair taken together, in order.
    pub(crate) fn of_pairs(a: &[f64], b: &[f64], of: impl Fn(f64, f64) -> f64) -> Self {
        Self::new(a.iter().zip(b).map(|(a, b)| of(*a, *b)))
    }

    pub(crate) fn median(&self) -> f64 {
        let middle = self.values.len() / 2;
        match self.values.len() {
            0 => f64::NAN,
            odd if odd % 2 == 1 => self.values[middle],
            _ => f64::midpoint(self.values[middle - 1], self.values[middle]),
        }
    }

    /// Where the true median lies with a probability of at least 95 %, whatever the distribution: between two of the
    /// values, counted from either end (the sign test). With fewer than six there is no such interval.
    pub(crate) fn interval(&self) -> Option<(f64, f64)> {
        let n = self.values.len();
        let mut outside = 0.0;
        let mut cut = 0;
        // The probability that at most `cut` of n values lie on one side of the median is a sum of binomials.
        for at in 0..n / 2 {
            outside += binomial(n, at) / 2_f64.powi(i32::try_from(n).unwrap_or(i32::MAX));
            if 2.0 * outside > 0.05 {
                break;
            }
            cut = at + 1;
        }
        (cut > 0).then(|| (self.values[cut - 1], self.values[n - cut]))
    }
}

fn binomial(n: usize, k: usize) -> f64 {
    (0..k).fold(1.0, |product, at| product * (n - at) as f64 / (at + 1) as f64)
}

impl Report {
    pub(crate) fn add(&mut self, name: impl Into<String>, unit: &'static str, figure: Figure) {
        self.rows.push(Row { name: name.into(), unit, figure, wanted: None });
    }

    /// As `add`, with a bound: `at_most` or at least.
    pub(crate) fn hold(&mut self, name: impl Into<String>, unit: &'static str, figure: Figure, bound: Bound) {
        let (said, good) = match bound {
            Bound::AtMost(most) => (format!("<= {}", short(most)), figure.median() <= most),
            Bound::AtLeast(least) => (format!(">= {}", short(least)), figure.median() >= least),
        };
        self.rows.push(Row { name: name.into(), unit, figure, wanted: Some((said, good)) });
    }

    pub(crate) fn good(&self) -> bool {
        self.rows.iter().all(|row| row.wanted.as_ref().is_none_or(|(_, good)| *good))
    }

    /// A table as Markdown has it, so that it can be read on a terminal and pasted into `docs/performance.md`.
    pub(crate) fn markdown(&self) -> String {
        let mut text = "| figure | median | 95 % interval | asked for | |\n|---|---|---|---|---|\n".to_owned();
        for Row { name, unit, figure, wanted } in &self.rows {
            let interval = figure.interval().map_or_else(
                || format!("{} value(s)", figure.values.len()),
                |(a, b)| format!("{} .. {}", short(a), short(b)),
            );
            let (said, good) = match wanted {
                Some((said, good)) => (said.as_str(), if *good { "yes" } else { "**no**" }),
                None => ("", ""),
            };
            let median = short(figure.median());
            // Writing into a String cannot fail.
            let _ = writeln!(text, "| {name} | {median} {unit} | {interval} | {said} | {good} |");
        }
        text
    }

    pub(crate) fn write_json(&self, file: &Path) -> Result<()> {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|Row { name, unit, figure, wanted }| {
                json!({
                    "figure": name, "unit": unit, "values": figure.values, "median": figure.median(),
                    "interval": figure.interval().map(|(a, b)| [a, b]),
                    "wanted": wanted.as_ref().map(|(said, _)| said), "good": wanted.as_ref().map(|(_, good)| good),
                })
            })
            .collect();
        let text = serde_json::to_string_pretty(&rows).context("figures are JSON")?;
        fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

/// Three digits, and no more zeros than needed.
fn short(value: f64) -> String {
    match value.abs() {
        big if big >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_ten_is_from_the_second_to_the_ninth() {
        let ten = Figure::new((1..=10).map(f64::from));
        assert_eq!((ten.median(), ten.interval()), (5.5, Some((2.0, 9.0))));
    }

    #[test]
    fn a_few_values_have_no_interval() {
        assert_eq!(Figure::new([3.0, 1.0, 2.0]).interval(), None);
        assert!((Figure::new([3.0, 1.0, 2.0]).median() - 2.0).abs() < f64::EPSILON);
    }

    #[test]
    fn pairs_are_compared_before_they_are_sorted() {
        let ratio = Figure::of_pairs(&[10.0, 100.0, 1000.0], &[20.0, 100.0, 500.0], |a, b| a / b);
        assert_eq!(ratio, Figure::new([0.5, 1.0, 2.0]));
    }

    #[test]
    fn a_bound_that_is_missed_is_said() {
        let mut report = Report::default();
        report.hold("fast", "us", Figure::new([3.0]), Bound::AtMost(2.0));
        assert!(!report.good());
        assert!(
            report.markdown().contains("| fast | 3.00 us | 1 value(s) | <= 2.00 | **no** |"),
            "{}",
            report.markdown()
        );
    }
}
