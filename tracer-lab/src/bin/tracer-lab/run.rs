//! `tracer-lab run`: a mesh's recorded calls, and whether each ended as it did when it was recorded.

use std::io::{self, Write};
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use serde::Serialize;
use tracer_lab::{Call, CallResult, PodName};

use crate::stage::{Stage, leave_up};

#[derive(Args)]
pub(crate) struct Run {
    #[command(flatten)]
    stage: Stage,
    /// Milliseconds from the begin of a call to the begin of the next
    #[arg(long, value_name = "MS", default_value_t = 60)]
    interval: u64,
    /// Leave the mesh up afterwards, until Ctrl-C
    #[arg(long)]
    keep: bool,
    /// A JSON object per call instead of a line of words
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    call: &'a Call,
    result: &'a CallResult,
}

impl Run {
    pub(crate) fn run(self) -> Result<bool> {
        let Run { stage, interval, keep, json } = self;
        let mesh = stage.up()?;
        eprintln!("{} pods are up as {}; {} calls follow", mesh.pods().len(), mesh.run(), mesh.calls().len());
        let results = mesh.call_all(mesh.calls(), Duration::from_millis(interval))?;
        let mut others = 0;
        let mut out = io::stdout().lock();
        for (call, result) in mesh.calls().iter().zip(&results) {
            let as_recorded = result.accepted() == call.truth.accepted;
            others += usize::from(!as_recorded);
            if json {
                writeln!(out, "{}", serde_json::to_string(&Line { call, result })?)?;
            } else {
                writeln!(out, "{} {}", if as_recorded { ' ' } else { '!' }, words(call, result))?;
            }
        }
        drop(out);
        if others > 0 {
            eprintln!("{others} calls (marked !) did not end as recorded");
        }
        if keep { leave_up(&mesh) } else { Ok(others == 0) }
    }
}

fn words(call: &Call, result: &CallResult) -> String {
    let Call { id, from, request, truth } = call;
    let from_to = format!("{from} -> {}", request.to);
    let receivers: Vec<_> = result.receivers.iter().map(PodName::to_string).collect();
    let got = if receivers.is_empty() { "nobody".to_owned() } else { receivers.join(", ") };
    let saw = result.to_string();
    format!("{id:<22} {from_to:<48} {saw:<34} got by {got:<16} ({}, {})", truth.class, truth.reason)
}
