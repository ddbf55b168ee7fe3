//! The sockets being followed: one entry per live socket, keyed by cookie, gone at CLOSE or when `gone` misses it.
//!
//! The kernel gives out cookies one after the other, 4096 at a time to each cpu, so the low bits of a cookie are a good place:
//! few sockets that live at once share one, unless some of them are old. An array then does what a hash map would, without a
//! call and without a lock. Whoever finds its place taken lives in a hash map beside it.

use core::cell::UnsafeCell;
use core::intrinsics::{AtomicOrdering, atomic_cxchg, atomic_xadd};
use core::mem::MaybeUninit;

use aya_ebpf::bindings::{BPF_F_NO_PREALLOC, BPF_NOEXIST};
use aya_ebpf::helpers::generated::bpf_get_socket_cookie;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap};
use aya_ebpf::{EbpfContext, Global};
use aya_log_ebpf::warn;
use tracer_common::{NO_PLACES, Socket, counter};

use crate::field::{Sock, TcpSock};
use crate::ring;
use crate::scope;

/// By the low bits of the cookie. Resized by the daemon: `KernelConfig::max_sockets`, or the power of two above it.
#[map]
static LIVE: Array<Live> = Array::with_max_entries(65_536, 0);

/// Entries of `LIVE`, less one; or `NO_PLACES`, on kernels whose JIT has no compare-and-swap.
#[unsafe(no_mangle)]
static LIVE_MASK: Global<u32> = Global::new(NO_PLACES);

/// Those whose place in `LIVE` is another's. Resized by the daemon to `KernelConfig::max_sockets`: so many are followed
/// whatever their cookies are. Takes memory only for what is in it.
#[map]
static CROWDED_OUT: HashMap<u64, Live> = HashMap::with_max_entries(65_536, BPF_F_NO_PREALLOC);

/// How many those are: most of the time there are none, and nobody looks for them.
static CROWDED: Count = Count(UnsafeCell::new(0));

struct Count(UnsafeCell<u64>);

// SAFETY: all accesses are of one aligned word, volatile or atomic.
unsafe impl Sync for Count {}

/// What is known of a live socket. Flags that different contexts write are bytes of their own, so that plain stores
/// do not undo each other.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Live {
    /// 0: nobody's.
    pub cookie: u64,
    pub socket: Socket,
    /// When SYN_SENT was entered; 0 for accepted and adopted sockets.
    pub since: u64,
    /// When ESTABLISHED was entered, or met where that was skipped; 0 before, and for adopted sockets.
    pub opened: u64,
    /// Sequence number of the next payload byte that is wanted, by `tracer_common::direction`.
    pub first: [u32; 2],
    /// How far the first payload was read (`DONE`, `first_bytes`), by `tracer_common::direction`.
    pub seen: [u8; 2],
    pub reset_received: u8,
    pub reset_sent: u8,
    pub syn_retransmits: u8,
    /// It was looked for and not found (`gone`).
    pub missing: u8,
    /// 1: a listener's child.
    pub child: u8,
    pub padding: u8,
    /// Where its `struct sock` lies, for whoever looks whether it still does.
    pub address: u64,
}

/// `Live::seen`: the first payload was read, or cannot be any more.
pub const DONE: u8 = 1;

/// In place of a cookie while an entry is written: no socket has it.
pub const BUSY: u64 = 1 << 63;
const WORDS: usize = size_of::<Live>() / size_of::<u64>();

impl Live {
    /// Nothing is known yet. Zeroed word by word, which LLVM must not see through: of zeros in a row it makes a call of
    /// `memset`, and that is a loop over bytes here.
    #[inline(always)]
    pub fn blank(place: &mut MaybeUninit<Self>) -> &mut Self {
        let words = place.as_mut_ptr().cast::<u64>();
        let mut at = 0;
        while at < WORDS {
            // SAFETY: within `place`, which is aligned to words and a multiple of them.
            unsafe { words.add(at).write_volatile(0) };
            at += 1;
        }
        // SAFETY: every field is a number, and zero.
        unsafe { place.assume_init_mut() }
    }

    /// Word by word, for the same reason. The cookie comes last, as nobody looks for it before.
    ///
    /// # Safety
    /// `place` must be valid for writes.
    #[inline(always)]
    unsafe fn copy_to(&self, place: *mut Self) {
        let (from, to) = ((&raw const *self).cast::<u64>(), place.cast::<u64>());
        let mut at = WORDS;
        while at > 0 {
            at -= 1;
            // SAFETY: both are a multiple of words, and aligned to them.
            unsafe { to.add(at).write_volatile(from.add(at).read()) };
        }
    }

