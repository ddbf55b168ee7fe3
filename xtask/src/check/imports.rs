//! Wall: who may import what. One table, one loop.

use std::path::Path;

use super::finding::Finding;
use super::source::Source;

/// In the files under `within`, except those under `except`, no path begins with one of `banned`.
struct Rule {
    within: &'static str,
    banned: &'static [&'static str],
    except: &'static [&'static str],
    why: &'static str,
}

const RULES: [Rule; 13] = [
    Rule {
        within: "",
        banned: &["kube", "k8s_openapi"],
        except: &["tracer-daemon/src/source/cluster"],
        why: "Kubernetes' types are lowered to facts in source/cluster and known nowhere else",
    },
    Rule {
        within: "",
        banned: &["aya", "aya_log", "aya_obj"],
        except: &["tracer-daemon/src/source/kernel"],
        why: "the kernel is spoken to in source/kernel only",
    },
    Rule {
        within: "",
        banned: &["prometheus_client"],
        except: &["tracer-daemon/src/sink/metrics"],
        why: "metrics are made of records in sink/metrics only",
    },
    Rule {
        within: "tracer-daemon",
        banned: &["serde", "serde_json", "serde_saphyr", "toml"],
        except: &[
            "tracer-daemon/src/cli/file",
            "tracer-daemon/src/config",
            "tracer-daemon/src/sink/live",
            "tracer-daemon/src/sink/wire",
            "tracer-daemon/src/source/cluster",
            "tracer-daemon/src/source/tape",
        ],
        why: "domain types are not a format: text is read and written at the rims (wire, live, tape, cluster, config)",
    },
    Rule {
        within: "tracer-daemon",
        banned: &["tracer_common"],
        except: &["tracer-daemon/src/source/kernel"],
        why: "wire layouts are read in source/kernel only",
    },
    Rule {
        within: "tracer-daemon/src/source",
        banned: &["crate::sink", "crate::app", "crate::command", "crate::cli"],
        except: &[],
        why: "a source knows neither sinks nor who joins it to them: app does that",
    },
    Rule {
        within: "tracer-daemon/src/sink",
        banned: &["crate::source", "crate::app", "crate::command", "crate::cli"],
        except: &[],
        why: "a sink knows neither sources nor who joins it to them: app does that",
    },
    Rule {
        within: "tracer-engine/src/flow",
        banned: &["crate::mesh", "crate::walk", "crate::classify"],
        except: &[],
        why: "flows are what the kernel said; the engine joins them to the mesh",
    },
    Rule {
        within: "tracer-engine/src/mesh",
        banned: &["crate::flow", "crate::walk", "crate::classify"],
        except: &[],
        why: "the mesh is what the configuration says; the engine joins it to flows",
    },
    Rule {
        within: "tracer-engine/src/walk",
        banned: &["crate::flow", "crate::classify"],
        except: &[],
        why: "a walk knows facts only, so that what-if and what-was are one code",
    },
    Rule {
        within: "tracer-engine/src",
        banned: &[
            "std::env",
            "std::fs",
            "std::io",
            "std::process",
            "std::sync::Mutex",
            "std::sync::RwLock",
            "std::sync::atomic",
            "std::sync::mpsc",
            "std::thread",
            "std::time::Instant",
            "std::time::SystemTime",
        ],
        except: &[],
        why: "the engine is a pure fold: no clock, no I/O, no lock",
    },
    Rule {
        within: "tracer-lab",
        banned: &["tracer_daemon", "tracer_engine", "tracer_common"],
        except: &[],
        why: "the lab is the world that mesh-tracer looks at; it must not share its mistakes",
    },
    Rule { within: "tracer-common", banned: &["std", "alloc"], except: &[], why: "the kernel side includes it" },
];

pub(super) fn findings(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources.iter().filter(|source| !source.is_test) {
        for rule in RULES.iter().filter(|rule| rule.covers(&source.path)) {
            for mention in &source.mentions {
                if let Some(banned) = rule.breaks(&source.absolute(mention)) {
                    findings.push(Finding::new(&source.path, mention.line, rule.says(banned)));
                }
            }
        }
        if under(&source.path, "tracer-daemon/src/source/kernel/decode") {
            let rule = "no `unsafe` in decode: it meets bytes that anything may have written";
            findings.extend(source.unsafe_lines.iter().map(|&line| Finding::new(&source.path, line, rule)));
        }
    }
    findings
}

impl Rule {
    fn covers(&self, file: &Path) -> bool {
        under(file, self.within) && !self.except.iter().any(|room| under(file, room))
    }

