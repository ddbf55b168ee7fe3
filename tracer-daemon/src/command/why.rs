//! From symptom to cause in one step: the flows of one pod, workload or Service that were refused or are in doubt, by
//! cause, each with what to do; and why there may be more than these.

mod backwards;
mod doubt;
mod found;
mod gather;
mod mend;
mod read;
mod subject;
mod text;

pub use subject::Subject;

use super::daemons::{self, Daemons};
use super::observe::Source;
use super::{Answer, Failure};
use crate::sink::wire;
use jiff::Timestamp;
use std::io::Write;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// In so many columns.
    Text(usize),
    Json,
}

#[derive(Debug)]
pub struct Why {
    pub subject: Subject,
    pub source: Source,
    pub since: Timestamp,
    pub until: Timestamp,
    /// Probes and scrapes too.
    pub all: bool,
    pub format: Format,
    /// Classes that make the answer `No`.
    pub fail_on: Vec<String>,
}

/// `No` where a flow is of a class in `fail_on`.
pub async fn why(what: Why, out: &mut (impl Write + ?Sized)) -> Result<Answer, Failure> {
    let answer = answer(&what).await?;
    match what.format {
        Format::Json => out.write_all(answer.line().as_bytes()),
        Format::Text(columns) => out.write_all(text::page(&answer, columns).as_bytes()),
    }
    .and_then(|()| out.flush())
    .map_err(Failure::output)?;
    let failed = answer.troubles.iter().any(|trouble| what.fail_on.iter().any(|class| *class == trouble.class));
    Ok(if failed { Answer::No } else { Answer::Yes })
}

/// What `why` tells, before it is written.
pub async fn answer(what: &Why) -> Result<wire::Why, Failure> {
    let Why { subject, source, since, until, all, format: _, fail_on: _ } = what;
    let span = found::Span { since: *since, until: *until };
    let asked = source.daemons().await?;
    // Before the records: what a daemon has made until then is among them, or it has forgotten it.
    let statuses = match &asked {
        Some(daemons) => statuses(daemons).await?,
        None => Vec::new(),
    };
    let mut subject = subject.clone();
    let mut found = read::read(source, &subject, span).await?;
    if subject.stand_behind(found.gathered.behind()) {
        // A call to a pod's own address says nothing of a Service: only now is it known whose pods they are.
        found = read::read(source, &subject, span).await?;
    }
    let name = subject.settle(found.gathered.namespaces())?;
    let unknown = doubt::doubts(&found, &statuses, &name, source, span);
    let (mut troubles, hidden) = found.gathered.troubles(*all);
    mend::mend(asked.as_ref(), &mut troubles).await;
    Ok(wire::Why {
        version: wire::VERSION.into(),
        subject: name,
        since: *since,
        until: *until,
        nodes: found.gathered.nodes(),
        flows: found.gathered.flows(),
        hidden,
        troubles,
        unknown,
    })
}

/// Of the one that there is, or there is no answer; of every node, or why it gives none.
async fn statuses(daemons: &Daemons) -> Result<Vec<Result<wire::Status, String>>, Failure> {
    let each = daemons.statuses().await.into_iter().map(|line| daemons::read(&line?));
    match daemons {
        Daemons::Local(_) => each.map(|status| status.map(Ok)).collect(),
        Daemons::Nodes(_) => Ok(each.map(|status| status.map_err(|failure| failure.to_string())).collect()),
    }
}
