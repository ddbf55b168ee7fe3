//! Facts from files: YAML or JSON as `kubectl get -o yaml` prints it, read again when the files change.
//!
//! Changes are found by asking for each file's time, size and inode twice a second, not by inotify: that sees the
//! symlink swap of a mounted ConfigMap and an editor's rename alike, works on any file system, and takes none of a
//! node's few inotify instances.

mod document;
mod known;
mod places;
mod report;

pub use places::Place;
pub use report::{FactsReport, Remark};

use super::IstioInstallation;
use super::lower::{LowerError, lower};
use super::object::{ClusterEvent, ObjectKind};
use document::Document;
use known::Known;
use places::{Places, Stamp};
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use tracer_engine::mesh::facts::Delta;

/// How often files are looked at. A change is told once it held still for one such time.
const LOOK: Duration = Duration::from_millis(500);

/// What could not be read, and why. The facts known before stay.
#[derive(Debug, thiserror::Error)]
pub enum FactsError {
    #[error("cannot read facts from {place}: {error}; --facts takes a file, a directory or -")]
    Unreadable { place: Place, error: io::Error },
    #[error("no facts in directory {}: it holds no .yaml, .yml or .json file", .0.display())]
    EmptyDirectory(PathBuf),
    #[error("facts from {place} are larger than {limit} bytes: give the objects that matter only")]
    TooLarge { place: Place, limit: u64 },
    #[error("facts from {place} are no text: byte {offset} is not UTF-8; YAML or JSON is expected")]
    NotText { place: Place, offset: usize },
    #[error(
        "{place}: document {document}, line {line}: {why}{}; correct it, or print the objects again with \
         `kubectl get -o yaml`",
        quoted(.text)
    )]
    Malformed { place: Place, document: usize, line: usize, why: String, text: String },
    #[error("--facts - is given twice: standard input can be read once")]
    StdinTwice,
}

/// Facts from `--facts`, and what of them was told.
pub struct FileFacts {
    places: Places,
    istio: IstioInstallation,
    /// What the files were like when they were last read.
    read: Vec<Stamp>,
    known: Known,
    synced: bool,
    report: FactsReport,
}

/// All that `--facts` says, for a command that asks once.
#[derive(Debug)]
pub struct Facts {
    pub deltas: Vec<Delta>,
    /// Objects with a value that cannot be read.
    pub skipped: Vec<LowerError>,
    pub report: FactsReport,
}

/// Reads files, directories and standard input (`-`) once.
pub fn read_facts(paths: &[PathBuf], istio: &IstioInstallation) -> Result<Facts, FactsError> {
    let mut files = FileFacts::open(paths, istio.clone())?;
    let mut facts = Facts { deltas: Vec::new(), skipped: Vec::new(), report: FactsReport::default() };
    for event in files.load()? {
        match lower(&event, istio) {
            Ok(delta) => facts.deltas.extend(delta),
            Err(error) => facts.skipped.push(error),
        }
    }
    facts.report = files.report;
    Ok(facts)
}

impl FileFacts {
    /// `paths` as `--facts` has them: files, directories (their .yaml, .yml and .json files, not those of
    /// directories within) or `-`.
    pub fn open(paths: &[PathBuf], istio: IstioInstallation) -> Result<Self, FactsError> {
        Ok(Self {
            places: Places::new(paths)?,
            istio,
            read: Vec::new(),
            known: Known::default(),
            synced: false,
            report: FactsReport::default(),
        })
    }

    /// At first everything, and that it is everything; later what differs. After an error the facts told before
    /// still stand, and the same files are not read again until they change.
    pub fn load(&mut self) -> Result<Vec<ClusterEvent>, FactsError> {
        // Before reading: a change while we read is a change.
        self.read = self.places.stamps();
        let mut report = FactsReport::default();
        let mut objects = Vec::new();
        self.places.read(|place, text| {
            let sections = document::sections(text);
            if sections.is_empty() {
                report.remark(Remark::Empty(place.clone()));
            }
            for section in sections {
                let Document { objects: read, unknown } =
                    document::read(&section, &self.istio).map_err(|malformed| malformed.at(place.clone(), &section))?;
                report.count(read.len(), unknown);
                objects.extend(read);
            }
            Ok(())
        })?;
        let mut events = self.known.replace(objects, &mut report);
        if !self.synced {
            self.synced = true;
            events.extend(ObjectKind::ALL.map(ClusterEvent::Synced));
        }
        self.report = report;
        Ok(events)
    }

    /// What the last successful `load` found worth a word.
    pub fn report(&self) -> &FactsReport {
        &self.report
    }

    /// Waits until the files are not what was last read, and hold still. Never returns where nothing can change.
    pub async fn changed(&mut self) {
        if !self.places.can_change() {
            return std::future::pending().await;
        }
        let mut before = None;
        loop {
            tokio::time::sleep(LOOK).await;
            let now = self.places.stamps();
            if now != self.read && before.as_ref() == Some(&now) {
                return;
            }
            before = Some(now);
        }
    }
}

fn quoted(line: &str) -> String {
    if line.is_empty() { String::new() } else { format!(", in {line:?}") }
}
