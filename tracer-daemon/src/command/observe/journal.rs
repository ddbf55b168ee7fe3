//! A journal read like a stream: the predecessor first, then the file; followed, also over its rotation.

use super::super::Failure;
use super::next::{End, Next};
use crate::sink::journal::predecessor;
use crate::sink::wire;
use anyhow::anyhow;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often a followed journal is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// Lines after which signals get their turn: reading a file never waits.
const TURN: u32 = 256;

#[derive(Debug)]
pub(in crate::command) struct Journal {
    path: PathBuf,
    file: Opened,
    /// Read before `file`.
    before: Option<Opened>,
    follow: bool,
    caught_up: bool,
    /// A line whose end is not written yet.
    partial: Vec<u8>,
    turn: u32,
}

#[derive(Debug)]
struct Opened {
    reader: BufReader<File>,
    inode: u64,
}

impl Journal {
    pub(super) fn open(path: &Path, follow: bool) -> Result<Self, Failure> {
        let file = Opened::open(path).map_err(|error| {
            let path = path.display();
            Failure::input(anyhow!(
                "cannot read the journal {path}: {error}; name one that `run --journal FILE` writes"
            ))
        })?;
        // The same file where it was rotated this very moment.
        let before = Opened::open(&predecessor(path)).ok().filter(|before| before.inode != file.inode);
        let path = path.to_owned();
        Ok(Self { path, file, before, follow, caught_up: false, partial: Vec::new(), turn: 0 })
    }

    /// Cancel safe: a line is taken whole, or stays in `partial`.
    pub(super) async fn next(&mut self) -> Result<Next, Failure> {
        loop {
            self.turn += 1;
            if self.turn.is_multiple_of(TURN) {
                tokio::task::yield_now().await;
            }
            let file = self.before.as_mut().unwrap_or(&mut self.file);
            let count = file.reader.read_until(b'\n', &mut self.partial).map_err(|error| self.unread(&error))?;
            if self.partial.last() == Some(&b'\n') {
                return Ok(self.line());
            }
            if count > 0 {
                continue;
            }
            let ended = self.before.take().is_some() || self.rotated()?;
            if (ended || !self.follow) && !self.partial.is_empty() {
                return Ok(self.line());
            }
            if ended {
                continue;
            }
            if !self.caught_up {
                self.caught_up = true;
                return Ok(Next::CaughtUp);
            }
            if !self.follow {
                return Ok(Next::End(End::Whole));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn line(&mut self) -> Next {
        let line = String::from_utf8_lossy(&self.partial).trim_end().to_owned();
        self.partial.clear();
        let said = wire::read(&line);
        Next::Line(line, said)
    }

    /// Goes on in the new file where the old one was moved away, or cut.
    fn rotated(&mut self) -> Result<bool, Failure> {
        if !self.follow {
            return Ok(false);
        }
        let Ok(meta) = fs::metadata(&self.path) else { return Ok(false) };
        let read = io::Seek::stream_position(&mut self.file.reader).map_err(|error| self.unread(&error))?;
        if meta.ino() == self.file.inode && meta.len() >= read {
            return Ok(false);
        }
        self.file = Opened::open(&self.path).map_err(|error| self.unread(&error))?;
        Ok(true)
    }

    fn unread(&self, error: &io::Error) -> Failure {
        Failure::unreached(anyhow!("reading the journal {}: {error}", self.path.display()))
    }
}

impl Opened {
    fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let inode = file.metadata()?.ino();
        Ok(Self { reader: BufReader::new(file), inode })
    }
}
