//! Wall: every file says what it is for, and none grows past reading.

use super::finding::Finding;
use super::source::Source;

const MOST: usize = 400;
const MEDIAN: usize = 140;
const P90: usize = 250;

/// Names that say where something was put and not what it is.
const NAMELESS: [&str; 8] = ["common", "helper", "helpers", "manager", "misc", "shared", "util", "utils"];

pub(super) fn findings(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources {
        if !source.opens_with_doc {
            findings.push(Finding::new(&source.path, 1, "the file does not open with `//!`: say what the room is for"));
        }
        if source.path.ends_with("mod.rs") {
            findings.push(Finding::new(
                &source.path,
                1,
                "a module is `name.rs` beside its folder `name/`, not `name/mod.rs`",
            ));
        }
        for module in source.modules.iter().filter(|module| NAMELESS.contains(&module.name.as_str())) {
            let rule = format!("`{}` is no name for a module: name what is in it", module.name);
            findings.push(Finding::new(&source.path, module.line, rule));
        }
    }
    findings.extend(sizes(sources));
    findings
}

/// The three figures, for the line that `check` prints.
pub(super) fn summary(sources: &[Source]) -> String {
    let sizes = product_sizes(sources);
    let [median, p90, most] = [50, 90, 100].map(|percent| percentile(&sizes, percent));
    format!("{} files of product code: median {median} lines, p90 {p90}, longest {most}", sizes.len())
}

fn sizes(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let sizes = product_sizes(sources);
    for source in sources.iter().filter(|source| !source.is_test && source.product_lines > MOST) {
        let rule = format!("{} lines of product code, at most {MOST}: split it", source.product_lines);
        findings.push(Finding::new(&source.path, source.product_lines, rule));
    }
    for (name, percent, limit) in [("median", 50, MEDIAN), ("p90", 90, P90)] {
        let found = percentile(&sizes, percent);
        let longer = sources.iter().filter(|source| !source.is_test && source.product_lines >= found);
        if found > limit
            && let Some(file) = longer.min_by_key(|source| source.product_lines)
        {
            let rule =
                format!("the {name} of all files is {found} lines of product code, at most {limit}; this is the one");
            findings.push(Finding::new(&file.path, 1, rule));
        }
    }
    findings
}

fn product_sizes(sources: &[Source]) -> Vec<usize> {
    let product = sources.iter().filter(|source| !source.is_test);
    let mut sizes: Vec<_> = product.map(|source| source.product_lines).collect();
    sizes.sort_unstable();
    sizes
}

fn percentile(sorted: &[usize], percent: usize) -> usize {
    let last = sorted.len().saturating_sub(1);
    sorted.get(last * percent / 100).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn file(path: &str, text: &str) -> Source {
        Source::parse(Path::new(path), text).unwrap()
    }

    fn of_lines(path: &str, lines: usize) -> Source {
        file(path, &format!("//! x\n{}", "const A: u8 = 0;\n".repeat(lines - 1)))
    }

    fn judge(sources: &[Source]) -> Vec<String> {
        findings(sources).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_file_without_a_word_is_named() {
        let broken = judge(&[file("x/src/a.rs", "use b::c;\n")]);
        assert!(broken[0].starts_with("x/src/a.rs:1: the file does not open with `//!`"), "{broken:?}");
    }

    #[test]
    fn a_file_of_401_lines_is_too_long_and_tests_do_not_count() {
        let rest = (0..20).map(|n| of_lines(&format!("x/src/s{n}.rs"), 10));
        let mut files: Vec<_> = rest.collect();
        files.push(of_lines("x/src/a.rs", 400));
        assert_eq!(judge(&files), [""; 0]);
        files.push(of_lines("x/src/b.rs", 401));
        assert_eq!(judge(&files), ["x/src/b.rs:401: 401 lines of product code, at most 400: split it"]);
        files.pop();
        files.push(of_lines("x/tests/b.rs", 401));
        assert_eq!(judge(&files), [""; 0]);
    }

    #[test]
    fn the_median_and_the_tail_are_judged_over_all_files() {
        let long: Vec<_> = (0..3).map(|n| of_lines(&format!("x/src/a{n}.rs"), 141)).collect();
        assert_eq!(judge(&long).len(), 1);
        let mut tail: Vec<_> = (0..8).map(|n| of_lines(&format!("x/src/a{n}.rs"), 10)).collect();
        tail.extend((0..2).map(|n| of_lines(&format!("x/src/b{n}.rs"), 251)));
        assert!(judge(&tail)[0].contains("the p90 of all files is 251"), "{:?}", judge(&tail));
    }

    #[test]
    fn a_module_that_names_nothing_is_named() {
        let broken = judge(&[file("x/src/a.rs", "//! x\nmod utils;")]);
        assert!(broken[0].starts_with("x/src/a.rs:2: `utils` is no name"), "{broken:?}");
        assert_eq!(judge(&[file("x/src/a/mod.rs", "//! x")]).len(), 1);
    }
}
