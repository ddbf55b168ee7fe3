//! `mesh-tracer explain`: where its facts and questions come from. What the answer is, is the command's business.

use crate::terminal::{asked, stdout};
use anyhow::anyhow;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tracer_daemon::cli::{AnswerFormat, ExplainArgs, GlobalArgs, Send};
use tracer_daemon::command::explain::{self, Cluster, Format, Question};
use tracer_daemon::command::observe::Source;
use tracer_daemon::command::{Answer, Failure};
use tracer_daemon::config::{self, FactsSource};
use tracer_daemon::source::cluster::watch::{
    ClusterFacts, ConnectError, Connection, Pace, PodScope, ReadError, Target, Watch,
};
use tracer_daemon::source::cluster::{Facts, IstioInstallation, read_facts};
use tracing::warn;

/// A server that tells nothing new for this long is not waited for.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn explain(args: ExplainArgs, global: &GlobalArgs) -> Result<Answer, Failure> {
    let ExplainArgs { flow, from, to, send, host, path, sni, alpn, uid, batch, .. } = args;
    let format = match args.output {
        AnswerFormat::Text => Format::Text,
        AnswerFormat::Json => Format::Json,
    };
    let out = &mut stdout(global);
    if let Some(id) = flow {
        let source = match args.kube.kube {
            Some(_) => Source::Fleet(config::api_server(args.kube), args.tracer_namespace),
            None => Source::Socket(args.socket),
        };
        return asked(explain::flow(&source, &id, format, &args.fail_on, out));
    }
    let is_stdin = |path: &PathBuf| path.as_os_str() == "-";
    if batch.as_ref().is_some_and(is_stdin) && args.facts.iter().any(is_stdin) {
        return Err(Failure::input(anyhow!(
            "--facts - and --batch - both read standard input: give one of them a file"
        )));
    }
    // Before a cluster is read that may take its time.
    let batch = batch.map(|path| if is_stdin(&path) { Ok(None) } else { questions(&path).map(Some) }).transpose()?;
    let istio = IstioInstallation { namespace: args.istio_namespace, revisions: args.revisions };
    let mut cluster = match FactsSource::new(args.facts, args.kube).map_err(Failure::input)? {
        FactsSource::Files(paths) => of_files(&paths, &istio)?,
        FactsSource::Cluster(target) => asked(of_api_server(target, istio))?,
    };
    match batch {
        Some(None) => explain::batch(&mut cluster, io::stdin().lock(), format, &args.fail_on, out),
        Some(Some(file)) => explain::batch(&mut cluster, file, format, &args.fail_on, out),
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

fn of_files(paths: &[PathBuf], istio: &IstioInstallation) -> Result<Cluster, Failure> {
    let Facts { deltas, skipped, report } = read_facts(paths, istio).map_err(Failure::input)?;
    report.log();
    for error in &skipped {
        warn!("facts: {error}");
    }
    let missing = "give its object with --facts (kubectl get pods -A -o yaml), or name one that is there";
    Ok(Cluster::new(deltas, skipped.iter().map(ToString::to_string).collect(), missing))
}

/// What is withheld from us leaves the rest, and every answer says so.
async fn of_api_server(target: Target, istio: IstioInstallation) -> Result<Cluster, Failure> {
    let pace = Pace { silence: PATIENCE, ..Pace::default() };
    let connection = Connection::open(target, pace.clone()).await.map_err(unconnected)?;
    let watch = Watch { istio, pods: PodScope::All, pace, streaming: true };
    let read = watch.read(&connection, PATIENCE).await.map_err(|error| match error {
        ReadError::Connect(error) => unconnected(error),
        stalled @ ReadError::Stalled { .. } => Failure::unreached(stalled),
    });
    let ClusterFacts { deltas, unreadable, withheld } = read?;
    for why in unreadable.values() {
        warn!("facts: {why}");
    }
    let mut left_out: Vec<_> = unreadable.into_values().collect();
    left_out.extend(withheld.into_iter().map(|(watched, why)| format!("every {watched}: {why}")));
    Ok(Cluster::new(deltas, left_out, "name one that the API server has (kubectl get pods -A -o wide)"))
}

fn unconnected(error: ConnectError) -> Failure {
    match error {
        ConnectError::Target(error) => Failure::input(error),
        other => Failure::unreached(other),
    }
}

fn questions(path: &Path) -> Result<File, Failure> {
    File::open(path).map_err(|error| {
        Failure::input(anyhow!("cannot read the questions {}: {error}; name a file, or - for stdin", path.display()))
    })
}
