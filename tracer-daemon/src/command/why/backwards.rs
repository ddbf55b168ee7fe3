//! A journal from its end to the time that is meant: the last minutes of a million flows are read, and nothing before
//! them. Of what is read, only lines that name the subject are parsed; dates stand at the same place in every line.

use super::super::Failure;
use super::found::{Found, Span, time};
use super::subject::Subject;
use crate::sink::journal::predecessor;
use crate::sink::wire::{self, Garbage};
use anyhow::anyhow;
use jiff::Timestamp;
use memchr::memmem::Finder;
use memchr::{memchr, memrchr};
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

/// What is read at once. A whole one that is older than what is asked for ends the search: lines are in order of time but
/// for the moments in which somebody set the clock.
const BLOCK: u64 = 1 << 20;
/// A line that is longer is none of ours.
const LONGEST: usize = 16 << 20;
/// A notice of loss is shorter, and no record is.
const NOTICE: usize = 300;

/// What is looked for, made ready once.
struct Search<'s> {
    subject: &'s Subject,
    span: Span,
    /// The span's ends as lines spell them.
    since: String,
    until: String,
    needles: Vec<Finder<'static>>,
    lost: Finder<'static>,
}

pub(super) fn journal(path: &Path, subject: &Subject, span: Span) -> Result<Found, Failure> {
    let unread = |error: io::Error| {
        let path = path.display();
        Failure::input(anyhow!("cannot read the journal {path}: {error}; name one that `run --journal FILE` writes"))
    };
    let file = File::open(path).map_err(unread)?;
    let inode = file.metadata().map_err(unread)?.ino();
    // The same file where it was rotated this very moment.
    let before =
        File::open(predecessor(path)).ok().filter(|file| file.metadata().is_ok_and(|meta| meta.ino() != inode));
    let search = Search::new(subject, span);
    let mut found = Found::default();
    let enough = search.file(&file, true, &mut found).map_err(unread)?;
    if let (false, Some(before)) = (enough, before) {
        search.file(&before, false, &mut found).map_err(unread)?;
    }
    Ok(found)
}

impl<'s> Search<'s> {
    fn new(subject: &'s Subject, span: Span) -> Self {
        let needles = subject.needles();
        Self {
            subject,
            span,
            since: format!("{:.9}", span.since),
            until: format!("{:.9}", span.until),
            needles: needles.iter().map(|needle| Finder::new(needle).into_owned()).collect(),
            lost: Finder::new(br#","lost":{"#),
        }
    }

    /// Whether it went back far enough. `written`: somebody may be within its last line.
    fn file(&self, file: &File, written: bool, found: &mut Found) -> io::Result<bool> {
        let mut at = file.metadata()?.len();
        // The end of a line whose beginning lies before what was read.
        let mut tail: Vec<u8> = Vec::new();
        let mut unfinished = written;
        while at > 0 {
            let size = BLOCK.min(at);
            at -= size;
            let mut block = vec![0; size as usize];
            file.read_exact_at(&mut block, at)?;
            block.append(&mut tail);
            let begin = if at == 0 { 0 } else { memchr(b'\n', &block).map_or(block.len(), |end| end + 1) };
            let newest = self.lines(&block[begin..], unfinished, found);
            if newest.is_some_and(|newest| newest < self.span.since) {
                return Ok(true);
            }
            unfinished &= begin == block.len();
            block.truncate(begin);
            tail = block;
            if tail.len() > LONGEST {
                found.garbage += 1;
                tail.clear();
            }
        }
        Ok(false)
    }

    /// Whole lines, the last one first. The newest date among them, where they are ours.
    fn lines(&self, mut block: &[u8], unfinished: bool, found: &mut Found) -> Option<Timestamp> {
        let mut last = unfinished && block.last() != Some(&b'\n');
        let mut dates: Option<(&[u8], &[u8])> = None;
        block = block.strip_suffix(b"\n").unwrap_or(block);
        while !block.is_empty() {
            let begin = memrchr(b'\n', block).map_or(0, |end| end + 1);
            let line = block[begin..].trim_ascii_end();
            if !line.is_empty() {
                let date = self.line(line, std::mem::take(&mut last), found);
                dates = date.map(|date| dates.map_or((date, date), |(a, z)| (a.min(date), z.max(date)))).or(dates);
            }
            block = &block[..begin.saturating_sub(1)];
        }
        let (oldest, newest) = dates?;
        for date in [oldest, newest] {
            found.date(time(date)?, self.span);
        }
        time(newest)
    }

    /// Its date, where that is told without reading it.
    fn line<'l>(&self, line: &'l [u8], unfinished: bool, found: &mut Found) -> Option<&'l [u8]> {
        let Some((date, rest)) = wire::head(line) else {
            self.read(line, unfinished, found);
            return None;
        };
        if date < self.since.as_bytes() || date > self.until.as_bytes() {
            return Some(date);
        }
        let named = self.needles.iter().any(|needle| needle.find(rest).is_some());
        if named || (rest.len() < NOTICE && self.lost.find(rest).is_some()) {
            self.read(line, unfinished, found);
        } else if line.last() != Some(&b'}') && !unfinished {
            found.garbage += 1;
        }
        Some(date)
    }

    fn read(&self, line: &[u8], unfinished: bool, found: &mut Found) {
        let line = String::from_utf8_lossy(line);
        match wire::read(&line) {
            // Whoever writes it has not come to its end.
            Err(Garbage::Json(_)) if unfinished => {}
            said => found.line(&line, said, self.subject, self.span),
        }
    }
}
