//! A file that never grows past its limit: full, it becomes `FILE.1` and a new one begins.

use super::super::wire::Text;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

#[derive(Debug)]
pub(super) struct Rotating {
    path: PathBuf,
    file: File,
    /// Length of what is known to be whole lines.
    len: u64,
    limit: u64,
    /// A device or a pipe is written, never rotated or cut.
    regular: bool,
    /// The file ends within a line that nobody will finish.
    torn: bool,
    batch: Vec<u8>,
}

/// The first `written` lines are in the file.
#[derive(Debug)]
pub(super) struct WriteError {
    pub(super) written: usize,
    pub(super) error: io::Error,
}

impl Rotating {
    pub(super) fn open(path: PathBuf, limit: u64) -> io::Result<Self> {
        let file = append(&path)?;
        let meta = file.metadata()?;
        let regular = meta.is_file();
        let len = if regular { meta.len() } else { 0 };
        let torn = len > 0 && last_byte(&path)? != b'\n';
        Ok(Self { path, file, len, limit, regular, torn, batch: Vec::new() })
    }

    pub(super) fn write(&mut self, lines: &[Text]) -> Result<(), WriteError> {
        let mut rest = lines;
        while !rest.is_empty() {
            let written = lines.len() - rest.len();
            let count = self.make_room(rest).map_err(|error| WriteError { written, error })?;
            let (now, later) = rest.split_at(count);
            self.append(now)
                .map_err(|WriteError { written: more, error }| WriteError { written: written + more, error })?;
            rest = later;
        }
        Ok(())
    }

    /// How many of the lines fit; at least one, if need be after a rotation. A line longer than the limit is written
    /// alone.
    fn make_room(&mut self, lines: &[Text]) -> io::Result<usize> {
        if !self.regular {
            return Ok(lines.len());
        }
        let mut end = self.len;
        let fit = lines
            .iter()
            .take_while(|line| {
                end += line.len() as u64;
                end <= self.limit
            })
            .count();
        if fit > 0 {
            return Ok(fit);
        }
        if self.len > 0 {
            self.rotate()?;
            return self.make_room(lines);
        }
        Ok(1)
    }

    fn rotate(&mut self) -> io::Result<()> {
        fs::rename(&self.path, predecessor(&self.path))?;
        self.file = append(&self.path)?;
        self.len = 0;
        self.torn = false;
        Ok(())
    }

    fn append(&mut self, lines: &[Text]) -> Result<(), WriteError> {
        self.batch.clear();
        if self.torn {
            self.batch.push(b'\n');
        }
        let lead = self.batch.len();
        for line in lines {
            self.batch.extend_from_slice(line.as_bytes());
        }
        let (taken, error) = write_some(&mut self.file, &self.batch);
        let Some(error) = error else {
            self.len += taken as u64;
            self.torn = false;
            return Ok(());
        };
        let (written, whole) = whole_lines(lines, taken.saturating_sub(lead));
        let whole = if taken >= lead { whole + lead } else { 0 };
        self.len += whole as u64;
        // Cut off what is half a line; where that fails, the next batch begins with a newline.
        let cut = taken == whole || (self.regular && self.file.set_len(self.len).is_ok());
        self.torn = !cut || (self.torn && whole == 0);
        Err(WriteError { written, error })
    }
}

/// `FILE.1`
pub fn predecessor(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".1");
    name.into()
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

fn last_byte(path: &Path) -> io::Result<u8> {
    let mut file = File::open(path)?;
    let mut byte = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut byte)?;
    Ok(byte[0])
}

/// How many bytes were taken before it went wrong, if it did.
fn write_some(to: &mut impl Write, bytes: &[u8]) -> (usize, Option<io::Error>) {
    let mut taken = 0;
    while taken < bytes.len() {
        match to.write(&bytes[taken..]) {
            Ok(0) => return (taken, Some(io::ErrorKind::WriteZero.into())),
            Ok(count) => taken += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (taken, Some(error)),
        }
    }
    (taken, None)
}

/// How many lines, and bytes of them, are whole within the first `taken` bytes.
fn whole_lines(lines: &[Text], taken: usize) -> (usize, usize) {
    let mut bytes = 0;
    let count = lines
        .iter()
        .take_while(|line| {
            let fits = bytes + line.len() <= taken;
            if fits {
                bytes += line.len();
            }
            fits
        })
        .count();
    (count, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(texts: &[&str]) -> Vec<Text> {
        texts.iter().map(|text| Text::from(format!("{text}\n"))).collect()
    }

    #[test]
    fn a_full_file_becomes_the_predecessor_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let mut file = Rotating::open(path.clone(), 10).unwrap();
        file.write(&lines(&["1111", "2222", "3333"])).unwrap();
        assert_eq!(fs::read_to_string(predecessor(&path)).unwrap(), "1111\n2222\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "3333\n");
        file.write(&lines(&["4444", "5555"])).unwrap();
        assert_eq!(fs::read_to_string(predecessor(&path)).unwrap(), "3333\n4444\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "5555\n");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_line_longer_than_the_limit_is_written_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let mut file = Rotating::open(path.clone(), 6).unwrap();
        file.write(&lines(&["1", "far too long", "2"])).unwrap();
        assert_eq!(fs::read_to_string(predecessor(&path)).unwrap(), "far too long\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "2\n");
    }

    #[test]
    fn an_unfinished_line_of_a_crash_is_closed_first() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        fs::write(&path, "{\"cut").unwrap();
        Rotating::open(path.clone(), 1000).unwrap().write(&lines(&["next"])).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"cut\nnext\n");
    }

    #[test]
    fn a_disk_that_fills_keeps_whole_lines_only() {
        assert_eq!(whole_lines(&lines(&["12", "34"]), 5), (1, 3));
        assert_eq!(whole_lines(&lines(&["12", "34"]), 6), (2, 6));
        assert_eq!(whole_lines(&lines(&["12", "34"]), 2), (0, 0));
    }
}
