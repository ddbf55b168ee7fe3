//! The wire contract between kernel and user: what `tracer-ebpf` writes into its ring and `tracer-daemon` decodes.
//!
//! Integers only, in the machine's own byte order, with every padding byte spelled out, so that both sides agree
//! whatever their compilers think. Every event is a `Header` and a body that `Header::kind` names; nothing here has
//! behaviour but the choice of a slot. The sizes are asserted at the end: a change to them is a change to both sides.
#![no_std]

/// What every event begins with: when, and the whole socket, so that an event needs no other one to be understood.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Header {
    /// `bpf_ktime_get_ns`
    pub at: u64,
    /// `bpf_get_socket_cookie`
    pub cookie: u64,
    /// One of `kind`.
    pub kind: u32,
    pub padding: u32,
    pub socket: Socket,
}

/// A TCP socket as its own kernel sees it, and its owner.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Socket {
    /// Id of the cgroup2 directory, 0 where this kernel does not tell.
    pub cgroup: u64,
    pub netns: u32,
    pub uid: u32,
    /// Thread that called connect(2), else 0.
    pub tid: u32,
    pub mark: u32,
    /// IPv4 addresses are written as ::ffff:a.b.c.d, so there is one form of address only.
    pub local: [u8; 16],
    pub remote: [u8; 16],
    /// Host byte order.
    pub local_port: u16,
    pub remote_port: u16,
    pub padding: u32,
}

/// `kind::CONNECT`: SYN_SENT ended, one way or the other.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Connect {
    /// When SYN_SENT was entered; 0 where that was not seen.
    pub since: u64,
    /// Of a failed connect too.
    pub client_isn: u32,
    pub server_isn: u32,
    /// `connect_flags`
    pub flags: u32,
    /// `sk_err` of a failed connect; 0 where the kernel saw no error.
    pub error: u32,
}

/// `kind::SYN_RETRANSMIT`
#[repr(C)]
#[derive(Clone, Copy)]
pub struct SynRetransmit {
    pub since: u64,
    /// Retransmissions so far; the first SYN is not one.
    pub count: u32,
    pub client_isn: u32,
}

/// `kind::ACCEPT`: SYN_RECV -> ESTABLISHED.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Accept {
    pub client_isn: u32,
    pub server_isn: u32,
    /// `connect_flags::HANDSHAKE` or nothing.
    pub flags: u32,
    pub padding: u32,
}

/// `kind::FIRST_BYTES`: followed by `length` bytes of payload (and then by whatever the ring's rounding left there).
#[repr(C)]
#[derive(Clone, Copy)]
pub struct FirstBytes {
    /// One of `direction`, and maybe `direction::CONTINUED`.
    pub direction: u32,
    pub length: u32,
}

/// `kind::CLOSE`. Where nobody told of it (`close_flags::UNSEEN`) it lies most often in what the iterator over live sockets
/// writes, not in the ring.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Close {
    /// When the socket was ESTABLISHED; 0 where that was not seen.
    pub opened: u64,
    pub sent: u64,
    pub received: u64,
    /// `close_flags`
    pub flags: u32,
    pub padding: u32,
}

/// `kind::DROP`: the kernel discarded a TCP segment. The header's socket bears the segment's own addresses, source as
/// `local`, as they were when it was discarded (REDIRECT and DNAT may have changed them), and its cookie is 0 where no
/// socket is known: ingress drops happen before there is one (`kernel.md`, trap 6).
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Drop {
    /// As this kernel numbers it (`enum skb_drop_reason`), or `drop_reason::LISTEN_OVERFLOW`.
    pub reason: u32,
    pub sequence: u32,
    pub acknowledgement: u32,
    /// `tcp_flags`
    pub flags: u32,
}

/// `kind::OPEN`: a socket that was open before the probes were. It lies in what the iterator over open files writes,
/// not in the ring.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Open {
    /// As in `include/net/tcp_states.h`; `LISTENING` among them.
    pub state: u32,
    pub padding: u32,
}

/// `TCP_LISTEN`
pub const LISTENING: u32 = 10;

/// What dropped segments are counted by, exactly.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct DropKey {
    pub reason: u32,
    pub padding: u32,
    pub source: [u8; 16],
    pub destination: [u8; 16],
}

/// A header and a body, as they lie in the ring.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Event<B> {
    pub header: Header,
    pub body: B,
}

