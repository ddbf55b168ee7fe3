//! A record of the kernel's ring: any bytes are an event or malformed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tracer_daemon::source::kernel::decode::Decoder;

fuzz_target!(|bytes: &[u8]| {
    let _ = Decoder::default().decode(bytes);
});
