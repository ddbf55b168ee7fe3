//! A line of a journal.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tracer_daemon::sink::wire;

fuzz_target!(|line: &str| {
    let _ = wire::read(line);
});
