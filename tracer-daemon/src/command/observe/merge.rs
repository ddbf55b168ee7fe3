//! One stream out of many: by time, and of the two reports of one connection one.

use super::next::Said;
use crate::sink::wire::{Garbage, Line, Record};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

/// Reports that wait for earlier ones and for the other end's. Beyond it the earliest are shown.
const WAITING: usize = 100_000;
/// Connections whose other report may come after the first was shown.
const REMEMBERED: usize = 65_536;

/// When it was made, and the how manieth that came.
type Place = (i128, u64);

#[derive(Debug, Default)]
pub(super) struct Merge {
    waiting: BTreeMap<Place, Said>,
    by_handshake: HashMap<String, Place>,
    shown: HashSet<String>,
    oldest_shown: VecDeque<String>,
    came: u64,
    /// All up to here came before the last round began.
    round: u64,
}

impl Merge {
    pub(super) fn add(&mut self, said: Said) {
        self.came += 1;
        let place = (made(&said.1), self.came);
        let Some(handshake) = connection(&said.1).map(str::to_owned) else {
            self.waiting.insert(place, said);
            return;
        };
        if self.shown.contains(&handshake) {
            return;
        }
        if let Some(other) = self.by_handshake.get(&handshake) {
            if !tells_more(&said.1, self.waiting.get(other).map(|said| &said.1)) {
                return;
            }
            self.waiting.remove(other);
        }
        self.by_handshake.insert(handshake, place);
        self.waiting.insert(place, said);
    }

    /// The earliest, where more wait than may.
    pub(super) fn excess(&mut self) -> Option<Said> {
        if self.waiting.len() > WAITING { self.first() } else { None }
    }

    /// A round is over: what came before it began has waited long enough.
    pub(super) fn next_round(&mut self) -> Vec<Said> {
        let ripe: Vec<Place> = self.waiting.keys().filter(|(_, came)| *came <= self.round).copied().collect();
        self.round = self.came;
        let said: Vec<Said> = ripe.iter().filter_map(|place| self.waiting.remove(place)).collect();
        said.into_iter().map(|said| self.show(said)).collect()
    }

    /// Nobody has more to say.
    pub(super) fn first(&mut self) -> Option<Said> {
        let (_, said) = self.waiting.pop_first()?;
        Some(self.show(said))
    }

    fn show(&mut self, said: Said) -> Said {
        if let Some((handshake, _)) = connection(&said.1).and_then(|known| self.by_handshake.remove_entry(known)) {
            if self.oldest_shown.len() == REMEMBERED
                && let Some(oldest) = self.oldest_shown.pop_front()
            {
                self.shown.remove(&oldest);
            }
            self.shown.insert(handshake.clone());
            self.oldest_shown.push_back(handshake);
        }
        said
    }
}

/// What has no time of its own comes first.
fn made(said: &Result<Line, Garbage>) -> i128 {
    record(said).map_or(i128::MIN, |record| record.time.as_nanosecond())
}

/// What two reports of one connection share; a revision is a report by itself.
fn connection(said: &Result<Line, Garbage>) -> Option<&str> {
    record(said).filter(|record| record.revises.is_none())?.handshake.as_deref()
}

fn record(said: &Result<Line, Garbage>) -> Option<&Record> {
    match said {
        Ok(Line::Record(record)) => Some(record),
        _ => None,
    }
}

/// A doubt is less than a verdict; and who dialled knows what was dialled.
fn tells_more(this: &Result<Line, Garbage>, other: Option<&Result<Line, Garbage>>) -> bool {
    let rank = |record: &Record| (record.class != "undetermined", record.reporter == "source");
    record(this).map(rank) > other.and_then(record).map(rank)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::wire;

    fn said(id: &str, second: u32, reporter: &str, handshake: &str, revises: &str) -> Said {
        let end = r#""ip":"10.244.0.5","port":1,"namespace":"shop","pod":"web-0","workload":"web","workload_kind":"StatefulSet","mesh":"none""#;
        let line = format!(
            r#"{{"version":"v1","time":"2026-11-23T10:00:{second:02}Z","node":"n1","id":"{id}","reporter":"{reporter}","client":{{{end}}},"server":{{{end},"service":null}},"class":"unmeshed","reason":null,"cause":null,"security":"none","basis":"observed","candidates":[],"scope":"connection","handshake":"{handshake}","seen_from":"start","traffic":"app","legs_ambiguous":false,"revises":{revises},"outcome":"closed","connect_us":1,"bytes_sent":1,"bytes_received":1,"legs":[],"evidence":[],"drops":[],"explanation":"","remedy":"","events_lost":0}}"#
        );
        let read = wire::read(&line);
        assert!(read.is_ok(), "{read:?}");
        (id.to_owned(), read)
    }

    fn ids(said: impl IntoIterator<Item = Said>) -> Vec<String> {
        said.into_iter().map(|(id, _)| id).collect()
    }

    #[test]
    fn of_two_reports_of_a_connection_the_callers_is_shown_and_all_by_time() {
        let mut merge = Merge::default();
        merge.add(said("late", 9, "source", "c", "null"));
        merge.add(said("callee", 2, "destination", "a", "null"));
        merge.add(said("caller", 3, "source", "a", "null"));
        merge.add(said("again", 4, "destination", "a", "null"));
        assert_eq!(ids(std::iter::from_fn(|| merge.first())), ["caller", "late"]);
        // What was shown is not shown again, unless it is corrected.
        merge.add(said("behind", 5, "source", "a", "null"));
        merge.add(said("caller", 6, "source", "a", r#"{"class":"undetermined","reason":null}"#));
        assert_eq!(ids(std::iter::from_fn(|| merge.first())), ["caller"]);
    }

    #[test]
    fn what_comes_now_waits_for_one_whole_round() {
        let mut merge = Merge::default();
        merge.add(said("one", 1, "source", "a", "null"));
        assert_eq!(ids(merge.next_round()), [""; 0]);
        merge.add(said("two", 2, "source", "b", "null"));
        assert_eq!(ids(merge.next_round()), ["one"]);
        assert_eq!(ids(merge.next_round()), ["two"]);
    }
}
