//! Arguments of `why`.

use super::explain::AnswerFormat;
use super::observe::{FleetArgs, RecordSource};
use super::value::Since;
use crate::command::why::Subject;
use clap::Args;
use tracer_engine::verdict::Class;

#[derive(Debug, Args)]
pub struct WhyArgs {
    /// A pod, a workload or a Service: namespace/name, or a name that only one namespace has
    #[arg(value_name = "POD|WORKLOAD|SERVICE")]
    pub subject: Subject,
    /// From then on: how long ago (15m), or a time (2026-11-23T10:00:00Z)
    #[arg(long, value_name = "TIME", default_value = "15m")]
    pub since: Since,
    /// Only until then
    #[arg(long, value_name = "TIME")]
    pub until: Option<Since>,
    /// Kubelet's probes and metrics scrapes too
    #[arg(long)]
    pub all: bool,
    /// text: for a person; json: one line
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub output: AnswerFormat,
    /// Exit with 1 if a flow is of one of these classes, separated by commas
    #[arg(long, value_name = "CLASS", value_delimiter = ',', value_parser = [Class::Rejected.code(), Class::Undetermined.code()])]
    pub fail_on: Vec<String>,
    #[command(flatten)]
    pub from: RecordSource,
    #[command(flatten)]
    pub fleet: FleetArgs,
}
