//! Reading the ring: when to wake, how much to take, and counting it.

use std::io;
use std::pin::Pin;
use std::time::Duration;

use aya::maps::{MapData, PerCpuArray, RingBuf};
use aya_log::EbpfLogger;
use log::Log;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::Sleep;
use tracer_common::counter;
use tracer_engine::socket::KernelEvent;

use super::KernelError;
use super::counts::{EventCounts, EventKind, KindCount};
use super::decode::{Decoder, claimed_kind, size_of_record};

/// The probes' maps that user space reads.
pub(super) struct Maps {
    pub events: RingBuf<MapData>,
    pub counters: PerCpuArray<MapData, u64>,
    /// Diagnostics of the probes; absent where they have none to give.
    pub logger: Option<EbpfLogger<&'static dyn Log>>,
}

pub(super) struct Ring {
    events: AsyncFd<RingBuf<MapData>>,
    counters: PerCpuArray<MapData, u64>,
    logger: Option<EbpfLogger<&'static dyn Log>>,
    decoder: Decoder,
    /// Something was taken, or the reader woken, since it was last arranged to look again.
    stirred: bool,
    /// Runs until the reader looks again: see `SETTLE`.
    settling: Option<Pin<Box<Sleep>>>,
    decoded: [u64; EventKind::ALL.len()],
    malformed: [u64; EventKind::ALL.len()],
    unrecognised: u64,
}

/// Events at one `read`: enough to be cheap, few enough to leave room for a tick between two. So many have a mapping of their
/// own (`heap::keep_small`), which costs 0.2 us a connection; on the heap, between facts, they would cost a large cluster 2 MB.
const BATCH: usize = 1024;

/// The probes wake the reader at most once in 10 ms (`QUIET_NS` in tracer-ebpf/src/ring.rs). An event within that time
/// is submitted silently, so the reader looks once more after it; any later event wakes it again. It looks again after
/// whatever it took, woken or not: who was there already when an event came is not woken for that, as epoll finds the ring
/// empty again and says nothing.
const SETTLE: Duration = Duration::from_millis(15);

impl Ring {
    pub(super) fn open(maps: Maps, decoder: Decoder) -> Result<Self, KernelError> {
        let Maps { events, counters, logger } = maps;
        // SAFETY: the ring owns its descriptor and keeps it for as long as it lives.
        let events = unsafe { AsyncFd::register_with_interest(events, Interest::READABLE) };
        let events = events.map_err(|error| watch(&error.into()))?;
        let none = [0; EventKind::ALL.len()];
        Ok(Self {
            events,
            counters,
            logger,
            decoder,
            stirred: false,
            settling: None,
            decoded: none,
            malformed: none,
            unrecognised: 0,
        })
    }

    pub(super) async fn read(&mut self, out: &mut Vec<KernelEvent>) -> Result<(), KernelError> {
        loop {
            if self.take(out) > 0 {
                return Ok(());
            }
            if std::mem::take(&mut self.stirred) {
                self.settling = Some(Box::pin(tokio::time::sleep(SETTLE)));
            }
            let settled = async {
                match &mut self.settling {
                    Some(sleep) => sleep.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                ready = self.events.readable() => {
                    ready.map_err(|error| watch(&error))?.clear_ready();
                    self.stirred = true;
                }
                () = settled => self.settling = None,
            }
            if let Some(logger) = &mut self.logger {
                logger.flush();
            }
        }
    }

    pub(super) fn drain(&mut self, out: &mut Vec<KernelEvent>) {
        while self.take(out) > 0 {}
    }

    pub(super) fn counts(&self, missed: u64) -> Result<EventCounts, KernelError> {
        let mut counts = EventCounts { unrecognised: self.unrecognised, missed, ..EventCounts::default() };
        for kind in EventKind::ALL {
            let slot = kind as u32;
            counts.kinds[kind as usize] = KindCount {
                emitted: self.counter(counter::EMITTED + slot)?,
                decoded: self.decoded[kind as usize],
                malformed: self.malformed[kind as usize],
                lost: self.counter(counter::LOST + slot)?,
            };
        }
        counts.untracked = self.counter(counter::UNTRACKED)?;
        counts.untold = self.counter(counter::UNTOLD)?;
        counts.late = self.counter(counter::LATE)?;
        Ok(counts)
    }

    /// Dropped segments, told and untold.
    pub(super) fn dropped(&self) -> Result<u64, KernelError> {
        Ok(self.counter(counter::EMITTED + EventKind::Drop as u32)? + self.counter(counter::UNTOLD)?)
    }

    /// Decodes at most a batch; how many records it took.
    fn take(&mut self, out: &mut Vec<KernelEvent>) -> usize {
        let Self { events, stirred, decoder, decoded, malformed, unrecognised, .. } = self;
        let events = events.get_mut();
        let mut taken = 0;
        while taken < BATCH
            && let Some(record) = events.next()
        {
            taken += 1;
            match decoder.decode(&record) {
                Ok(event) => {
                    if let Some(kind) = EventKind::of(&event) {
                        decoded[kind as usize] += 1;
                    }
                    out.push(event);
                }
                Err(why) => {
                    tracing::debug!(malformed = %why, "a record of the kernel's ring is no event");
                    match claimed_kind(&record) {
                        Some(kind) => malformed[kind as usize] += 1,
                        None => *unrecognised += 1,
                    }
                }
            }
        }
        *stirred |= taken > 0;
        taken
    }

    /// As `take`, of what an iterator wrote: records of one kind and size, one after the other.
    pub(super) fn take_written(&mut self, kind: EventKind, bytes: &[u8], out: &mut Vec<KernelEvent>) {
        for record in bytes.chunks(size_of_record(kind)) {
            match self.decoder.decode(record) {
                Ok(event) => {
                    self.decoded[kind as usize] += 1;
                    out.push(event);
                }
                Err(_) => self.malformed[kind as usize] += 1,
            }
        }
    }

    fn counter(&self, slot: u32) -> Result<u64, KernelError> {
        let failed = KernelError::failed("read the probes' counters");
        let values = self.counters.get(&slot, 0).map_err(|error| failed(error.to_string()))?;
        Ok(values.iter().sum())
    }
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring").field("decoded", &self.decoded).finish_non_exhaustive()
    }
}

fn watch(error: &io::Error) -> KernelError {
    KernelError::Failed { what: "watch the probes' ring", why: error.to_string() }
}
