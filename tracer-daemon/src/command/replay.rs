//! The same inputs again, the same records out, byte for byte.

use super::{Answer, Failure};
use crate::replay::{Counts, Replay};
use crate::source::tape::{Cut, TapeHeader, TapeReader};
use anyhow::{Error, anyhow};
use std::fmt;
use std::io::{BufRead, Write};

/// What a tape was, for a person.
#[derive(Debug)]
pub struct Summary {
    header: TapeHeader,
    counts: Counts,
    records: u64,
    cut: Option<Cut>,
}

/// Every record that the daemon told, on `out`. A tape that is cut is replayed up to there, and the answer is `No`; of one
/// that is damaged what came before the damage is, and it is a failure.
pub fn replay(tape: impl BufRead, out: &mut (impl Write + ?Sized)) -> Result<(Answer, Summary), Failure> {
    let mut tape = TapeReader::open(tape).map_err(Failure::input)?;
    let header = tape.header().clone();
    let mut replay = Replay::new(&header, &mut tape);
    let (mut records, mut damage) = (0, None);
    for told in &mut replay {
        match told {
            Ok(told) => {
                records += u64::from(told.record().is_some());
                out.write_all(told.text().as_bytes()).map_err(Failure::output)?;
            }
            Err(error) => damage = Some(error),
        }
    }
    out.flush().map_err(Failure::output)?;
    let counts = replay.counts().clone();
    if let Some(error) = damage {
        let before = format!("what the {} inputs before it told is replayed", counts.inputs);
        return Err(Failure::input(anyhow!("{:#}: {before}", Error::new(error))));
    }
    let cut = tape.cut();
    let answer = if cut.is_none() { Answer::Yes } else { Answer::No };
    Ok((answer, Summary { header, counts, records, cut }))
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { header, counts: Counts { inputs, lost, unreadable }, records, cut } = self;
        let TapeHeader { node, kernel, .. } = header;
        write!(f, "{inputs} inputs of {node} (kernel {kernel}), {records} records")?;
        if *lost > 0 {
            write!(f, ", {lost} kernel events were lost: some flows may be missing or told with doubts")?;
        }
        if let Some(first) = unreadable.first() {
            write!(f, ", {} objects left out that cannot be read, the first: {first}", unreadable.len())?;
        }
        if let Some(cut) = cut {
            write!(f, "\n{cut}")?;
        }
        Ok(())
    }
}
