//! Wall: no import circle between the rooms of a crate.
//!
//! At each floor the modules beside each other are compared; a file and its folder of children are one room, so what
//! passes between them is their own affair. The crate's root is a room beside its modules: who lives upstairs does not
//! import from the doorway.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::finding::Finding;
use super::source::Source;

/// The name of the crate's root among its modules.
const ROOT: &str = "crate root";

/// An import between two rooms of one floor, with one place where it happens.
type Imports = BTreeMap<(String, String), (PathBuf, usize)>;

pub(super) fn findings(sources: &[Source]) -> Vec<Finding> {
    let product = || sources.iter().filter(|source| !source.is_test);
    let crates: BTreeSet<PathBuf> = product().filter_map(Source::crate_src).collect();
    let mut findings = Vec::new();
    for src in crates {
        let files: Vec<_> = product().filter(|source| source.crate_src().as_ref() == Some(&src)).collect();
        for (floor, imports) in floors(&files) {
            findings.extend(circles(&imports).into_iter().map(|circle| describe(&floor, &imports, &circle)));
        }
    }
    findings
}

/// The imports of each floor, by the path of the module that the floor lies in.
fn floors(files: &[&Source]) -> BTreeMap<String, Imports> {
    let modules: BTreeSet<Vec<String>> = files.iter().map(|file| file.module()).collect();
    let mut floors: BTreeMap<String, Imports> = BTreeMap::new();
    for file in files {
        let from = file.module();
        for mention in &file.mentions {
            let path = file.absolute(mention);
            let Some(("crate", path)) = path.split_first().map(|(first, rest)| (first.as_str(), rest)) else {
                continue;
            };
            let to = (0..=path.len()).rev().map(|length| &path[..length]).find(|prefix| modules.contains(*prefix));
            let Some((floor, a, b)) = to.and_then(|to| crossing(&from, to)) else { continue };
            let place = (file.path.clone(), mention.line);
            floors.entry(floor).or_default().entry((a, b)).or_insert(place);
        }
    }
    floors
}

/// The floor where an import passes between two rooms, and those rooms; `None` inside one.
fn crossing(from: &[String], to: &[String]) -> Option<(String, String, String)> {
    let shared = from.iter().zip(to).take_while(|(a, b)| a == b).count();
    let room = |path: &[String]| path.get(shared).cloned();
    match (room(from), room(to)) {
        (Some(a), Some(b)) => Some((from[..shared].join("::"), a, b)),
        (Some(a), None) if shared == 0 => Some((String::new(), a, ROOT.to_owned())),
        (None, Some(b)) if shared == 0 => Some((String::new(), ROOT.to_owned(), b)),
        _ => None,
    }
}

/// Each set of rooms of which everyone reaches everyone, smallest name first.
fn circles(imports: &Imports) -> Vec<Vec<String>> {
    let rooms: BTreeSet<&String> = imports.keys().flat_map(|(a, b)| [a, b]).collect();
    let reach: BTreeMap<&String, BTreeSet<&String>> =
        rooms.iter().map(|room| (*room, reachable(imports, room))).collect();
    let circle = |room: &String| -> Vec<String> {
        let others = rooms.iter().filter(|other| reach[room].contains(*other) && reach[*other].contains(room));
        others.map(|other| (*other).clone()).collect()
    };
    let all: BTreeSet<Vec<String>> = rooms.iter().map(|room| circle(room)).filter(|circle| circle.len() > 1).collect();
    all.into_iter().collect()
}

fn reachable<'i>(imports: &'i Imports, from: &String) -> BTreeSet<&'i String> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from];
    while let Some(room) = open.pop() {
        for (a, b) in imports.keys() {
            if a == room && reached.insert(b) {
                open.push(b);
            }
        }
    }
    reached
}

fn describe(floor: &str, imports: &Imports, circle: &[String]) -> Finding {
    let inside = imports.iter().filter(|((a, b), _)| circle.contains(a) && circle.contains(b));
    let arrows: Vec<_> =
        inside.clone().map(|((a, b), (file, line))| format!("{a} -> {b} at {}:{line}", file.display())).collect();
    let (file, line) = inside.map(|(_, place)| place.clone()).next().unwrap_or_default();
    let floor = if floor.is_empty() { String::new() } else { format!(" in {floor}") };
    Finding::new(&file, line, format!("import circle of {} rooms{floor}: {}", circle.len(), arrows.join(", ")))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn judge(files: &[(&str, &str)]) -> Vec<String> {
        let parse = |(path, text): &(&str, &str)| Source::parse(Path::new(path), text).unwrap();
        let sources: Vec<_> = files.iter().map(parse).collect();
        findings(&sources).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn two_files_that_import_each_other_are_a_circle() {
        let broken = judge(&[("x/src/a.rs", "use crate::b::B;"), ("x/src/b.rs", "\nuse super::a::A;")]);
        assert_eq!(broken, ["x/src/a.rs:1: import circle of 2 rooms: a -> b at x/src/a.rs:1, b -> a at x/src/b.rs:2"]);
    }

    #[test]
    fn a_circle_through_children_and_a_third_is_seen() {
        let broken = judge(&[
            ("x/src/a.rs", ""),
            ("x/src/a/inner.rs", "use crate::b::B;"),
            ("x/src/b.rs", "fn f() { crate::c::g(); }"),
            ("x/src/c.rs", "use crate::a::A;"),
        ]);
        assert_eq!(broken.len(), 1);
        assert!(broken[0].contains("import circle of 3 rooms"), "{broken:?}");
    }

    #[test]
    fn a_circle_among_children_is_seen_on_their_floor() {
        let broken = judge(&[
            ("x/src/a.rs", "mod p; mod q;"),
            ("x/src/a/p.rs", "use super::q::Q;"),
            ("x/src/a/q.rs", "use super::p::P;"),
        ]);
        assert!(broken[0].contains("import circle of 2 rooms in a"), "{broken:?}");
    }

    #[test]
    fn a_file_and_its_children_are_one_room() {
        let files = [("x/src/a.rs", "mod p; use self::p::P;"), ("x/src/a/p.rs", "use super::A;")];
        assert_eq!(judge(&files), [""; 0]);
    }

    #[test]
    fn importing_from_the_root_that_imports_you_is_a_circle() {
        let files = [("x/src/lib.rs", "mod a; use a::A;"), ("x/src/a.rs", "use crate::Engine;")];
        assert!(judge(&files)[0].contains("a -> crate root"), "{:?}", judge(&files));
    }

    #[test]
    fn a_line_is_no_circle_and_neither_is_a_test() {
        let files = [
            ("x/src/a.rs", "use crate::b::B;"),
            ("x/src/b.rs", "#[cfg(test)]\nmod tests { use crate::a::A; }"),
            ("x/tests/t.rs", "use crate::b::B;"),
        ];
        assert_eq!(judge(&files), [""; 0]);
    }
}
