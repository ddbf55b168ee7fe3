//! HTTP/2 frames after the preface, with HPACK in the first HEADERS.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tracer_daemon::source::kernel::payload;

fuzz_target!(|bytes: &[u8]| {
    let _ = payload::read(&[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", bytes].concat());
    let _ = payload::read_on(bytes);
    // A HEADERS frame of stream 1 with these bytes for a header block.
    let length = (bytes.len() as u32).to_be_bytes();
    let _ = payload::read_on(&[&length[1..], b"\x01\x04\0\0\0\x01", bytes].concat());
});
