//! What keeps the answer from being whole, each with what to do about it: an absence of flows is news only where they
//! would have been seen.

use super::super::observe::Source;
use super::super::status::age;
use super::found::{Found, Span};
use crate::sink::wire::{Doubt, Facts, Hook, Status};
use jiff::Timestamp;

/// `statuses`: of each daemon, or why it gives none; nothing where flows were recorded.
pub(super) fn doubts(
    found: &Found,
    statuses: &[Result<Status, String>],
    subject: &str,
    source: &Source,
    span: Span,
) -> Vec<Doubt> {
    let mut doubts = Vec::new();
    doubts.extend(never_seen(found, subject, source));
    doubts.extend(losses(found));
    for status in statuses {
        let status = match status {
            Ok(status) => status,
            Err(why) => {
                // A node that told no flows either is named already.
                if !found.cut.as_ref().is_some_and(|cut| cut.contains(why)) {
                    doubts.push(doubt("status", why.clone()));
                }
                continue;
            }
        };
        let mut its: Vec<Doubt> = forgotten(found, status, span).into_iter().chain(degraded(status)).collect();
        if let Source::Fleet(..) = source {
            for doubt in &mut its {
                doubt.says = format!("node {}: {}", status.node, doubt.says);
            }
        }
        doubts.extend(its);
    }
    if let Source::Journal(_) | Source::Tape(_) = source {
        doubts.extend(ends(found, source, span));
        doubts.push(doubt(
            "status",
            "a recording does not say whether every hook was on and how old the facts were: of a daemon that runs, \
             `mesh-tracer status` does",
        ));
    }
    doubts
}

fn doubt(code: &'static str, says: impl Into<String>) -> Doubt {
    Doubt { code: code.into(), says: says.into() }
}

fn never_seen(found: &Found, subject: &str, source: &Source) -> Option<Doubt> {
    let here = match source {
        Source::Fleet(..) => "",
        _ => ", or its node is not this one (-A asks every node)",
    };
    (found.gathered.flows() == 0).then(|| {
        doubt(
            "never-seen",
            format!(
                "no pod, workload or Service {subject} called or was called: nothing was dialled, or the name is another \
                 (`mesh-tracer observe` shows those that were seen){here}"
            ),
        )
    })
}

/// Where what a daemon remembers begins after what is asked for.
fn forgotten(found: &Found, status: &Status, Span { since, .. }: Span) -> Option<Doubt> {
    let kept = found.kept.get(&status.node);
    let records = kept.map_or(0, |kept| kept.records);
    let forgotten = records < status.records.made;
    let begins = if forgotten { kept?.oldest } else { status.started };
    if begins <= since {
        return None;
    }
    let text = if forgotten {
        format!(
            "the daemon remembers its last {records} records, and they begin at {}: one that runs with --journal FILE \
             keeps more, for `why --journal FILE`",
            clock(begins)
        )
    } else {
        format!("the daemon was started at {}: what was before is not known", clock(begins))
    };
    Some(doubt("window", text))
}

/// Where a recording begins and ends.
fn ends(found: &Found, source: &Source, Span { since, until }: Span) -> Option<Doubt> {
    let text = match (source, found.oldest, found.newest) {
        (_, _, None) => "nothing is recorded there".to_owned(),
        (_, _, Some(newest)) if newest < since => format!(
            "the recording ends at {}, before the time that is asked for: --since {:.0} shows its end",
            clock(newest),
            newest.checked_sub(jiff::SignedDuration::from_mins(15)).unwrap_or(newest)
        ),
        (_, Some(oldest), _) if !found.covered && oldest > since => {
            format!("the recording begins at {}: what was before is not known", clock(oldest))
        }
        (Source::Tape(_), _, Some(newest)) if newest < until => {
            format!("the tape ends at {}: what came after is not known", clock(newest))
        }
        _ => return None,
    };
    Some(doubt("window", text))
}

fn losses(found: &Found) -> Vec<Doubt> {
    let Found { lost, garbage, foreign, cut, .. } = found;
    let mut doubts = Vec::new();
    if lost.events > 0 {
        let text = "kernel events were lost in that time: flows may be missing or told with doubts";
        doubts.push(doubt("events-lost", format!("{} {text}", lost.events)));
    }
    if lost.records > 0 {
        doubts
            .push(doubt("records-lost", format!("{} records were lost in that time on their way here", lost.records)));
    }
    if garbage + foreign > 0 {
        let text = format!("{garbage} lines are no records, and another version wrote {foreign}: they were skipped");
        doubts.push(doubt("lines-skipped", text));
    }
    doubts.extend(cut.as_ref().map(|cut| doubt("window", cut.clone())));
    doubts
}

/// What the daemon says of itself, as of now.
fn degraded(status: &Status) -> Vec<Doubt> {
    let mut doubts = Vec::new();
    if !status.ready {
        doubts.push(doubt("not-ready", format!("the daemon waits for {}", status.waiting_for.join(", "))));
    }
    for Hook { name, required: _, attached, off_because, missed } in &status.hooks {
        if !attached {
            let why = off_because.as_deref().unwrap_or("the daemon does not say why");
            doubts.push(doubt("hook-off", format!("hook {name} is off: {why}")));
        } else if *missed > 0 {
            doubts
                .push(doubt("hook-off", format!("hook {name} could not run {missed} times since the daemon's start")));
        }
    }
    if status.untracked_sockets > 0 {
        let text = "sockets were not followed since the daemon's start: the kernel's table of them was full";
        doubts.push(doubt("sockets-untracked", format!("{} {text}", status.untracked_sockets)));
    }
    for Facts { kind, objects: _, synced, age_seconds: _, state, why, heard_seconds, malformed } in &status.facts {
        let heard = heard_seconds.map(|seconds| format!(", heard of {} ago", age(seconds))).unwrap_or_default();
        if let Some(why) = why {
            let state = state.as_deref().unwrap_or("failing");
            doubts.push(doubt("facts", format!("{kind}: {state}{heard}: {why}")));
        } else if !synced {
            doubts.push(doubt("facts", format!("{kind}: not all of them are known yet{heard}")));
        }
        if *malformed > 0 {
            doubts.push(doubt("facts", format!("{kind}: {malformed} could not be read and are left out")));
        }
    }
    doubts
}

fn clock(time: Timestamp) -> String {
    format!("{time:.0}")
}
