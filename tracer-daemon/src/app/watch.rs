//! What the daemon knows of itself, from wherever it is known: for `status`, `/livez` and the metrics of probes and
//! facts.

use crate::clock::{self, Epoch};
use crate::lifecycle::Ready;
use crate::process::Usage;
use crate::sink::journal::Counts;
use crate::sink::live::Hub;
use crate::sink::metrics::{Board, Stage};
use crate::sink::wire::{
    EventCount, Facts, Hook, KubernetesEvents, Memory, Origin, Records, Status, VERSION, kind_name,
};
use crate::source::cluster::watch::{Pulse, Pulses, State, Watched};
use crate::source::cluster::{ObjectKind, lower};
use crate::source::kernel::{EventCounts, EventKind, FieldStatus, HookState, HookStatus};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tracer_engine::mesh::facts::Kind;
use tracer_engine::net::Ktime;
use tracer_engine::record::FactsRecord;
use tracing::{info, warn};

#[derive(Debug)]
pub(super) struct Watch {
    origin: Arc<Origin>,
    kernel: String,
    board: Board,
    ready: Ready,
    hub: Arc<Hub>,
    journal: Option<Arc<Counts>>,
    made: AtomicU64,
    /// When the engine last moved, as `Ktime`.
    moved: AtomicU64,
    seen: Mutex<Seen>,
    /// Of an API server's kinds; empty where facts come from files.
    pulses: OnceLock<Pulses>,
}

#[derive(Debug, Default)]
struct Seen {
    hooks: Vec<Hook>,
    events: Vec<EventCount>,
    untracked: u64,
    facts: BTreeMap<Kind, Known>,
    watched: BTreeMap<Watched, State>,
    announced: Option<KubernetesEvents>,
    unreadable: BTreeMap<Kind, u64>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    objects: usize,
    synced: bool,
    changed: Timestamp,
}

/// It moves at least once a second.
const STANDS_STILL: Duration = Duration::from_secs(10);

impl Watch {
    pub(super) fn new(
        origin: Arc<Origin>,
        kernel: String,
        board: Board,
        ready: Ready,
        hub: Arc<Hub>,
        journal: Option<Arc<Counts>>,
    ) -> Arc<Self> {
        let moved = AtomicU64::new(clock::ktime().0);
        let seen = Mutex::default();
        let made = AtomicU64::new(0);
        Arc::new(Self { origin, kernel, board, ready, hub, journal, made, moved, seen, pulses: OnceLock::new() })
    }

    pub(super) fn origin(&self) -> &Arc<Origin> {
        &self.origin
    }

    pub(super) fn made(&self) {
        self.made.fetch_add(1, Relaxed);
    }

    pub(super) fn engine_moved(&self, now: Ktime) {
        self.moved.store(now.0, Relaxed);
    }

    pub(super) fn engine_moves(&self) -> bool {
        clock::ktime().since(Ktime(self.moved.load(Relaxed))) < STANDS_STILL
    }

    pub(super) fn hooks(&self, hooks: &[HookStatus], missing: &[FieldStatus]) {
        let told: Vec<Hook> = hooks.iter().map(|status| self.hook(status)).collect();
        info!("{} of {} hooks attached", told.iter().filter(|hook| hook.attached).count(), told.len());
        self.with(|seen| seen.hooks = told);
        for FieldStatus { structure, path, without } in missing {
            warn!("this kernel's struct {structure} has no {path}; without it: {without}");
        }
    }

    fn hook(&self, HookStatus { name, required, state, without, missed, run_time: _ }: &HookStatus) -> Hook {
        self.board.probe(name, *state == HookState::Attached);
        self.board.probe_missed(name, *missed);
        let off_because = match state {
            HookState::Attached => None,
            HookState::Off => Some(format!("switched off; without it: {without}")),
            HookState::Absent { why } => {
                warn!("hook {name} is not attached: {why}; without it: {without}");
                Some(format!("{why}; without it: {without}"))
            }
        };
        let attached = off_because.is_none();
        Hook { name: (*name).to_owned(), required: *required, attached, off_because, missed: *missed }
    }

    /// As it stands now; `hooks` is what was found at start.
    pub(super) fn missed(&self, hooks: &[HookStatus]) {
        self.with(|seen| {
            for (hook, status) in seen.hooks.iter_mut().zip(hooks) {
                hook.missed = status.missed;
                self.board.probe_missed(status.name, status.missed);
                if !status.run_time.is_zero() {
                    self.board.probe_run(status.name, status.run_time);
                }
            }
        });
    }

    pub(super) fn events(&self, counts: &EventCounts) {
        let each = EventKind::ALL.map(|kind| (kind.name(), counts.of(kind)));
        let events = each.map(|(kind, count)| {
            self.board.events(kind, Stage::Emitted, count.emitted);
            self.board.events(kind, Stage::Decoded, count.decoded);
            self.board.events(kind, Stage::Malformed, count.malformed);
            self.board.events(kind, Stage::Lost, count.lost);
            EventCount {
                kind: kind.to_owned(),
                emitted: count.emitted,
                decoded: count.decoded,
                malformed: count.malformed,
                lost: count.lost,
            }
        });
        self.with(|seen| {
            seen.events = events.into();
            seen.untracked = counts.untracked;
        });
        let Records { journal_lost, readers_skipped, .. } = self.records();
        self.board.records_lost("journal", journal_lost);
        self.board.records_lost("socket", readers_skipped);
    }

