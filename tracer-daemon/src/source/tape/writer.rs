//! Writes inputs as they come.

use super::line::Line;
use super::{Recorded, TapeHeader};
use serde::Serialize;
use std::io::{self, Write};

/// One write per line and no buffer of its own: give it a `BufWriter` where inputs come fast.
#[derive(Debug)]
pub struct TapeWriter<W: Write> {
    to: W,
    inputs: u64,
    line: Vec<u8>,
}

impl<W: Write> TapeWriter<W> {
    pub fn new(to: W, header: &TapeHeader) -> io::Result<Self> {
        let mut tape = Self { to, inputs: 0, line: Vec::new() };
        tape.put(&header.to_line())?;
        Ok(tape)
    }

    pub fn write(&mut self, input: &Recorded) -> io::Result<()> {
        self.put(&Line::from(input))?;
        self.inputs += 1;
        Ok(())
    }

    pub fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }

    /// Says that nothing follows. A tape without it was cut, and its reader will say so.
    pub fn finish(mut self) -> io::Result<W> {
        self.put(&Line::End { inputs: self.inputs })?;
        self.to.flush()?;
        Ok(self.to)
    }

    fn put(&mut self, line: &impl Serialize) -> io::Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, line)?;
        self.line.push(b'\n');
        self.to.write_all(&self.line)
    }
}
