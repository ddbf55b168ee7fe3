//! Many questions, one a line; as many answers, in their order. An answer is out before the next question is waited for.

use super::{Cluster, Format, Question, show, text};
use crate::command::{Answer, Failure};
use crate::sink::wire::{self, Asked, Misread, Unanswered};
use anyhow::anyhow;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};

/// Longer than any question; shorter than what a file that is no batch would feed.
const LONGEST: u64 = 1 << 20;

/// How many answers of each sort there were.
#[derive(Default)]
struct Tally {
    answered: u64,
    bad: u64,
    /// Answers whose class is one to fail on.
    failed: u64,
}

/// Answers until the questions end. A bad line has its error in its place, and the run ends with `Failure::Input`.
pub fn batch(
    cluster: &mut Cluster,
    questions: impl Read,
    format: Format,
    fail_on: &[String],
    out: &mut (impl Write + ?Sized),
) -> Result<Answer, Failure> {
    let mut questions = BufReader::new(questions);
    let mut out = BufWriter::new(out);
    let (mut tally, mut line, mut first_bad) = (Tally::default(), Vec::new(), None);
    for number in 1_u64.. {
        line.clear();
        let whole = read_line(&mut questions, &mut line)
            .map_err(|error| Failure::unreached(anyhow!(error).context("cannot read the questions (--batch)")))?;
        let Some(whole) = whole else { break };
        if line.trim_ascii().is_empty() {
            continue;
        }
        match answer(cluster, &line, whole) {
            Ok(answer) => {
                tally.answered += 1;
                tally.failed += u64::from(super::judged(&answer, fail_on) == Answer::No);
                match format {
                    Format::Json => show(&answer, format, &mut out),
                    Format::Text => out.write_all(text::line(&answer).as_bytes()),
                }
            }
            Err(unanswered) => {
                tally.bad += 1;
                first_bad.get_or_insert(number);
                match format {
                    Format::Json => out.write_all(unanswered.line().as_bytes()),
                    Format::Text => writeln!(out, "{}", text::unanswered(&unanswered)),
                }
            }
        }
        .map_err(Failure::output)?;
        // Whoever waits for this answer before asking on gets it.
        if questions.buffer().is_empty() {
            out.flush().map_err(Failure::output)?;
        }
    }
    out.flush().map_err(Failure::output)?;
    match first_bad {
        Some(number) => Err(Failure::input(anyhow!(
            "{} of {} lines of the batch are no question that can be answered, the first is line {number}: its answer says why",
            tally.bad,
            tally.bad + tally.answered
        ))),
        None if tally.failed > 0 => Ok(Answer::No),
        None => Ok(Answer::Yes),
    }
}

fn answer(cluster: &mut Cluster, line: &[u8], whole: bool) -> Result<wire::Answer, Unanswered> {
    if !whole {
        let error = format!("the line is longer than {LONGEST} bytes");
        return Err(Unanswered { id: wire::Asked::default().id, error });
    }
    let asked = Asked::read(line).map_err(|Misread { id, error }| Unanswered { id, error })?;
    let id = asked.id.clone();
    match cluster.ask(&Question::from(asked)) {
        Ok(answer) => Ok(wire::Answer { id, ..answer }),
        Err(error) => Err(Unanswered { id, error }),
    }
}

/// `None`: the end. `false`: the line is too long and was passed over.
fn read_line(from: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Option<bool>> {
    let count = from.by_ref().take(LONGEST).read_until(b'\n', line)?;
    if count == 0 {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') || (line.len() as u64) < LONGEST {
        return Ok(Some(true));
    }
    loop {
        let buffer = from.fill_buf()?;
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let count = end.map_or(buffer.len(), |at| at + 1);
        from.consume(count);
        if count == 0 || end.is_some() {
            return Ok(Some(false));
        }
    }
}
