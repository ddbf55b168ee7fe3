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

/// Tells whether a file is still the one that was read. `None`: it is not there.
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
            match place {
                Place::Path(path) if once.is_none() => {
                    let files = files_in(path).unwrap_or_default();
                    // A directory that cannot be listed is a change as well.
                    stamps.push(stamp(if files.is_empty() { path.join("") } else { path.clone() }));
                    stamps.extend(files.into_iter().filter(|file| file != path).map(stamp));
                }
                Place::Path(_) | Place::Stdin => {}
            }
        }
        stamps
    }

    /// All texts in the order given, a directory's by name.
    pub(super) fn texts(&mut self) -> Result<Vec<(Place, String)>, FactsError> {
        let mut texts = Vec::new();
        for Given { place, once } in &mut self.given {
            let path = match (&*place, &once) {
                (place, Some(text)) => {
                    texts.push((place.clone(), text.clone()));
                    continue;
                }
                (Place::Stdin, None) => {
                    let text = read(place, io::stdin().lock())?;
                    texts.push((place.clone(), once.insert(text).clone()));
                    continue;
                }
                (Place::Path(path), None) => path,
            };
            let unreadable = |error| FactsError::Unreadable { place: place.clone(), error };
            let metadata = fs::metadata(path).map_err(unreadable)?;
            if metadata.is_dir() {
                let files = files_in(path).map_err(unreadable)?;
                if files.is_empty() {
                    return Err(FactsError::EmptyDirectory(path.clone()));
                }
                for file in files {
                    texts.push((Place::Path(file.clone()), read_file(&file)?));
                }
            } else {
                let text = read_file(path)?;
                if !metadata.is_file() {
                    *once = Some(text.clone());
                }
                texts.push((place.clone(), text));
            }
        }
        Ok(texts)
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

fn stamp(file: PathBuf) -> Stamp {
    let stamp = fs::metadata(&file).ok().map(|of| (of.dev(), of.ino(), of.len(), of.mtime(), of.mtime_nsec()));
    (file, stamp)
}

fn read_file(path: &Path) -> Result<String, FactsError> {
    let place = Place::Path(path.to_owned());
    let file = File::open(path).map_err(|error| FactsError::Unreadable { place: place.clone(), error })?;
    read(&place, file)
}

fn read(place: &Place, from: impl Read) -> Result<String, FactsError> {
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