    /// Both ends and the owner; false where it is not to be traced. For a socket that is about to connect, was just
    /// accepted, or was open before the probes were (trap 19). What is out of scope is not asked for its owner.
    #[inline(always)]
    pub fn adopt(&mut self, sk: Sock, tcp: TcpSock) -> bool {
        self.address = sk.address();
        sk.tuple(tcp, &mut self.socket);
        let covered = scope::covers(&self.socket.local, &self.socket.remote);
        if covered {
            sk.owner(&mut self.socket);
        }
        covered
    }

    /// It was seen to begin and not yet seen to be open. Read anew each time: another cpu may be about to see it.
    #[inline(always)]
    pub fn lags(&self) -> bool {
        // SAFETY: a reference is valid.
        let opened = unsafe { (&raw const self.opened).read_volatile() };
        opened == 0 && (self.since != 0 || self.child != 0)
    }

    /// Remembers what ESTABLISHED tells: where payload begins. True where both initial sequence numbers are in it: not
    /// where data rode on the SYN.
    #[inline(always)]
    pub fn establish(&mut self, now: u64, tcp: TcpSock) -> bool {
        self.opened = now;
        self.first = [tcp.snd_una(), tcp.rcv_nxt()];
        self.seen = [u8::from(tcp.bytes_sent() != 0), u8::from(tcp.bytes_received() != 0)];
        self.seen[0] == 0 && self.seen[1] == 0
    }
}

#[inline(always)]
pub fn cookie(sk: Sock) -> u64 {
    let given = sk.cookie_if_given();
    if given != 0 {
        return given;
    }
    // SAFETY: `sk` is a socket that the verifier knows.
    unsafe { bpf_get_socket_cookie(sk.as_ptr()) }
}

#[inline(always)]
pub fn find(cookie: u64) -> Option<&'static mut Live> {
    // SAFETY: memory of a map; another program may write it at the same time, and every field is written by plain stores of
    // its own.
    unsafe {
        if let Some(place) = place(cookie)
            && (&raw const (*place).cookie).read_volatile() == cookie
        {
            return place.as_mut();
        }
        if is_crowded() { CROWDED_OUT.get_ptr_mut(cookie).and_then(|live| live.as_mut()) } else { None }
    }
}

#[inline(always)]
fn is_crowded() -> bool {
    // SAFETY: an aligned word.
    unsafe { CROWDED.0.get().read_volatile() != 0 }
}

#[inline(always)]
fn place(cookie: u64) -> Option<*mut Live> {
    let mask = LIVE_MASK.load();
    if mask == NO_PLACES { None } else { LIVE.get_ptr_mut(cookie as u32 & mask) }
}

/// Follows a socket. A full map is counted, and logged once per cpu: a flood of sockets must not be one of lines.
#[inline(always)]
pub fn follow(ctx: &impl EbpfContext, cookie: u64, live: &mut Live) {
    if keep(cookie, live).is_err() {
        if ring::counted(counter::UNTRACKED) == 0 {
            warn!(ctx, "the map of live sockets is full: further sockets have no first bytes and no opening time");
        }
        ring::count(counter::UNTRACKED);
    }
}

/// There is no room.
pub struct Full;

/// Remembers a socket that nobody finds yet.
#[inline(always)]
pub fn keep(cookie: u64, live: &mut Live) -> Result<(), Full> {
    live.cookie = cookie;
    if let Some(place) = place(cookie) {
        // SAFETY: an aligned word of a map. The intrinsic because core offers no compare-and-swap on this target, while BPF
        // has it.
        let (_, is_ours) = unsafe {
            let owner = &raw mut (*place).cookie;
            atomic_cxchg::<u64, { AtomicOrdering::Relaxed }, { AtomicOrdering::Relaxed }>(owner, 0, BUSY)
        };
        if is_ours {
            // SAFETY: the place is ours now.
            unsafe { live.copy_to(place) };
            return Ok(());
        }
    }
    CROWDED_OUT.insert(cookie, live, u64::from(BPF_NOEXIST)).map_err(|_| Full)?;
    crowd(1);
    Ok(())
}

#[inline(always)]
pub fn forget(cookie: u64) {
    if let Some(place) = place(cookie) {
        // SAFETY: as in `find`.
        unsafe {
            if (&raw const (*place).cookie).read_volatile() == cookie {
                (*place).missing = 0;
                return (&raw mut (*place).cookie).write_volatile(0);
            }
        }
    }
    // An entry that is not there was never followed: nothing to undo.
    if is_crowded() && CROWDED_OUT.remove(cookie).is_ok() {
        crowd(u64::MAX);
    }
}

/// Adds to the number of those who found no place of their own.
#[inline(always)]
fn crowd(by: u64) {
    // SAFETY: an aligned word.
    unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::Relaxed }>(CROWDED.0.get(), by) };
}
