//! Sockets that were open before the probes were (trap 19): an iterator over the open files of every process.
//!
//! Written as they are found into what user space reads, not into the ring: a hundred thousand of them would not fit.

use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::ptr::read_volatile;

use aya_ebpf::helpers::bpf_ktime_get_ns;
use aya_ebpf::helpers::generated::bpf_sock_from_file;
use tracer_common::{Open, kind};

use crate::field::Sock;
use crate::iterator::{self, Meta};
use crate::live::{self, Live};
use crate::ring::Subject;
use crate::state::{CLOSE, LISTEN, SYN_RECV, SYN_SENT};

/// `struct bpf_iter__task_file`, which is part of the kernel's ABI.
#[repr(C)]
pub struct TaskFile {
    meta: *const Meta,
    task: *const c_void,
    fd: u32,
    file: *mut c_void,
}

#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task_file")]
pub extern "C" fn open_sockets(ctx: *const TaskFile) -> i32 {
    // SAFETY: the verifier knows the context's type, and that `file` may be NULL: it is, once, at the end.
    let (meta, file) = unsafe { (read_volatile(&raw const (*ctx).meta), read_volatile(&raw const (*ctx).file)) };
    if file.is_null() {
        return 0;
    }
    // SAFETY: the helper returns NULL where the file is no socket.
    let socket: *const c_void = unsafe { bpf_sock_from_file(file.cast()) }.cast();
    let Some(sk) = Sock::of_socket(socket) else { return 0 };
    found(meta, sk);
    0
}

#[inline(always)]
fn found(meta: *const Meta, sk: Sock) {
    let state = i32::from(sk.state());
    // Half-open ones tell of themselves soon; closed ones have nothing more to tell.
    if matches!(state, CLOSE | SYN_SENT | SYN_RECV) {
        return;
    }
    let Some(tcp) = sk.tcp() else { return };
    let cookie = live::cookie(sk);
    // Opened since the probes are, or held by two processes.
    if live::find(cookie).is_some() {
        return;
    }
    let mut blank = MaybeUninit::uninit();
    let live = Live::blank(&mut blank);
    let covered = live.adopt(sk, tcp);
    if state == LISTEN {
        // It has no other end; its port tells which end of a connection is the server's.
        sk.owner(&mut live.socket);
    } else if !covered {
        return;
    }
    // SAFETY: a helper without arguments.
    let at = unsafe { bpf_ktime_get_ns() };
    let subject = Subject { at, cookie, socket: &live.socket };
    let written = iterator::write(meta, &subject, kind::OPEN, Open { state: state as u32, padding: 0 });
    if written && state != LISTEN {
        let _ = live::keep(cookie, live);
    }
}
