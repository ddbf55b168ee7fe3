//! Exact counts of dropped segments, as the probes keep them, told as what came since the last time.

use std::collections::HashMap as Map;
use std::mem;

use aya::Pod;
use aya::maps::{HashMap, MapData, MapError, PerCpuArray};
use tracer_common::{DropKey, drop_reason};
use tracer_engine::net::Ktime;
use tracer_engine::socket::DropCount;

use super::reasons::Reasons;
use super::scope::address;

/// `DropKey` as a map's key.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Key(DropKey);

// SAFETY: integers without padding between or after them (`tracer_common` asserts the size), under any bit pattern.
unsafe impl Pod for Key {}

/// The probes' maps of drops, and what was told of them.
pub(super) struct Drops {
    maps: DropMaps,
    told: Map<Key, u64>,
    totals: Totals,
    /// Counted by reason and not yet found under any pair of addresses; below 0 where a pair was read after its total.
    owed: [i64; drop_reason::SLOTS as usize],
}

pub(super) struct DropMaps {
    /// By reason and both addresses; an entry may make room for another one.
    pub pairs: HashMap<MapData, Key, u64>,
    /// By reason alone.
    pub reasons: PerCpuArray<MapData, u64>,
}

type Totals = [u64; drop_reason::SLOTS as usize];

impl std::fmt::Debug for Drops {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Drops").field("told", &self.told.len()).finish_non_exhaustive()
    }
}

impl Drops {
    pub(super) fn new(maps: DropMaps) -> Self {
        Self {
            maps,
            told: Map::new(),
            totals: [0; drop_reason::SLOTS as usize],
            owed: [0; drop_reason::SLOTS as usize],
        }
    }

    /// Something is still to be told, even if nothing more is dropped.
    pub(super) fn unsettled(&self) -> bool {
        self.owed.iter().any(|owed| *owed != 0)
    }

    /// What was dropped since this was last asked. Costs some hundred system calls, and two for each pair of addresses.
    pub(super) fn since_last(&mut self, at: Ktime, names: &Reasons) -> Result<Vec<DropCount>, MapError> {
        let mut counts = Vec::new();
        let totals = self.read_totals()?;
        let mut found = [0; drop_reason::SLOTS as usize];
        let mut told = Map::with_capacity(self.told.len());
        for entry in &self.maps.pairs {
            // An entry that made room for another meanwhile is among the totals.
            let Ok((key, count)) = entry else { continue };
            let known = self.told.get(&key).copied().filter(|known| *known <= count).unwrap_or(0);
            told.insert(key, count);
            if count > known {
                let Key(DropKey { reason, padding: _, source, destination }) = key;
                found[drop_reason::slot(reason) as usize] += count - known;
                let between = Some((address(source), address(destination)));
                counts.push(DropCount { at, reason: names.name(reason), between, count: count - known });
            }
        }
        self.told = told;
        self.settle(&totals, &found, at, names, &mut counts);
        Ok(counts)
    }

    /// What is in the totals and under no pair. Told only when it is still missing a second time: the kernel counts on
    /// while we read.
    fn settle(&mut self, now: &Totals, found: &Totals, at: Ktime, names: &Reasons, counts: &mut Vec<DropCount>) {
        let before = mem::replace(&mut self.totals, *now);
        for slot in 0..drop_reason::SLOTS as usize {
            let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
            let missing = self.owed[slot] + signed(now[slot] - before[slot]) - signed(found[slot]);
            let certain = missing.min(self.owed[slot]).max(0);
            self.owed[slot] = missing - certain;
            if let Ok(count @ 1..) = u64::try_from(certain) {
                let reason = names.name(if slot as u32 == drop_reason::SLOTS - 1 {
                    drop_reason::LISTEN_OVERFLOW
                } else {
                    slot as u32
                });
                counts.push(DropCount { at, reason, between: None, count });
            }
        }
    }

    fn read_totals(&self) -> Result<Totals, MapError> {
        let mut totals = [0; drop_reason::SLOTS as usize];
        for (slot, total) in (0..).zip(&mut totals) {
            *total = self.maps.reasons.get(&slot, 0)?.iter().sum();
        }
        Ok(totals)
    }
}