/// Values of `Header::kind`; also the index of the kind's counters.
pub mod kind {
    pub const CONNECT: u32 = 0;
    pub const SYN_RETRANSMIT: u32 = 1;
    pub const ACCEPT: u32 = 2;
    pub const FIRST_BYTES: u32 = 3;
    pub const CLOSE: u32 = 4;
    pub const DROP: u32 = 5;
    pub const OPEN: u32 = 6;
    pub const COUNT: u32 = 7;
}

pub mod connect_flags {
    /// Both initial sequence numbers are known: no data rode on the SYN.
    pub const HANDSHAKE: u32 = 1;
    /// SYN_SENT -> CLOSE.
    pub const FAILED: u32 = 2;
    /// A RST answered the SYN; a refusal without one was an ICMP error.
    pub const RESET_RECEIVED: u32 = 4;
}

pub mod direction {
    pub const SENT: u32 = 0;
    pub const RECEIVED: u32 = 1;
    /// Added to either: a later segment of a stream that began with the HTTP/2 preface, whose HEADERS may be in it.
    pub const CONTINUED: u32 = 2;
}

pub mod close_flags {
    pub const RESET_RECEIVED: u32 = 1;
    pub const RESET_SENT: u32 = 2;
    /// Closed with received bytes that nobody read.
    pub const UNREAD: u32 = 4;
    /// This end sent its FIN before it received one.
    pub const FIRST_FIN_SENT: u32 = 8;
    /// This end received a FIN before it sent one.
    pub const FIRST_FIN_RECEIVED: u32 = 16;
    /// The socket was found to be no more (trap 20), or a connect failed and it is not known how: nothing else of its close
    /// is known, `sent` and `received` least of all.
    pub const UNSEEN: u32 = 32;
}

/// The flags of a TCP header, as its byte 13 has them.
pub mod tcp_flags {
    pub const FIN: u32 = 1;
    pub const SYN: u32 = 2;
    pub const RST: u32 = 4;
    pub const ACK: u32 = 16;
}

pub mod drop_reason {
    /// None of the kernel's: a SYN that a full accept queue turned away, of which it tells nobody (trap 8).
    pub const LISTEN_OVERFLOW: u32 = u32::MAX;

    /// Slots of the exact counts by reason alone.
    pub const SLOTS: u32 = 256;
    /// Where reasons are counted that have no slot of their own: those of subsystems.
    pub const OTHER: u32 = SLOTS - 2;

    #[inline(always)]
    pub const fn slot(reason: u32) -> u32 {
        match reason {
            LISTEN_OVERFLOW => SLOTS - 1,
            0..OTHER => reason,
            _ => OTHER,
        }
    }
}

/// Slots of the per-cpu counters: emissions of each kind, failed emissions of each kind, sockets that found the map of
/// live sockets full, changes of a socket that were told late, because the kernel skipped the program that tells of them, and
/// drops that were counted but not told one by one, because there were too many. `EMITTED` counts every attempt, so emitted =
/// decoded + malformed + lost.
pub mod counter {
    use crate::kind;

    pub const EMITTED: u32 = 0;
    pub const LOST: u32 = EMITTED + kind::COUNT;
    pub const UNTRACKED: u32 = LOST + kind::COUNT;
    pub const LATE: u32 = UNTRACKED + 1;
    pub const UNTOLD: u32 = LATE + 1;
    pub const COUNT: u32 = UNTOLD + 1;
}

/// Value of a field offset that this kernel does not have.
pub const ABSENT: u32 = u32::MAX;

/// In place of a mask: sockets are followed in the hash map alone, and the verifier removes what needs compare-and-swap.
pub const NO_PLACES: u32 = u32::MAX;

/// The most payload bytes one event bears: an application's ClientHello with a post-quantum key share fits (trap 15).
pub const MAX_FIRST_BYTES: usize = 2048;

const _: () = {
    assert!(size_of::<Socket>() == 64);
    assert!(size_of::<Header>() == 88);
    assert!(size_of::<Event<Connect>>() == 112);
    assert!(size_of::<Event<SynRetransmit>>() == 104);
    assert!(size_of::<Event<Accept>>() == 104);
    assert!(size_of::<Event<FirstBytes>>() == 96);
    assert!(size_of::<Event<Close>>() == 120);
    assert!(size_of::<Event<Drop>>() == 104);
    assert!(size_of::<Event<Open>>() == 96);
    assert!(size_of::<DropKey>() == 40);
    assert!(align_of::<Event<Close>>() == 8);
};