    fn breaks(&self, path: &[String]) -> Option<&'static str> {
        self.banned.iter().copied().find(|banned| {
            let mut segments = path.iter();
            banned.split("::").all(|wanted| segments.next().is_some_and(|segment| segment == wanted))
        })
    }

    fn says(&self, banned: &str) -> String {
        let Self { within, banned: _, except, why } = self;
        match (except, *within) {
            ([], within) => format!("`{banned}` is not imported in {within}: {why}"),
            (rooms, _) => {
                let crate_src = |room: &'static str| room.split_once("/src/").map_or(room, |(_, inside)| inside);
                let rooms: Vec<_> = rooms.iter().copied().map(crate_src).collect();
                format!("`{banned}` is imported only in {}: {why}", rooms.join(", "))
            }
        }
    }
}

/// Whether `file` is the room itself (`room.rs`) or lies in it (`room/..`).
fn under(file: &Path, room: &str) -> bool {
    file.starts_with(room) || file.with_extension("") == Path::new(room)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(path: &str, text: &str) -> Vec<String> {
        let source = Source::parse(Path::new(path), text).unwrap();
        findings(&[source]).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn kube_stays_in_the_cluster_source() {
        assert_eq!(judge("tracer-daemon/src/source/cluster/watch.rs", "use kube::Api;"), [""; 0]);
        assert_eq!(judge("tracer-daemon/src/source/cluster.rs", "use kube::Api;"), [""; 0]);
        let broken = judge("tracer-daemon/src/app.rs", "//! x\nuse kube::Api;");
        assert!(broken[0].starts_with("tracer-daemon/src/app.rs:2: `kube` is imported only in"), "{broken:?}");
    }

    #[test]
    fn aya_stays_in_the_kernel_source() {
        assert_eq!(judge("tracer-daemon/src/source/kernel/ring.rs", "use aya::maps::RingBuf;"), [""; 0]);
        assert_eq!(judge("tracer-daemon/src/sink/live.rs", "fn f() { aya::x(); }").len(), 1);
        assert_eq!(judge("tracer-lab/src/pod.rs", "use aya::Ebpf;").len(), 1);
    }

    #[test]
    fn prometheus_stays_in_metrics_and_serde_at_the_rims() {
        assert_eq!(judge("tracer-daemon/src/app.rs", "use prometheus_client::registry::Registry;").len(), 1);
        assert_eq!(judge("tracer-daemon/src/app.rs", "use serde::Serialize;").len(), 1);
        assert_eq!(judge("tracer-daemon/src/sink/wire.rs", "use serde::Serialize;"), [""; 0]);
        assert_eq!(judge("tracer-daemon/src/sink/metrics/label.rs", "use prometheus_client::x;"), [""; 0]);
    }

    #[test]
    fn source_and_sink_never_meet() {
        assert_eq!(judge("tracer-daemon/src/source/tape.rs", "use crate::sink::wire::Line;").len(), 1);
        assert_eq!(judge("tracer-daemon/src/sink/journal.rs", "use crate::source::tape;").len(), 1);
        assert_eq!(judge("tracer-daemon/src/sink/journal.rs", "use super::super::source::tape;").len(), 1);
    }

    #[test]
    fn the_rooms_of_the_engine_are_apart() {
        assert_eq!(judge("tracer-engine/src/flow/leg.rs", "use crate::mesh::facts::Pod;").len(), 1);
        assert_eq!(judge("tracer-engine/src/mesh/index.rs", "use crate::flow::Flow;").len(), 1);
        assert_eq!(judge("tracer-engine/src/walk/source.rs", "use crate::flow::Flow;").len(), 1);
        assert_eq!(judge("tracer-engine/src/lib.rs", "use crate::{flow::Flow, mesh::Mesh};"), [""; 0]);
    }

    #[test]
    fn the_engine_reads_no_clock() {
        assert_eq!(judge("tracer-engine/src/flow.rs", "use std::time::{Duration, Instant};").len(), 1);
        assert_eq!(judge("tracer-engine/src/flow.rs", "use std::{time::Duration, sync::Arc};"), [""; 0]);
    }

    #[test]
    fn tests_may_import_what_they_need() {
        assert_eq!(judge("tracer-daemon/tests/lab.rs", "use serde_json::Value;"), [""; 0]);
        let inline = "#[cfg(test)]\nmod tests {\n    use serde_json::Value;\n}";
        assert_eq!(judge("tracer-daemon/src/app.rs", inline), [""; 0]);
    }

    #[test]
    fn decode_has_no_unsafe() {
        assert_eq!(judge("tracer-daemon/src/source/kernel/decode.rs", "fn f() { unsafe { g() } }").len(), 1);
        assert_eq!(judge("tracer-daemon/src/source/kernel/ring.rs", "fn f() { unsafe { g() } }"), [""; 0]);
    }
}
