//! An iterator over the elements of two maps. aya attaches iterators, but none that wants to be told of what.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Attached to each map: each run visits every element of all of them once.
#[derive(Debug)]
pub(in crate::source::kernel) struct Sweep(Vec<OwnedFd>);

/// `union bpf_iter_link_info`, as far as it concerns maps.
#[repr(C)]
struct LinkInfo {
    map: i32,
}

/// `union bpf_attr` for BPF_LINK_CREATE of an iterator.
#[repr(C)]
struct LinkCreate {
    program: i32,
    target: u32,
    attach_type: u32,
    flags: u32,
    info: *const LinkInfo,
    info_length: u32,
    padding: u32,
}

/// `union bpf_attr` for BPF_ITER_CREATE.
#[repr(C)]
struct IterCreate {
    link: i32,
    flags: u32,
}

const BPF_LINK_CREATE: i32 = 28;
const BPF_ITER_CREATE: i32 = 33;
const BPF_TRACE_ITER: u32 = 28;

impl Sweep {
    pub(super) fn attach(program: BorrowedFd<'_>, maps: &[OwnedFd]) -> io::Result<Self> {
        maps.iter().map(|map| link(program, map.as_fd())).collect::<io::Result<_>>().map(Self)
    }

    /// Runs it; what it wrote.
    pub(in crate::source::kernel) fn run(&self) -> io::Result<Vec<u8>> {
        let mut written = Vec::new();
        for link in &self.0 {
            let create = IterCreate { link: link.as_raw_fd(), flags: 0 };
            // SAFETY: `create` is what the command reads.
            let iterator = unsafe { bpf(BPF_ITER_CREATE, &create) }?;
            File::from(iterator).read_to_end(&mut written)?;
        }
        Ok(written)
    }
}

fn link(program: BorrowedFd<'_>, map: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let info = LinkInfo { map: map.as_raw_fd() };
    let create = LinkCreate {
        program: program.as_raw_fd(),
        target: 0,
        attach_type: BPF_TRACE_ITER,
        flags: 0,
        info: &raw const info,
        info_length: size_of::<LinkInfo>() as u32,
        padding: 0,
    };
    // SAFETY: `create` is what the command reads, and `info`, which it points at, lives during the call.
    unsafe { bpf(BPF_LINK_CREATE, &create) }
}

/// A command that makes a descriptor.
///
/// # Safety
/// `attributes` must be those that the command reads, and what they point at must live.
unsafe fn bpf<A>(command: i32, attributes: &A) -> io::Result<OwnedFd> {
    // SAFETY: the caller's promise.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, command, &raw const *attributes, size_of::<A>()) };
    match i32::try_from(fd) {
        // SAFETY: a descriptor that was just made, and is nobody else's.
        Ok(fd @ 0..) => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}
