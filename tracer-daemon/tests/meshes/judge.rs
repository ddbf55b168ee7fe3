//! Holds a record against the recorded truth of its call.

use crate::stage::Scene;
use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use tracer_daemon::sink::wire::Record;
use tracer_lab::Truth;

pub(crate) struct Score {
    title: String,
    right: usize,
    doubtful: usize,
    judged: BTreeSet<String>,
    unseen: usize,
    wrong: Vec<String>,
}

impl Score {
    pub(crate) fn new(mesh: &str, perspective: &str) -> Self {
        let title = format!("{mesh}, {perspective}");
        Self { title, right: 0, doubtful: 0, judged: BTreeSet::new(), unseen: 0, wrong: Vec::new() }
    }

    /// Exactly, unless the call is one of those of which the ends do not see all.
    pub(crate) fn judge(&mut self, scene: &Scene, record: Option<&Record>, hidden: &[&str]) {
        match record {
            Some(record) if hidden.contains(&scene.call.id.as_str()) => self.never_wrong(scene, record),
            _ => self.exact(scene, record),
        }
    }

    /// Class, reason, cause and security are the truth's.
    fn exact(&mut self, scene: &Scene, record: Option<&Record>) {
        self.judged.insert(scene.call.id.clone());
        let Some(record) = record else { return self.reject(scene, "no record", None) };
        let Truth { class, reason, causes, security, accepted: _ } = &scene.call.truth;
        if record.class != *class || record.reason.as_deref() != Some(reason) {
            self.reject(scene, "another verdict", Some(record));
        } else if !causes.is_empty() && !causes.iter().any(|cause| record.cause.as_deref() == Some(cause)) {
            self.reject(scene, "another cause", Some(record));
        } else if security.as_ref().is_some_and(|security| record.security != *security) {
            self.reject(scene, "another security", Some(record));
        } else {
            self.right += 1;
        }
    }

    /// The truth is the verdict, or among the candidates.
    pub(crate) fn never_wrong(&mut self, scene: &Scene, record: &Record) {
        self.judged.insert(scene.call.id.clone());
        let Truth { class, reason, .. } = &scene.call.truth;
        if record.class == *class && record.reason.as_deref() == Some(reason) {
            self.right += 1;
        } else if record.class == "undetermined"
            && record.candidates.iter().any(|open| open.class == *class && open.reason == *reason)
        {
            self.doubtful += 1;
        } else {
            self.reject(scene, "a wrong verdict", Some(record));
        }
    }

    /// Calls of which this end saw nothing: refused before, or carried by a pooled connection.
    pub(crate) fn count_unseen(&mut self, scenes: &[Scene]) {
        self.unseen = scenes.iter().filter(|scene| !self.judged.contains(&scene.call.id)).count();
    }

    pub(crate) fn into_wrong(self) -> Vec<String> {
        let Self { title, wrong, .. } = self;
        wrong.into_iter().map(|line| format!("[{title}] {line}")).collect()
    }

    fn reject(&mut self, scene: &Scene, what: &str, record: Option<&Record>) {
        let said = record.map_or_else(String::new, |record| {
            format!("\n  record {}", serde_json::to_string(record).expect("a record is JSON"))
        });
        let Scene { call, result } = scene;
        self.wrong
            .push(format!("{}: {what}\n  truth {:?}\n  the application saw: {result}{said}", call.id, call.truth));
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { title, right, doubtful, judged: _, unseen, wrong } = self;
        write!(f, "{title}: {right} right, {doubtful} undetermined with the truth among the candidates, ")?;
        write!(f, "{unseen} calls without a record, {} wrong", wrong.len())
    }
}

/// The client's end of the connection that a record is about.
pub(crate) fn client(record: &Record) -> SocketAddr {
    SocketAddr::new(record.client.ip, record.client.port)
}
