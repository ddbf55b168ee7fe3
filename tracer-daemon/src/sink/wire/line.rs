//! Lines: how a record or a notice of loss is written, and how a line that somebody else wrote is read.

use super::{Code, Record, VERSION};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tracer_engine::net::Name;

/// A line with its newline, shared by every sink and reader that it goes to.
pub type Text = Arc<str>;

/// What a line says.
#[derive(Clone, PartialEq, Debug)]
pub enum Line {
    Record(Box<Record>),
    /// Something is missing here.
    Lost(Loss),
}

/// How much a reader of this stream did not get since the last notice. On the socket, one of zeros marks the end of
/// the backlog and the end of the stream; a journal has one only where something was lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Loss {
    /// Kernel events that never reached the daemon: flows may be missing or told with doubts.
    pub events: u64,
    /// Records that were made and could not be passed on.
    pub records: u64,
}

/// Why a line is none of ours.
#[derive(Debug, thiserror::Error)]
pub enum Garbage {
    #[error("not a record: {0}")]
    Json(#[from] serde_json::Error),
    #[error("a record of version {0:?}, and this program reads {VERSION:?}")]
    Version(Code),
}

#[derive(Serialize, Deserialize)]
struct Notice {
    version: Code,
    #[serde(with = "super::time")]
    time: Timestamp,
    node: Name,
    lost: Loss,
}

#[derive(Deserialize)]
struct Versioned {
    version: Code,
}

pub fn write(record: &Record) -> Text {
    text(record)
}

pub fn read(line: &str) -> Result<Line, Garbage> {
    let garbage = match serde_json::from_str::<Record>(line) {
        Ok(record) if record.version == VERSION => return Ok(Line::Record(Box::new(record))),
        Ok(record) => return Err(Garbage::Version(record.version)),
        Err(garbage) => garbage,
    };
    match (serde_json::from_str::<Notice>(line), serde_json::from_str::<Versioned>(line)) {
        (Ok(Notice { version, lost, .. }), _) if version == VERSION => Ok(Line::Lost(lost)),
        (_, Ok(Versioned { version })) if version != VERSION => Err(Garbage::Version(version)),
        _ => Err(Garbage::Json(garbage)),
    }
}

/// How every line begins that we write, up to its date: whoever looks for few lines among many need not parse the rest.
const HEAD: &[u8] = br#"{"version":"v1","time":""#;
/// `2026-11-23T10:00:00.123456789Z`
const DATE: usize = 30;

/// The date of a line and what comes after it, both as text; dates of one length sort as their times do. `None`: the line
/// is not ours, or somebody has written it anew, and it has to be read.
pub fn head(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let (date, rest) = line.strip_prefix(HEAD)?.split_at_checked(DATE)?;
    let rest = rest.strip_prefix(br#"","#)?;
    (date.last() == Some(&b'Z') && date.first().is_some_and(u8::is_ascii_digit)).then_some((date, rest))
}

impl Loss {
    pub fn line(self, time: Timestamp, node: &Name) -> Text {
        text(&Notice { version: VERSION.into(), time, node: node.clone(), lost: self })
    }

    pub fn is_none(self) -> bool {
        self == Self::default()
    }
}

impl std::ops::AddAssign for Loss {
    fn add_assign(&mut self, Self { events, records }: Self) {
        self.events += events;
        self.records += records;
    }
}

pub(super) fn text(value: &impl Serialize) -> Text {
    // Our own types hold no map with keys that are not strings and no writer that fails: serialisation cannot.
    let mut line = serde_json::to_string(value).unwrap_or_default();
    line.push('\n');
    line.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_ours_tells_its_date_unread() {
        let loss = Loss { events: 1, records: 0 };
        let line = loss.line("2026-11-23T10:00:00.5Z".parse().unwrap(), &"n1".into());
        let (date, rest) = head(line.as_bytes()).unwrap();
        assert_eq!(date, b"2026-11-23T10:00:00.500000000Z");
        assert!(rest.starts_with(br#""node":"n1""#));
        for other in
            [&b""[..], b"{}", br#"{"version":"v2","time":"2026"#, br#"{"version":"v1","time":"2026-11-23T10:00:00Z"}"#]
        {
            assert_eq!(head(other), None);
        }
    }
}
