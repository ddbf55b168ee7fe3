//! What a guest says on its second serial port: lines of `guest-init`, which begin with `guest: `, and between them what
//! the programs say (tracer-lab/src/bin/guest-init writes it).

use anyhow::{Result, bail};

use crate::suite::{self, Outcome};
use crate::tally::Tally;

const MARK: &str = "guest: ";

#[derive(Debug)]
pub(super) struct Report {
    /// The programs are those of tests, which end with a result.
    tests: bool,
    /// `uname -r`
    kernel: Option<String>,
    /// The program that runs, and how its test results add up.
    running: Option<(String, Option<Outcome>)>,
    outcome: Outcome,
    /// Programs that ended well.
    ended: usize,
    /// The last thing that was heard.
    last: String,
    done: bool,
    failed: Option<String>,
}

impl Report {
    pub(super) fn new(tests: bool) -> Self {
        Self {
            tests,
            kernel: None,
            running: None,
            outcome: Outcome::default(),
            ended: 0,
            last: String::new(),
            done: false,
            failed: None,
        }
    }

    /// Takes a line; whether it is for a person to see.
    pub(super) fn take(&mut self, line: &str) -> bool {
        let Some(words) = line.strip_prefix(MARK) else {
            if let (Some((_, outcome)), Some(result)) = (&mut self.running, suite::result_line(line)) {
                *outcome = Some(result);
            }
            if !line.trim().is_empty() {
                line.trim_end().clone_into(&mut self.last);
            }
            return true;
        };
        words.clone_into(&mut self.last);
        match words.split_once(' ').unwrap_or((words, "")) {
            ("up", kernel) => self.kernel = Some(kernel.to_owned()),
            ("begin", name) => self.running = Some((name.to_owned(), None)),
            ("end", ended) => self.end(ended),
            ("done", _) => self.done = true,
            _ => self.fail(words.strip_prefix("failed ").unwrap_or(words)),
        }
        false
    }

    /// `NAME: exit status: 0`
    fn end(&mut self, ended: &str) {
        let Some((name, outcome)) = self.running.take() else { return self.fail("a program ended that never began") };
        let status = ended.strip_prefix(&name).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(ended);
        let well = status == "exit status: 0";
        match outcome {
            Some(Outcome { tally, .. }) if tally == Tally::default() => self.fail(&format!("{name} ran no test")),
            Some(Outcome { tally, left_out }) => {
                if well != (tally.failed == 0) {
                    return self.fail(&format!("{name} said {} failed and ended with {status}", tally.failed));
                }
                self.outcome.tally += tally;
                self.outcome.left_out += left_out;
                self.ended += 1;
            }
            None if self.tests => self.fail(&format!("{name} ended with {status} and no result")),
            None if well => self.ended += 1,
            None => self.fail(&format!("{name} ended with {status}")),
        }
    }

    fn fail(&mut self, why: &str) {
        self.failed.get_or_insert_with(|| why.to_owned());
    }

    pub(super) fn kernel(&self) -> Option<&str> {
        self.kernel.as_deref()
    }

    /// The count, where the guest came to its end and all of its `programs` with it.
    pub(super) fn judge(self, programs: usize) -> Result<Outcome> {
        if let Some(why) = self.failed {
            bail!("{why}");
        }
        if !self.done || self.ended != programs {
            bail!("it ended before its programs did; the last that was heard: {:?}", self.last);
        }
        Ok(self.outcome)
    }

    pub(super) fn last(&self) -> &str {
        &self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESULT: &str =
        "test result: FAILED. 35 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 9s";

    fn heard(lines: &[&str]) -> Report {
        let mut report = Report::new(true);
        for line in lines {
            report.take(line);
        }
        report
    }

    fn why(lines: &[&str]) -> String {
        heard(lines).judge(1).unwrap_err().to_string()
    }

    #[test]
    fn a_guests_tests_are_counted() {
        let lines =
            ["guest: up 6.1.0", "guest: begin a b", "test x ... FAILED", RESULT, "guest: end a b: exit status: 101"];
        let report = heard(&[&lines[..], &["guest: done"]].concat());
        assert_eq!(report.kernel(), Some("6.1.0"));
        let outcome = report.judge(1).unwrap();
        assert_eq!((outcome.tally, outcome.left_out), (Tally { passed: 35, failed: 2 }, 1));
        assert!(why(&lines).contains("ended before"), "no last word");
    }

    #[test]
    fn what_ends_without_a_result_did_not_pass() {
        let begin = "guest: begin t";
        assert_eq!(
            why(&[begin, "guest: end t: signal: 11 (SIGSEGV)"]),
            "t ended with signal: 11 (SIGSEGV) and no result"
        );
        assert_eq!(
            why(&[begin, RESULT, "guest: end t: exit status: 0"]),
            "t said 2 failed and ended with exit status: 0"
        );
        assert!(why(&["guest: up 6.1", "guest: done"]).contains("ended before"), "nothing ran");
        let none = "test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 51 filtered out; finished in 0.00s";
        assert_eq!(why(&[begin, none, "guest: end t: exit status: 0"]), "t ran no test");
        assert_eq!(why(&["guest: failed no module veth"]), "no module veth");
        assert!(why(&[begin, "test trap_02 ... "]).contains("trap_02"), "the test that hangs is named");
    }
}
