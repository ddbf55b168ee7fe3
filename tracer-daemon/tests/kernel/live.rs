//! The probes' map of live sockets, from outside: what it looks like where the kernel skipped a program or told of nothing
//! cannot be had from the kernel on demand, but it can be put there.

use std::fs;

/// What is remembered of one socket, and where.
pub(crate) struct Live {
    fd: i32,
    places: u32,
    value: Vec<u8>,
}

/// `union bpf_attr` for the commands on a map's elements.
#[repr(C)]
struct Element {
    map: i32,
    padding: u32,
    key: *const u32,
    value: *mut u8,
    flags: u64,
}

impl Live {
    const LOOKUP: i32 = 1;
    const UPDATE: i32 = 2;
    /// Where `tracer-ebpf`'s `Live` has when its socket was ESTABLISHED, and where that lies.
    const OPENED: usize = 80;
    const ADDRESS: usize = 104;

    /// The only array of this process that has so many entries: tests run side by side, so each has a map of its own size.
    pub(crate) fn of(places: u32) -> Self {
        const ARRAY: usize = 2;
        let found = fs::read_dir("/proc/self/fdinfo").expect("descriptors").find_map(|file| {
            let file = file.ok()?;
            let info = fs::read_to_string(file.path()).ok()?;
            let number = |key: &str| info.lines().find_map(|line| line.strip_prefix(key)?.trim().parse::<usize>().ok());
            (number("max_entries:")? == places as usize && number("map_type:")? == ARRAY).then_some(())?;
            let value = vec![0; number("value_size:")?];
            Some(Self { fd: file.file_name().to_str()?.parse().ok()?, places, value })
        });
        found.expect("the map of live sockets")
    }

    /// Remembers what the probes know of a socket. False: it is not followed.
    pub(crate) fn look_up(&mut self, cookie: u64) -> bool {
        self.element(Self::LOOKUP, cookie);
        self.value[..8] == cookie.to_ne_bytes()
    }

    /// From now on what is remembered was not open yet: as where the kernel skipped the program that would have said so.
    pub(crate) fn not_open(&mut self) {
        self.value[Self::OPENED..][..8].fill(0);
    }

    /// From now on what is remembered is of another socket.
    pub(crate) fn elsewhere(&mut self) {
        self.value[Self::ADDRESS] ^= 8;
    }

    /// Puts what is remembered back under this cookie.
    pub(crate) fn put_back(&mut self, cookie: u64) {
        self.value[..8].copy_from_slice(&cookie.to_ne_bytes());
        self.element(Self::UPDATE, cookie);
    }

    fn element(&mut self, command: i32, cookie: u64) {
        let key = cookie as u32 & (self.places - 1);
        let value = self.value.as_mut_ptr();
        let element = Element { map: self.fd, padding: 0, key: &raw const key, value, flags: 0 };
        // SAFETY: key and value live during the call, and are of the map's own sizes.
        let status = unsafe { libc::syscall(libc::SYS_bpf, command, &raw const element, size_of::<Element>()) };
        assert_eq!(status, 0, "{}", std::io::Error::last_os_error());
    }
}
