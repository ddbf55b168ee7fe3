//! A TLS record, and a ClientHello in it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tracer_daemon::source::kernel::payload;

fuzz_target!(|bytes: &[u8]| {
    let _ = payload::read(&[b"\x16\x03\x01", bytes].concat());
    let length = (bytes.len() as u16).to_be_bytes();
    let handshake = ((bytes.len() as u32).saturating_sub(4)).to_be_bytes();
    let _ = payload::read(&[&b"\x16\x03\x01"[..], &length, b"\x01", &handshake[1..], bytes].concat());
});
