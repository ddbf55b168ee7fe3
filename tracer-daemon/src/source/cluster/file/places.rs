//! Where facts are read from, and what tells that they changed.

use super::FactsError;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// More than any dump of a cluster; less than what a device file would feed.
const LIMIT: u64 = 1 << 30;

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Place {
    Stdin,
    Path(PathBuf),
}

/// Tells whether a file or directory is still the one that was read: device, inode, size and time. `None`: it is not
/// there.
pub(super) type Stamp = (PathBuf, Option<(u64, u64, u64, i64, i64)>);

pub(super) struct Places {
    given: Vec<Given>,
}

struct Given {
    place: Place,
    /// The text of what can be read once only: standard input, a pipe.
    once: Option<String>,
}

impl Places {
    pub(super) fn new(paths: &[PathBuf]) -> Result<Self, FactsError> {
        if paths.iter().filter(|path| is_stdin(path)).count() > 1 {
            return Err(FactsError::StdinTwice);
        }
        let place = |path: &PathBuf| if is_stdin(path) { Place::Stdin } else { Place::Path(path.clone()) };
        Ok(Self { given: paths.iter().map(|path| Given { place: place(path), once: None }).collect() })
    }

    pub(super) fn can_change(&self) -> bool {
        self.given.iter().any(|given| given.once.is_none() && given.place != Place::Stdin)
    }

    pub(super) fn stamps(&self) -> Vec<Stamp> {
        let mut stamps = Vec::new();
        for Given { place, once } in &self.given {
            if let (Place::Path(path), None) = (place, once) {
                stamps.push(stamp(path.clone()));
                stamps.extend(files_in(path).unwrap_or_default().into_iter().map(stamp));
            }
        }
        stamps
    }

    /// Hands over all texts in the order given, a directory's by name.
    pub(super) fn read(
        &mut self,
        mut to: impl FnMut(&Place, &str) -> Result<(), FactsError>,
    ) -> Result<(), FactsError> {
        for Given { place, once } in &mut self.given {
            if let Some(text) = once {
                to(place, text)?;
                continue;
            }
            let path = match &*place {
                Place::Stdin => {
                    let text = read_all(place, io::stdin().lock())?;
                    to(place, once.insert(text))?;
                    continue;
                }
                Place::Path(path) => path,
            };
            let unreadable = |error| FactsError::Unreadable { place: place.clone(), error };
            let metadata = fs::metadata(path).map_err(unreadable)?;
            if metadata.is_dir() {
                let files = files_in(path).map_err(unreadable)?;
                if files.is_empty() {
                    return Err(FactsError::EmptyDirectory(path.clone()));
                }
                for file in files {
                    let place = Place::Path(file.clone());
                    to(&place, &read_file(&place, &file)?)?;
                }
                continue;
            }
            let text = read_file(place, path)?;
            to(place, &text)?;
            if !metadata.is_file() {
                *once = Some(text);
            }
        }
        Ok(())
    }
}

fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// The files that count in a directory, by name. Hidden ones do not: a mounted ConfigMap keeps its versions in them.
fn files_in(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let file = entry?.path();
        let hidden = file.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        let written = file.extension().is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|e| extension == *e));
        if written && !hidden && !file.is_dir() {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

fn stamp(path: PathBuf) -> Stamp {
    let stamp = fs::metadata(&path).ok().map(|of| (of.dev(), of.ino(), of.len(), of.mtime(), of.mtime_nsec()));
    (path, stamp)
}

fn read_file(place: &Place, path: &Path) -> Result<String, FactsError> {
    let file = File::open(path).map_err(|error| FactsError::Unreadable { place: place.clone(), error })?;
    read_all(place, file)
}

fn read_all(place: &Place, from: impl Read) -> Result<String, FactsError> {
    let mut bytes = Vec::new();
    let read = from.take(LIMIT + 1).read_to_end(&mut bytes);
    read.map_err(|error| FactsError::Unreadable { place: place.clone(), error })?;
    if bytes.len() as u64 > LIMIT {
        return Err(FactsError::TooLarge { place: place.clone(), limit: LIMIT });
    }
    String::from_utf8(bytes)
        .map_err(|error| FactsError::NotText { place: place.clone(), offset: error.utf8_error().valid_up_to() })
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Stdin => f.write_str("standard input"),
            Place::Path(path) => path.display().fmt(f),
        }
    }
}
