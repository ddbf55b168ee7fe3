//! Reading kernel structures whose layout is known only at load time.
//!
//! The daemon finds every field's offset in the running kernel's BTF and writes it into these read-only globals before
//! the programs are loaded: the Rust answer to CO-RE. The verifier sees constants, checks each load against BTF as it
//! would in C, and drops the branches of fields that this kernel lacks.

use core::ffi::c_void;
use core::ptr::read_volatile;

use aya_ebpf::Global;
use aya_ebpf::helpers::generated::bpf_skc_to_tcp_sock;
use tracer_common::{ABSENT, Socket};

/// `struct sock`, as the verifier knows it.
#[derive(Clone, Copy)]
pub struct Sock(*const c_void);

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
    SOCK__CGROUP,
    NET__INUM,
    CGROUP__KN,
    KERNFS_NODE__ID,
    TCP_SOCK__SPORT,
    TCP_SOCK__SND_UNA,
    TCP_SOCK__RCV_NXT,
    TCP_SOCK__COPIED_SEQ,
    TCP_SOCK__BYTES_SENT,
    TCP_SOCK__BYTES_RECEIVED,
);

const AF_INET6: u16 = 10;

impl Sock {
    /// The socket argument of a BTF tracepoint; `None` where the kernel passed NULL.
    #[inline(always)]
    pub fn new(sk: *const c_void) -> Option<Self> {
        if sk.is_null() { None } else { Some(Self(sk)) }
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
        socket.local_port = u16::from_be(read(tcp.0, &TCP_SOCK__SPORT));
    }
}

impl TcpSock {
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

    #[inline(always)]
    pub fn bytes_sent(self) -> u64 {
        read(self.0, &TCP_SOCK__BYTES_SENT)
    }

    #[inline(always)]
    pub fn bytes_received(self) -> u64 {
        read(self.0, &TCP_SOCK__BYTES_RECEIVED)
    }
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
