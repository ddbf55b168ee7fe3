//! A tape read like a stream: what its daemon told, told again.

use super::super::Failure;
use super::next::{End, Next};
use crate::replay::Replay;
use crate::sink::wire;
use crate::source::tape::TapeReader;
use anyhow::anyhow;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

/// Lines after which signals get their turn: replaying never waits.
const TURN: u32 = 256;

#[derive(Debug)]
pub(in crate::command) struct Tape {
    path: PathBuf,
    replay: Box<Replay<TapeReader<BufReader<File>>>>,
    damage: Option<String>,
    turn: u32,
}

impl Tape {
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let unread = |error| {
            let path = path.display();
            Failure::input(anyhow!("cannot read the tape {path}: {error}; name one that `run --tape FILE` writes"))
        };
        let file = File::open(path).map_err(unread)?;
        let reader = TapeReader::open(BufReader::new(file))
            .map_err(|error| Failure::input(anyhow!("{}: {error}", path.display())))?;
        let header = reader.header().clone();
        Ok(Self { path: path.to_owned(), replay: Box::new(Replay::new(&header, reader)), damage: None, turn: 0 })
    }

    /// Cancel safe: nothing is held between two lines.
    pub(super) async fn next(&mut self) -> Next {
        self.turn += 1;
        if self.turn.is_multiple_of(TURN) {
            tokio::task::yield_now().await;
        }
        for told in &mut *self.replay {
            match told {
                Ok(told) => {
                    let line = told.text().trim_end().to_owned();
                    let said = wire::read(&line);
                    return Next::Line(line, said);
                }
                Err(error) => self.damage = Some(format!("{}: {error}", self.path.display())),
            }
        }
        let whole = || self.replay.inputs().cut().map_or(End::Whole, End::Cut);
        Next::End(self.damage.take().map_or_else(whole, End::Damaged))
    }
}
