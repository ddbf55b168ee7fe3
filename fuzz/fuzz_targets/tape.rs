//! A tape, damaged or cut anywhere, packed or not, through the engine.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tracer_daemon::replay::Replay;
use tracer_daemon::source::tape::TapeReader;

/// How a zstd frame begins, which nobody guesses.
const FRAME: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

fuzz_target!(|bytes: &[u8]| {
    play(bytes);
    play(&[&FRAME, bytes].concat());
});

fn play(tape: &[u8]) {
    if let Ok(reader) = TapeReader::open(tape) {
        let header = reader.header().clone();
        Replay::new(&header, reader.take(10_000)).for_each(drop);
    }
}
