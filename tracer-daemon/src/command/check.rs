//! Can this node be traced? Every condition in its own line, and where it does not hold, what to do.

mod conditions;

use super::{Answer, Failure};
use anstyle::{AnsiColor, Style};
use conditions::conditions;
use std::io::{self, Write};
use std::path::PathBuf;

/// One thing that tracing needs, or is better with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Condition {
    pub name: String,
    pub state: State,
    /// What was found.
    pub says: String,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum State {
    Good,
    /// Tracing goes on with less.
    Degraded {
        fix: String,
    },
    /// Tracing does not start.
    Bad {
        fix: String,
    },
    /// Cannot be told, because of another line; or was not asked for.
    Skipped,
}

/// What is asked about.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// `None`: found in /proc/self/mountinfo.
    pub cgroup2: Option<PathBuf>,
    /// Name of this node in the facts.
    pub node: String,
    pub facts: Vec<PathBuf>,
}

/// `No` where anything is less than good.
pub fn check(asked: &Asked, out: &mut (impl Write + ?Sized)) -> Result<Answer, Failure> {
    let conditions = conditions(asked);
    show(&conditions, out).and_then(|()| out.flush()).map_err(Failure::output)?;
    let good = conditions.iter().all(|condition| matches!(condition.state, State::Good | State::Skipped));
    Ok(if good { Answer::Yes } else { Answer::No })
}

fn show(conditions: &[Condition], out: &mut (impl Write + ?Sized)) -> io::Result<()> {
    let width = conditions.iter().map(|condition| condition.name.len()).max().unwrap_or_default();
    for Condition { name, state, says } in conditions {
        let (word, style, fix) = match state {
            State::Good => ("ok", AnsiColor::Cyan.on_default(), None),
            State::Degraded { fix } => ("less", AnsiColor::Yellow.on_default(), Some(fix)),
            State::Bad { fix } => ("NO", AnsiColor::Red.on_default().bold(), Some(fix)),
            State::Skipped => ("-", Style::new().dimmed(), None),
        };
        let fix = fix.map(|fix| format!("; fix: {fix}")).unwrap_or_default();
        writeln!(out, "{style}{word:<4}{style:#} {name:<width$}  {says}{fix}")?;
    }
    Ok(())
}
