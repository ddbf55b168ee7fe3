//! Sockets whose end nobody told (trap 20): an iterator over the maps of live sockets.

use core::ffi::c_void;
use core::ptr::read_volatile;

use aya_ebpf::helpers::bpf_ktime_get_ns;
use tracer_common::{Close, close_flags, kind};

use crate::field::{self, is_idle};
use crate::iterator::{self, Meta};
use crate::live::{self, Live};
use crate::ring::Subject;

/// `struct bpf_iter__bpf_map_elem`, which is part of the kernel's ABI.
#[repr(C)]
pub struct MapElement {
    meta: *const Meta,
    map: *const c_void,
    key: *const c_void,
    value: *const Live,
}

/// Costs two reads for a socket that lives, however long it is idle.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/bpf_map_elem")]
pub extern "C" fn gone_sockets(ctx: *const MapElement) -> i32 {
    // SAFETY: the verifier knows the context's type, and that the value may be NULL: it is, once, at the end.
    let value = unsafe { read_volatile(&raw const (*ctx).value) };
    if is_idle() || value.is_null() {
        return 0;
    }
    // SAFETY: it is not NULL, and the verifier holds it to the map's size.
    let (cookie, address, missing) = unsafe {
        (
            read_volatile(&raw const (*value).cookie),
            read_volatile(&raw const (*value).address),
            read_volatile(&raw const (*value).missing),
        )
    };
    if cookie == 0 || cookie == live::BUSY {
        return 0;
    }
    let is_still = field::is_still(address, cookie);
    if is_still && missing == 0 {
        return 0;
    }
    // Asked for again: the element may have been taken out of the map by now, and be another socket's.
    let Some(live) = live::find(cookie) else { return 0 };
    if is_still {
        live.missing = 0;
    } else if live.missing == 0 {
        // In the moment in which it dials, or is written, a socket looks the same. So it is told when it is missed a second time.
        live.missing = 1;
    } else if live.child != 0 && live.opened == 0 {
        // Nobody was told of it: another child of the same handshake came first.
        live::forget(cookie);
    } else {
        // SAFETY: as above.
        tell(unsafe { read_volatile(&raw const (*ctx).meta) }, cookie, live);
    }
    0
}

#[inline(always)]
fn tell(meta: *const Meta, cookie: u64, live: &Live) {
    // SAFETY: a helper without arguments.
    let at = unsafe { bpf_ktime_get_ns() };
    let subject = Subject { at, cookie, socket: &live.socket };
    let body = Close { opened: live.opened, sent: 0, received: 0, flags: close_flags::UNSEEN, padding: 0 };
    if iterator::write(meta, &subject, kind::CLOSE, body) {
        live::forget(cookie);
    }
}
