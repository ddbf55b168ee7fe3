//! Values that clap does not know by itself.

use bytesize::ByteSize;
use jiff::{SignedDuration, Timestamp};
use std::str::FromStr;
use std::time::Duration;

/// `256MiB`, `1GB`, `4096`
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct JournalSize(pub u64);

/// A moment: `2026-11-23T10:00:00Z`, or how long ago: `5m`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Since {
    At(Timestamp),
    Ago(SignedDuration),
}

/// Less would rotate with every few records.
const SMALLEST_JOURNAL: u64 = 64 << 10;

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let duration: SignedDuration =
        text.parse().map_err(|_| "expected a duration such as 2s, 500ms or 1m30s".to_owned())?;
    match Duration::try_from(duration) {
        Ok(duration) if duration > Duration::ZERO => Ok(duration),
        _ => Err("expected a duration longer than nothing".to_owned()),
    }
}

impl FromStr for JournalSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let size: ByteSize = text.parse().map_err(|_| "expected a size such as 256MiB, 1GB or 1048576".to_owned())?;
        if size.as_u64() < SMALLEST_JOURNAL {
            return Err(format!("expected at least {}", ByteSize(SMALLEST_JOURNAL)));
        }
        Ok(Self(size.as_u64()))
    }
}

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(time) = text.parse() {
            return Ok(Self::At(time));
        }
        match text.parse::<SignedDuration>() {
            Ok(ago) if !ago.is_negative() => Ok(Self::Ago(ago)),
            _ => Err("expected a time such as 2026-11-23T10:00:00Z, or how long ago, such as 5m".to_owned()),
        }
    }
}

impl Since {
    pub fn resolve(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(time) => time,
            Self::Ago(ago) => now.checked_sub(ago).unwrap_or(Timestamp::MIN),
        }
    }
}
