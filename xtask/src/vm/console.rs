//! The kernel's own words on the first serial port: whether it broke.

/// How the lines begin that a kernel writes when something is broken in it, behind the time.
const BROKEN: [&str; 7] =
    ["Kernel panic", "Oops", "BUG: ", "kernel BUG at", "WARNING: ", "general protection fault", "Out of memory"];

/// Lines shown from the first such one on: registers and a call trace.
const SHOWN: usize = 30;

/// What broke, from the first bad line on; `None` where nothing did.
pub(super) fn broken(console: &str) -> Option<Vec<&str>> {
    let lines: Vec<_> = console.lines().map(str::trim_end).collect();
    let first = lines.iter().position(|line| is_bad(line))?;
    Some(lines[first..].iter().take(SHOWN).copied().collect())
}

fn is_bad(line: &str) -> bool {
    let words = line.split_once("] ").map_or(line, |(_, words)| words);
    BROKEN.iter().any(|begins| words.starts_with(begins))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_oops_is_found_with_its_trace() {
        let console = "[    1.2] Run /init as init process\r\n\
                       [    4.5] BUG: kernel NULL pointer dereference, address: 0000000000000008\r\n\
                       [    4.5] #PF: supervisor read access in kernel mode\r\n\
                       [    4.5] Oops: 0000 [#1] PREEMPT SMP\r\n";
        let broken = broken(console).unwrap();
        assert_eq!(broken.len(), 3);
        assert!(broken[0].ends_with("0000000000000008"), "{broken:?}");
    }

    #[test]
    fn a_panic_without_a_time_is_found_too() {
        assert!(broken("Kernel panic - not syncing: Attempted to kill init!\n").is_some());
    }

    #[test]
    fn everyday_words_are_no_defect() {
        assert_eq!(broken("[    0.1] Spectre V2 : WARNING: Unprivileged eBPF is enabled\n[  0.2] x86/BUG: no\n"), None);
        assert_eq!(broken(""), None);
    }
}
