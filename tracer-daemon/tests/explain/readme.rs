//! What README shows of `explain` is what it says.

use crate::{file, read};
use std::process::Command;

#[test]
fn readme_shows_what_explain_says() {
    let readme = read(&file("../README.md"));
    let shown: Vec<(&str, &str)> = readme
        .split("```")
        .filter_map(|block| block.trim_start().strip_prefix("$ mesh-tracer explain ")?.split_once('\n'))
        .collect();
    assert_eq!(shown.len(), 2, "the question, and why the remedy is one");
    for (asked, answer) in shown {
        let mut explain = Command::new(env!("CARGO_BIN_EXE_mesh-tracer"));
        explain.arg("explain").args(asked.split(' ')).current_dir(file("..")).env_remove("RUST_LOG");
        let said = explain.output().expect("mesh-tracer runs");
        assert!(said.status.success(), "{said:?}");
        assert_eq!(String::from_utf8_lossy(&said.stdout), answer, "{asked}");
    }
}
