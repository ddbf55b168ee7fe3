//! A file of facts: YAML or JSON, and every object that it may hold, lowered and told to the engine.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tracer_daemon::source::cluster::{IstioInstallation, read_facts};

static FILE: LazyLock<PathBuf> =
    LazyLock::new(|| std::env::temp_dir().join(format!("mesh-tracer-fuzz-{}.yaml", std::process::id())));

fuzz_target!(|bytes: &[u8]| {
    std::fs::write(&*FILE, bytes).expect("a temporary file");
    let _ = read_facts(&[FILE.clone()], &IstioInstallation::default());
});
