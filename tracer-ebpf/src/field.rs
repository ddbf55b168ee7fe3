//! Reading kernel structures whose layout is known only at load time.
//!
//! The daemon finds every field's offset in the running kernel's BTF and writes it into these read-only globals before
//! the programs are loaded: the Rust answer to CO-RE. The verifier sees constants, checks each load against BTF as it
//! would in C, and drops the branches of fields that this kernel lacks.

use core::ffi::c_void;
use core::ptr::read_volatile;

use aya_ebpf::Global;
use aya_ebpf::helpers::generated::{bpf_probe_read_kernel, bpf_skc_to_tcp_sock};
use tracer_common::{ABSENT, Socket};

use crate::packet::Bytes;
use crate::state::CLOSE;

/// `struct sock`, as the verifier knows it.
#[derive(Clone, Copy)]
pub struct Sock(*const c_void);

/// `struct sk_buff`
#[derive(Clone, Copy)]
pub struct SkBuff(*const c_void);

/// `struct tcp_sock`: the same address, another type for the verifier.
#[derive(Clone, Copy)]
pub struct TcpSock(*const c_void);

macro_rules! offsets {
    ($($name:ident),+ $(,)?) => {
        $(#[unsafe(no_mangle)] static $name: Global<u32> = Global::new(ABSENT);)+
    };
}

// Named <structure>__<field>; `tracer-daemon/src/source/kernel/offsets.rs` has the same list with each one's path.
offsets!(
    SOCK__DADDR,
    SOCK__RCV_SADDR,
    SOCK__DPORT,
    SOCK__FAMILY,
    SOCK__STATE,
    SOCK__FLAGS,
    SOCK__NET,
    SOCK__V6_DADDR,
    SOCK__V6_RCV_SADDR,
    SOCK__UID,
    SOCK__MARK,
    SOCK__ERR,
    SOCK__ERR_SOFT,
    SOCK__CGROUP,
    NET__INUM,
    CGROUP__KN,
    KERNFS_NODE__ID,
    SOCK__COOKIE,
    SOCK__ACK_BACKLOG,
    SOCK__MAX_ACK_BACKLOG,
    SOCKET__SK,
    SK_BUFF__HEAD,
    SK_BUFF__NETWORK_HEADER,
    SK_BUFF__TAIL,
    SK_BUFF__SK,
    SK_BUFF__DEV,
    NET_DEVICE__NET,
    TCP_SOCK__SPORT,
    TCP_SOCK__SND_UNA,
    TCP_SOCK__RCV_NXT,
    TCP_SOCK__COPIED_SEQ,
    TCP_SOCK__BYTES_ACKED,
    TCP_SOCK__BYTES_SENT,
    TCP_SOCK__BYTES_RECEIVED,
);

// Not an offset, but what else differs between kernels: how many arguments `kfree_skb` has.
offsets!(KFREE_SKB__ARGUMENTS);

/// Drop reasons that a healthy connection has too, a bit each.
#[unsafe(no_mangle)]
static HARMLESS_REASONS: Global<[u64; 4]> = Global::new([0; 4]);

const AF_INET6: u16 = 10;

/// 1: every program returns at once. What the verifier then leaves of it measures what attaching alone costs.
#[unsafe(no_mangle)]
static IDLE: Global<u32> = Global::new(0);

#[inline(always)]
pub fn is_idle() -> bool {
    IDLE.load() != 0
}

/// Freed for no reason worth a word (`reasons.rs` of the daemon says which).
#[inline(always)]
pub fn is_harmless(reason: u32) -> bool {
    reason < 256 && HARMLESS_REASONS.load()[(reason >> 6) as usize] >> (reason & 63) & 1 == 1
}

/// Whether `kfree_skb` names the socket that was to receive the packet (6.11).
#[inline(always)]
pub fn has_receiver() -> bool {
    const WITH_RX_SK: u32 = 4;
    let arguments = KFREE_SKB__ARGUMENTS.load();
    arguments != ABSENT && arguments >= WITH_RX_SK
}

impl Sock {
    /// The socket argument of a BTF tracepoint; `None` where the kernel passed NULL.
    #[inline(always)]
    pub fn new(sk: *const c_void) -> Option<Self> {
        if sk.is_null() { None } else { Some(Self(sk)) }
    }

    /// The socket that a cgroup program's packet is for, as the kernel's own structure.
    #[inline(always)]
    pub fn of_context(sk: *mut c_void) -> Option<Self> {
        // SAFETY: the helper takes whatever socket the verifier knows, and returns NULL where it is not TCP.
        let tcp: *const c_void = unsafe { bpf_skc_to_tcp_sock(sk) }.cast();
        Self::new(tcp)
    }

    /// Of a `struct socket`, which may be NULL.
    #[inline(always)]
    pub fn of_socket(socket: *const c_void) -> Option<Self> {
        if socket.is_null() { None } else { follow(socket, &SOCKET__SK).and_then(Self::new) }
    }

    /// The cookie, if the socket was given one: every socket that is followed was. For sockets that the verifier knows
    /// too little of to let the helper have them.
    #[inline(always)]
    pub fn cookie_if_given(self) -> u64 {
        read(self.0, &SOCK__COOKIE)
    }

    /// `sk_acceptq_is_full`
    #[inline(always)]
    pub fn accept_queue_is_full(self) -> bool {
        read::<u32>(self.0, &SOCK__ACK_BACKLOG) > read::<u32>(self.0, &SOCK__MAX_ACK_BACKLOG)
    }

    /// As a number: to be kept for longer than the verifier lets anybody keep a pointer (`is_still`).
    #[inline(always)]
    pub fn address(self) -> u64 {
        self.0.addr() as u64
    }

    #[inline(always)]
    pub fn as_ptr(self) -> *mut c_void {
        self.0.cast_mut()
    }

    /// `None` where this is no TCP socket (SCTP, DCCP and MPTCP share the tracepoints).
    #[inline(always)]
    pub fn tcp(self) -> Option<TcpSock> {
        // SAFETY: the helper checks the socket's protocol and returns NULL where it is not TCP.
        let tcp: *const c_void = unsafe { bpf_skc_to_tcp_sock(self.as_ptr()) }.cast();
        if tcp.is_null() { None } else { Some(TcpSock(tcp)) }
    }

    #[inline(always)]
    pub fn state(self) -> u8 {
        read(self.0, &SOCK__STATE)
    }

    /// A FIN was received and taken (`enum sock_flags`, SOCK_DONE: the second of them since there is git).
    #[inline(always)]
    pub fn fin_received(self) -> bool {
        const SOCK_DONE: u64 = 1 << 1;
        read::<u64>(self.0, &SOCK__FLAGS) & SOCK_DONE != 0
    }

    /// `sk_err`: an errno, 0 where the kernel saw no error.
    #[inline(always)]
    pub fn error(self) -> u32 {
        read(self.0, &SOCK__ERR)
    }

    /// `sk_err_soft`: what went wrong while the connect went on trying. Nobody fetches it.
    #[inline(always)]
    pub fn soft_error(self) -> u32 {
        read(self.0, &SOCK__ERR_SOFT)
    }

    /// Who owns the socket. All of it is kept in the socket, so any context may ask.
    #[inline(always)]
    pub fn owner(self, socket: &mut Socket) {
        socket.uid = read(self.0, &SOCK__UID);
        socket.mark = read(self.0, &SOCK__MARK);
        socket.netns = follow(self.0, &SOCK__NET).map_or(0, |net| read(net, &NET__INUM));
        socket.cgroup = follow(self.0, &SOCK__CGROUP)
            .and_then(|cgroup| follow(cgroup, &CGROUP__KN))
            .map_or(0, |node| read(node, &KERNFS_NODE__ID));
    }

    /// Both ends, as the socket has them now. `inet_sport` and not `skc_num`: the latter is 0 once the port was given
    /// back, which happens before CLOSE is told.
    #[inline(always)]
    pub fn tuple(self, tcp: TcpSock, socket: &mut Socket) {
        let family: u16 = read(self.0, &SOCK__FAMILY);
        if family == AF_INET6 {
            write(&mut socket.local, read(self.0, &SOCK__V6_RCV_SADDR));
            write(&mut socket.remote, read(self.0, &SOCK__V6_DADDR));
        } else {
            write(&mut socket.local, mapped(read(self.0, &SOCK__RCV_SADDR)));
            write(&mut socket.remote, mapped(read(self.0, &SOCK__DADDR)));
        }
        socket.remote_port = u16::from_be(read(self.0, &SOCK__DPORT));
        socket.local_port = tcp.local_port();
    }
}

impl SkBuff {
    #[inline(always)]
    pub fn new(skb: *const c_void) -> Self {
        Self(skb)
    }

    /// Who sent it, while that is known.
    #[inline(always)]
    pub fn sock(self) -> Option<Sock> {
        follow(self.0, &SK_BUFF__SK).and_then(Sock::new)
    }

    /// Of the device that it is at; 0 where it is at none any more.
    #[inline(always)]
    pub fn netns(self) -> u32 {
        let device = follow(self.0, &SK_BUFF__DEV);
        device.and_then(|device| follow(device, &NET_DEVICE__NET)).map_or(0, |net| read(net, &NET__INUM))
    }
}

impl Bytes for SkBuff {
    /// Of the linear part only: beyond it lies memory that is no packet's.
    #[inline(always)]
    fn bytes<const N: usize>(&self, at: u32) -> Option<[u8; N]> {
        let begins = u32::from(read::<u16>(self.0, &SK_BUFF__NETWORK_HEADER)) + at;
        let ends: u32 = read(self.0, &SK_BUFF__TAIL);
        if begins + N as u32 > ends {
            return None;
        }
        let head = follow(self.0, &SK_BUFF__HEAD)?;
        let mut bytes = [0; N];
        // SAFETY: N bytes on the stack; the helper turns a fault into an error.
        let status = unsafe {
            bpf_probe_read_kernel(bytes.as_mut_ptr().cast(), N as u32, head.byte_add(begins as usize).cast())
        };
        (status == 0).then_some(bytes)
    }
}

impl TcpSock {
    #[inline(always)]
    pub fn local_port(self) -> u16 {
        u16::from_be(read(self.0, &TCP_SOCK__SPORT))
    }

    #[inline(always)]
    pub fn snd_una(self) -> u32 {
        read(self.0, &TCP_SOCK__SND_UNA)
    }

    #[inline(always)]
    pub fn rcv_nxt(self) -> u32 {
        read(self.0, &TCP_SOCK__RCV_NXT)
    }

    #[inline(always)]
    pub fn copied_seq(self) -> u32 {
        read(self.0, &TCP_SOCK__COPIED_SEQ)
    }

    /// How far `snd_una` has come.
    #[inline(always)]
    pub fn bytes_acked(self) -> u64 {
        read(self.0, &TCP_SOCK__BYTES_ACKED)
    }

    #[inline(always)]
    pub fn bytes_sent(self) -> u64 {
        read(self.0, &TCP_SOCK__BYTES_SENT)
    }

    #[inline(always)]
    pub fn bytes_received(self) -> u64 {
        read(self.0, &TCP_SOCK__BYTES_RECEIVED)
    }
}

/// Whether the socket with this cookie is still where it was, and not closed; true where that cannot be told.
///
/// Sockets are made of memory that is kept for sockets, and every new one gets a cookie that none had before it. So
/// whatever lies there now is this socket if it has its cookie. One that was freed keeps cookie and state until its
/// memory is used again, and nothing is freed before it was in CLOSE.
#[inline(always)]
pub fn is_still(address: u64, cookie: u64) -> bool {
    match (peek::<u64>(address, &SOCK__COOKIE), peek::<u8>(address, &SOCK__STATE)) {
        (Some(there), Some(state)) => there == cookie && i32::from(state) != CLOSE,
        _ => true,
    }
}

/// A field of whatever lies at an address that the verifier knows nothing of.
#[inline(always)]
fn peek<T: Default>(address: u64, offset: &Global<u32>) -> Option<T> {
    let offset = offset.load();
    if address == 0 || offset == ABSENT {
        return None;
    }
    let mut value = T::default();
    let from = (address + u64::from(offset)) as *const c_void;
    // SAFETY: a value on the stack; the helper turns a fault into an error.
    let status = unsafe { bpf_probe_read_kernel((&raw mut value).cast(), size_of::<T>() as u32, from) };
    (status == 0).then_some(value)
}

/// ::ffff:a.b.c.d of an address in network order, as two words in memory order.
#[inline(always)]
fn mapped(address: u32) -> [u64; 2] {
    [0, u64::from(address) << 32 | 0xffff_0000]
}

#[inline(always)]
#[expect(clippy::cast_ptr_alignment, reason = "`Socket` puts both addresses at a multiple of 8")]
fn write(to: &mut [u8; 16], words: [u64; 2]) {
    let to = to.as_mut_ptr().cast::<u64>();
    // SAFETY: `Socket::local` and `Socket::remote` lie at offsets 24 and 40 of a structure of alignment 8.
    unsafe {
        to.write(words[0]);
        to.add(1).write(words[1]);
    }
}

/// A pointer of the kernel's, which may be NULL: reading through it then yields zero. `None` where this kernel has no
/// such field.
#[inline(always)]
fn follow(base: *const c_void, offset: &Global<u32>) -> Option<*const c_void> {
    let offset = offset.load();
    if offset == ABSENT {
        return None;
    }
    // SAFETY: `base` is a pointer that the verifier knows the type of; it checks this load against BTF, and the
    // kernel turns a fault into 0.
    Some(unsafe { read_volatile(base.byte_add(offset as usize).cast()) })
}

/// One scalar, or zero where this kernel has no such field.
#[inline(always)]
fn read<T: Default + Copy>(base: *const c_void, offset: &Global<u32>) -> T {
    let offset = offset.load();
    if offset == ABSENT {
        return T::default();
    }
    // SAFETY: as in `follow`.
    unsafe { read_volatile(base.byte_add(offset as usize).cast()) }
}
