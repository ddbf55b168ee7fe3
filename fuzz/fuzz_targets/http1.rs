//! The head of an HTTP/1 request or response, cut off anywhere.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tracer_daemon::source::kernel::payload;

fuzz_target!(|bytes: &[u8]| {
    let _ = payload::read(bytes);
    for head in [&b"GET / HTTP/1.1\r\n"[..], b"HTTP/1.1 503 \r\n"] {
        let _ = payload::read(&[head, bytes].concat());
    }
});
