//! Gives the inputs of a tape, and says whether they are all.

use super::line::Line;
use super::packing::Unpacked;
use super::{Recorded, TapeError, TapeHeader};
use std::fmt;
use std::io::{self, BufRead, Read};

/// More than any line that is written; less than what a file that is no tape would feed.
const LONGEST: u64 = 64 << 20;

/// An iterator over the inputs. After the last, `cut` says whether there were more.
#[derive(Debug)]
pub struct TapeReader<R: BufRead> {
    from: Unpacked<R>,
    header: TapeHeader,
    lines: u64,
    inputs: u64,
    buffer: Vec<u8>,
    state: State,
}

/// Where a tape ends that was not finished: the disk was full, the daemon was killed, the copy broke off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cut {
    /// Inputs before the cut.
    pub inputs: u64,
    /// The line that it goes through, counted from 1.
    pub line: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Playing,
    Cut(Cut),
    Ended,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { inputs, line } = self;
        write!(
            f,
            "the tape is cut in line {line}, after {inputs} inputs: what they told is replayed, and flows that were open \
             there have the verdict that was known by then"
        )
    }
}

impl<R: BufRead> TapeReader<R> {
    pub fn open(from: R) -> Result<Self, TapeError> {
        let mut from = Unpacked::of(from).map_err(|error| unreadable(1, error))?;
        let mut buffer = Vec::new();
        match read_line(&mut from, 1, &mut buffer) {
            Ok(true) => {}
            Ok(false) => return Err(TapeError::NoTape("it ends before its first line does".to_owned())),
            Err(TapeError::Damaged { line: _, why }) => return Err(TapeError::NoTape(why)),
            Err(error) => return Err(error),
        }
        let header = TapeHeader::from_line(&buffer)?;
        Ok(Self { from, header, lines: 1, inputs: 0, buffer, state: State::Playing })
    }

    pub fn header(&self) -> &TapeHeader {
        &self.header
    }

    /// Where the tape is cut, known once the iterator has ended. `None`: it is whole.
    pub fn cut(&self) -> Option<Cut> {
        match self.state {
            State::Cut(cut) => Some(cut),
            State::Playing | State::Ended => None,
        }
    }

    fn read(&mut self) -> Result<Option<Recorded>, TapeError> {
        if self.state != State::Playing {
            return Ok(None);
        }
        // Whatever is wrong with this line, nothing after it is read.
        self.state = State::Ended;
        let line = self.lines + 1;
        if !read_line(&mut self.from, line, &mut self.buffer)? {
            self.state = State::Cut(Cut { inputs: self.inputs, line });
            return Ok(None);
        }
        self.lines = line;
        let read: Line<'_> = serde_json::from_slice(&self.buffer)
            .map_err(|error| TapeError::Damaged { line, why: error.to_string() })?;
        match read.into_recorded() {
            Ok(recorded) => {
                self.inputs += 1;
                self.state = State::Playing;
                Ok(Some(recorded))
            }
            Err(inputs) if inputs == self.inputs => {
                // A frame's checksum comes after its last line.
                self.from.fill_buf().map_err(|error| unreadable(line, error))?;
                Ok(None)
            }
            Err(inputs) => {
                let why = format!("the tape ends after {} inputs and says it has {inputs}", self.inputs);
                Err(TapeError::Damaged { line, why })
            }
        }
    }
}

impl<R: BufRead> Iterator for TapeReader<R> {
    type Item = Result<Recorded, TapeError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

/// `false`: the tape ends within this line.
fn read_line(from: &mut impl BufRead, line: u64, into: &mut Vec<u8>) -> Result<bool, TapeError> {
    into.clear();
    let read = from.take(LONGEST).read_until(b'\n', into);
    read.map_err(|error| unreadable(line, error))?;
    if into.last() == Some(&b'\n') {
        return Ok(true);
    }
    if into.len() as u64 == LONGEST {
        return Err(TapeError::Damaged { line, why: format!("it is longer than {LONGEST} bytes") });
    }
    Ok(false)
}

/// What no system call said is said of the bytes.
fn unreadable(line: u64, error: io::Error) -> TapeError {
    match error.raw_os_error() {
        Some(_) => TapeError::Unreadable { line, error },
        None => TapeError::Damaged { line, why: error.to_string() },
    }
}
