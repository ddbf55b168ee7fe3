//! What a tape's lines are packed in: zstd, or nothing. A frame that breaks off is a tape that does: what could be
//! unpacked until there is given, and then the end.

use std::fmt;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use zstd::{Decoder, Encoder};

/// The first byte of a zstd frame (RFC 8878, 3.1.1). A line of JSON that is an object begins with another.
const FRAME: u8 = 0x28;

/// Whatever keeps up with the kernel: higher levels save a fifth of the bytes for three times the work.
const LEVEL: i32 = 1;

/// Lines, whatever they came in.
pub(super) enum Unpacked<R: BufRead> {
    Plain(R),
    Zstd(BufReader<Decoder<'static, R>>),
}

/// With a checksum, so that what was altered is not taken for what was recorded.
pub(super) fn packed<W: Write>(to: W) -> io::Result<Encoder<'static, W>> {
    let mut encoder = Encoder::new(to, LEVEL)?;
    encoder.include_checksum(true)?;
    Ok(encoder)
}

impl<R: BufRead> Unpacked<R> {
    pub(super) fn of(mut from: R) -> io::Result<Self> {
        if from.fill_buf()?.first() == Some(&FRAME) {
            Ok(Self::Zstd(BufReader::new(Decoder::with_buffer(from)?)))
        } else {
            Ok(Self::Plain(from))
        }
    }
}

impl<R: BufRead> fmt::Debug for Unpacked<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Plain",
            Self::Zstd(_) => "Zstd",
        })
    }
}

impl<R: BufRead> Read for Unpacked<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let buffer = self.fill_buf()?;
        let count = buffer.len().min(into.len());
        into[..count].copy_from_slice(&buffer[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Unpacked<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match self {
            Self::Plain(from) => from.fill_buf(),
            Self::Zstd(from) => match from.fill_buf() {
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(&[]),
                filled => filled,
            },
        }
    }

    fn consume(&mut self, count: usize) {
        match self {
            Self::Plain(from) => from.consume(count),
            Self::Zstd(from) => from.consume(count),
        }
    }
}
