//! `mesh-tracer explain`: where its facts and questions come from. What the answer is, is the command's business.

use crate::terminal::{asked, stdout};
use anyhow::anyhow;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use tracer_daemon::cli::{AnswerFormat, ExplainArgs, GlobalArgs, Send};
use tracer_daemon::command::explain::{self, Cluster, Format, Question};
use tracer_daemon::command::{Answer, Failure};
use tracer_daemon::source::cluster::{Facts, IstioInstallation, read_facts};
use tracing::warn;

pub(super) fn explain(args: ExplainArgs, global: &GlobalArgs) -> Result<Answer, Failure> {
    let ExplainArgs { flow, from, to, send, host, path, sni, alpn, uid, batch, .. } = args;
    let format = match args.output {
        AnswerFormat::Text => Format::Text,
        AnswerFormat::Json => Format::Json,
    };
    let out = &mut stdout(global);
    if let Some(id) = flow {
        return asked(explain::flow(&args.socket, &id, format, &args.fail_on, out));
    }
    let is_stdin = |path: &PathBuf| path.as_os_str() == "-";
    if batch.as_ref().is_some_and(is_stdin) && args.facts.iter().any(is_stdin) {
        return Err(Failure::input(anyhow!(
            "--facts - and --batch - both read standard input: give one of them a file"
        )));
    }
    let istio = IstioInstallation { namespace: args.istio_namespace, revisions: args.revisions };
    let mut cluster = cluster(&args.facts, &istio)?;
    match batch {
        Some(path) if is_stdin(&path) => explain::batch(&mut cluster, io::stdin().lock(), format, &args.fail_on, out),
        Some(path) => explain::batch(&mut cluster, questions(&path)?, format, &args.fail_on, out),
        None => {
            let question = Question {
                from: from.unwrap_or_default(),
                to: to.unwrap_or_default(),
                send: send.map(Send::code).map(str::to_owned),
                host,
                sni,
                alpn,
                path,
                uid,
                unknown: Vec::new(),
            };
            explain::what_if(&mut cluster, &question, format, &args.fail_on, out)
        }
    }
}

fn cluster(paths: &[PathBuf], istio: &IstioInstallation) -> Result<Cluster, Failure> {
    let Facts { deltas, skipped, report } = read_facts(paths, istio).map_err(Failure::input)?;
    report.log();
    for error in &skipped {
        warn!("facts: {error}");
    }
    Ok(Cluster::new(deltas, skipped.iter().map(ToString::to_string).collect()))
}

fn questions(path: &Path) -> Result<File, Failure> {
    File::open(path).map_err(|error| {
        Failure::input(anyhow!("cannot read the questions {}: {error}; name a file, or - for stdin", path.display()))
    })
}