    pub(super) fn facts(&self, record: &FactsRecord, epoch: Epoch) {
        let FactsRecord { kind, objects, synced, at } = *record;
        let changed = epoch.at(at);
        self.board.facts(kind, objects, synced, changed);
        self.with(|seen| seen.facts.insert(kind, Known { objects, synced, changed }));
    }

    /// How the watch of a collection stands.
    pub(super) fn watched(&self, watched: Watched, state: State) {
        self.with(|seen| seen.watched.insert(watched, state));
    }

    /// An object of this kind could not be read.
    pub(super) fn unreadable(&self, kind: Kind) {
        let count = self.with(|seen| {
            let count = seen.unreadable.entry(kind).or_default();
            *count += 1;
            *count
        });
        self.board.unreadable(kind, count);
    }

    /// A Kubernetes Event was written, or was not and why.
    pub(super) fn announced(&self, written: Result<(), String>) {
        self.with(|seen| {
            let events = seen.announced.get_or_insert_default();
            match &written {
                Ok(()) => events.written += 1,
                Err(_) => events.failed += 1,
            }
            events.why = written.err();
        });
    }

    pub(super) fn pulses(&self, pulses: Pulses) {
        // Set once, by whoever watches.
        let _ = self.pulses.set(pulses);
    }

    /// Shows what the API server says of itself, even if it says nothing.
    pub(super) fn pulse(&self, epoch: Epoch) {
        for (kind, pulse) in self.pulses.get().into_iter().flatten() {
            if let Some(heard) = pulse.heard() {
                self.board.heard(lower::kind(*kind), epoch.at(heard), pulse.bytes());
            }
        }
    }

    pub(super) fn status(&self) -> Status {
        let now = clock::wall();
        let usage = Usage::now().unwrap_or_default();
        let (hooks, events, untracked) = self.with(|seen| (seen.hooks.clone(), seen.events.clone(), seen.untracked));
        let facts = self.facts_status(now);
        Status {
            version: VERSION.to_owned(),
            program: concat!("mesh-tracer ", env!("CARGO_PKG_VERSION")).to_owned(),
            node: self.origin.node.clone(),
            kernel: self.kernel.clone(),
            pid: std::process::id(),
            started: self.origin.started,
            time: now,
            ready: self.ready.is_ready(),
            waiting_for: self.ready.waiting_for(),
            hooks,
            events,
            untracked_sockets: untracked,
            facts,
            records: self.records(),
            kubernetes_events: self.with(|seen| seen.announced.clone()),
            memory: Memory { rss_anon_bytes: usage.rss_anon, rss_bytes: usage.rss },
        }
    }

    fn facts_status(&self, now: Timestamp) -> Vec<Facts> {
        let ago = |then: i64| now.as_second().saturating_sub(then).try_into().unwrap_or_default();
        let time = clock::ktime();
        let heard = |kind| {
            let of = |(of, pulse): (&ObjectKind, &Arc<Pulse>)| (lower::kind(*of) == kind).then(|| pulse.heard())?;
            Some(time.since(self.pulses.get()?.iter().find_map(of)?).as_secs())
        };
        self.with(|seen| {
            let mut kinds: BTreeSet<Kind> = seen.facts.keys().copied().collect();
            kinds.extend(seen.watched.keys().map(|watched| lower::kind(watched.kind)));
            let of_kind = |kind| {
                let known = seen.facts.get(&kind);
                // Of several collections of one kind the one that is worst off is told.
                let states = seen.watched.iter().filter(|(watched, _)| lower::kind(watched.kind) == kind);
                let worst = states.max_by_key(|(_, state)| state.trouble().is_some());
                Facts {
                    kind: kind_name(kind).to_owned(),
                    objects: known.map_or(0, |known| known.objects as u64),
                    synced: known.is_some_and(|known| known.synced),
                    age_seconds: known.map(|known| ago(known.changed.as_second())),
                    state: worst.map(|(_, state)| state.code().to_owned()),
                    why: worst.and_then(|(watched, state)| Some(format!("{watched}: {}", state.trouble()?))),
                    heard_seconds: heard(kind),
                    malformed: seen.unreadable.get(&kind).copied().unwrap_or_default(),
                }
            };
            kinds.into_iter().map(of_kind).collect()
        })
    }

    /// The last line of the log.
    pub(super) fn summary(&self) -> String {
        let lost: u64 = self.with(|seen| seen.events.iter().map(|event| event.lost + event.malformed).sum());
        let Records { made, journal_written, journal_lost, .. } = self.records();
        format!(
            "{made} records made, {journal_written} in the journal, {journal_lost} lost there, {lost} kernel events lost"
        )
    }

    fn records(&self) -> Records {
        let journal = |count: fn(&Counts) -> &AtomicU64| self.journal.as_deref().map_or(0, |c| count(c).load(Relaxed));
        Records {
            made: self.made.load(Relaxed),
            journal_written: journal(|counts| &counts.written),
            journal_lost: journal(|counts| &counts.lost),
            readers: self.hub.readers.load(Relaxed),
            readers_dropped: self.hub.dropped.load(Relaxed),
            readers_skipped: self.hub.skipped.load(Relaxed),
        }
    }

    fn with<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        look(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
