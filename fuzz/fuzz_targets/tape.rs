//! A tape, damaged or cut anywhere.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tracer_daemon::source::tape::TapeReader;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(reader) = TapeReader::open(bytes) {
        reader.take(10_000).for_each(drop);
    }
});
