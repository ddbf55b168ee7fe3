//! What would happen to a call, or what did, step by step, with the remedy. What-if asks the facts alone; of an observed
//! flow the daemon that saw it is asked.

mod batch;
mod flow;
mod picture;
mod question;
mod text;

pub use batch::batch;
pub use flow::flow;
pub use question::Question;
pub(super) use text::apply;

use super::{Answer, Failure};
use crate::sink::wire;
use anyhow::anyhow;
use std::io::{self, Write};
use tracer_engine::explain::explain;
use tracer_engine::mesh::facts::Delta;
use tracer_engine::mesh::index::Index;
use tracer_engine::net::Ktime;
use tracer_engine::remedy::patch;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    Text,
    Json,
}

/// The facts that questions are asked of. Where they come from is the caller's business.
#[derive(Debug)]
pub struct Cluster {
    index: Index,
    /// Objects that could not be read: every answer says that they are left out.
    left_out: Vec<String>,
    /// What to do about a pod that is not there.
    missing: &'static str,
}

/// Facts of a what-if have no history: all of it holds now.
const NOW: Ktime = Ktime(0);

impl Cluster {
    pub fn new(facts: impl IntoIterator<Item = Delta>, left_out: Vec<String>, missing: &'static str) -> Self {
        let mut index = Index::new();
        for delta in facts {
            index.apply(NOW, &delta);
        }
        Self { index, left_out, missing }
    }

    /// Why the question cannot be answered says what to do about it.
    pub fn ask(&mut self, question: &Question) -> Result<wire::Answer, String> {
        let call = question.call()?;
        let explanation = explain(&self.index, &call, NOW).map_err(|unknown| format!("{unknown}: {}", self.missing))?;
        let mut answer = wire::Answer::new(&explanation);
        answer.mend(patch(&mut self.index, &call, &explanation.verdict, NOW).as_ref());
        answer.caveats.extend(self.left_out.iter().map(|object| format!("left out of this answer: {object}")));
        answer.ignored = question.ignored();
        Ok(answer)
    }
}

/// One what-if. `No` where its class is among `fail_on`.
pub fn what_if(
    cluster: &mut Cluster,
    question: &Question,
    format: Format,
    fail_on: &[String],
    out: &mut (impl Write + ?Sized),
) -> Result<Answer, Failure> {
    let answer = cluster.ask(question).map_err(|error| Failure::input(anyhow!(error)))?;
    show(&answer, format, out).and_then(|()| out.flush()).map_err(Failure::output)?;
    Ok(judged(&answer, fail_on))
}

fn show(answer: &wire::Answer, format: Format, out: &mut (impl Write + ?Sized)) -> io::Result<()> {
    match format {
        Format::Json => out.write_all(answer.line().as_bytes()),
        Format::Text => out.write_all(text::page(answer).as_bytes()),
    }
}

fn judged(answer: &wire::Answer, fail_on: &[String]) -> Answer {
    if fail_on.iter().any(|class| *class == answer.class) { Answer::No } else { Answer::Yes }
}
