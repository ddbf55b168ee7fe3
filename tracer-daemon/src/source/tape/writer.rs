//! Writes inputs as they come.

use super::line::Line;
use super::packing::packed;
use super::{Recorded, TapeHeader};
use serde::Serialize;
use std::io::{self, Write};
use zstd::Encoder;

/// What is written comes out in blocks of up to 128 KiB of lines; what was flushed is out. A tape is read up to the last
/// whole block, so whoever may be killed flushes now and then.
pub struct TapeWriter<W: Write> {
    to: Encoder<'static, W>,
    inputs: u64,
    line: Vec<u8>,
}

impl<W: Write> TapeWriter<W> {
    /// The first line is out when this returns.
    pub fn new(to: W, header: &TapeHeader) -> io::Result<Self> {
        let mut tape = Self { to: packed(to)?, inputs: 0, line: Vec::new() };
        tape.put(&header.to_line())?;
        tape.flush()?;
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
        let mut to = self.to.finish()?;
        to.flush()?;
        Ok(to)
    }

    fn put(&mut self, line: &impl Serialize) -> io::Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, line)?;
        self.line.push(b'\n');
        self.to.write_all(&self.line)
    }
}
