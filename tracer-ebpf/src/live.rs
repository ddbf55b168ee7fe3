//! The sockets being followed: one entry per live socket, keyed by cookie, gone at CLOSE or when `gone` misses it.

use core::mem::MaybeUninit;

use aya_ebpf::EbpfContext;
use aya_ebpf::bindings::BPF_NOEXIST;
use aya_ebpf::helpers::generated::bpf_get_socket_cookie;
use aya_ebpf::macros::map;
use aya_ebpf::maps::HashMap;
use aya_log_ebpf::warn;
use tracer_common::{Socket, counter};

use crate::field::{Sock, TcpSock};
use crate::ring;
use crate::scope;

/// Resized by the daemon (`KernelConfig::max_sockets`).
#[map]
static LIVE: HashMap<u64, Live> = HashMap::with_max_entries(65_536, 0);

/// What is known of a live socket. Flags that different contexts write are bytes of their own, so that plain stores
/// do not undo each other.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Live {
    pub socket: Socket,
    /// When SYN_SENT was entered; 0 for accepted and adopted sockets.
    pub since: u64,
    /// When ESTABLISHED was entered; 0 before, and for adopted sockets.
    pub opened: u64,
    /// Sequence number of the next payload byte that is wanted, by `tracer_common::direction`.
    pub first: [u32; 2],
    /// How far the first payload was read (`first_bytes::DONE`), by `tracer_common::direction`.
    pub seen: [u8; 2],
    pub reset_received: u8,
    pub reset_sent: u8,
    pub syn_retransmits: u8,
    /// It was looked for and not found (`gone`).
    pub missing: u8,
    pub padding: [u8; 2],
    /// Where its `struct sock` lies, for whoever looks whether it still does.
    pub address: u64,
}

/// An entry exists already.
pub struct Exists;

impl Live {
    /// Nothing is known yet. Zeroed word by word, which LLVM must not see through: of zeros in a row it makes a call of
    /// `memset`, and that is a loop over bytes here.
    #[inline(always)]
    pub fn blank(place: &mut MaybeUninit<Self>) -> &mut Self {
        let words = place.as_mut_ptr().cast::<u64>();
        let mut at = 0;
        while at < size_of::<Self>() / size_of::<u64>() {
            // SAFETY: within `place`, which is aligned to words and a multiple of them.
            unsafe { words.add(at).write_volatile(0) };
            at += 1;
        }
        // SAFETY: every field is a number, and zero.
        unsafe { place.assume_init_mut() }
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
    // SAFETY: `sk` is a socket that the verifier knows.
    unsafe { bpf_get_socket_cookie(sk.as_ptr()) }
}

#[inline(always)]
pub fn find(cookie: u64) -> Option<&'static mut Live> {
    // SAFETY: the entry is memory of a preallocated map; another program may write it at the same time, and every
    // field is written by plain stores of its own.
    LIVE.get_ptr_mut(cookie).and_then(|live| unsafe { live.as_mut() })
}

/// Follows a socket. A full map is counted, and logged once per cpu: a flood of sockets must not be one of lines.
#[inline(always)]
pub fn follow(ctx: &impl EbpfContext, cookie: u64, live: &Live) -> Result<(), Exists> {
    const EEXIST: i32 = -17;
    match LIVE.insert(cookie, live, u64::from(BPF_NOEXIST)) {
        Ok(()) => Ok(()),
        Err(EEXIST) => Err(Exists),
        Err(_) => {
            if ring::counted(counter::UNTRACKED) == 0 {
                warn!(ctx, "the map of live sockets is full: further sockets have no first bytes and no opening time");
            }
            ring::count(counter::UNTRACKED);
            Ok(())
        }
    }
}

/// Follows a socket that the iterator found; one that does not fit is adopted at its next event.
#[inline(always)]
pub fn keep(cookie: u64, live: &Live) {
    let _ = LIVE.insert(cookie, live, u64::from(BPF_NOEXIST));
}

#[inline(always)]
pub fn forget(cookie: u64) {
    // An entry that is not there was never followed: nothing to undo.
    let _ = LIVE.remove(cookie);
}
