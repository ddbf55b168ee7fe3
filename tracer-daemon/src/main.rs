//! `mesh-tracer`: reads the command line, starts logs, runs the command, and turns its end into an exit status.

mod explain;
mod logs;
mod run;
mod terminal;

use anyhow::anyhow;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};
use std::process::ExitCode;
use terminal::{asked, columns, stdout};
use tracer_daemon::cli::{
    self, AnswerFormat, CheckArgs, Cli, Command, FleetArgs, GlobalArgs, ObserveArgs, PageArgs, RbacArgs, RecordSource,
    ReplayArgs, StatusFormat, UsageError, WhyArgs,
};
use tracer_daemon::clock;
use tracer_daemon::command::observe::{self, End, Filters, Observe, Source};
use tracer_daemon::command::{Answer, Failure, check, page, relay, replay, status, why};
use tracer_daemon::source::cluster::IstioInstallation;
use tracer_daemon::source::cluster::watch::Rbac;
use tracer_daemon::{config, process};

fn main() -> ExitCode {
    let Cli { global, command } = match Cli::from_env() {
        Ok(cli) => cli,
        Err(UsageError::Clap(said)) => return usage(&said),
        Err(UsageError::File(error)) => return complain(&error, 2),
    };
    if let Err(error) = logs::start(&global.log) {
        return complain(&format_args!("{error:#}"), 2);
    }
    let ended = match command {
        Command::Run(args) => run::run(*args).map(|()| Answer::Yes),
        Command::Observe(args) => observe(*args, &global),
        Command::Why(args) => why(*args, &global),
        Command::Explain(args) => explain::explain(*args, &global),
        Command::Replay(args) => replay(&args, &global),
        Command::Check(args) => {
            let CheckArgs { cgroup, node_name, facts } = args;
            let asked_for = check::Asked { cgroup2: cgroup, node: node_name.unwrap_or_else(process::host_name), facts };
            asked(async { check::check(&asked_for, &mut stdout(&global)) })
        }
        Command::Status(args) => {
            let format = match args.output {
                StatusFormat::Text => status::Format::Text,
                StatusFormat::Json => status::Format::Json,
            };
            asked(status::status(&args.socket, format, &mut stdout(&global)))
        }
        Command::Relay { socket } => {
            let stdin = BufReader::new(io::stdin());
            relay::relay(&socket, stdin, &mut io::stdout().lock()).map(|()| Answer::Yes)
        }
        Command::Page(PageArgs { listen, from, fleet }) => {
            let what = page::Page { source: source(from, fleet), listen };
            asked(page::page(what, &mut stdout(&global), interrupted()))
        }
        Command::Rbac(args) => rbac(args),
        Command::Completions { shell } => completions(shell),
    };
    match ended {
        Ok(Answer::Yes) | Err(Failure::ClosedPipe) => ExitCode::SUCCESS,
        Ok(Answer::No) => ExitCode::from(1),
        Err(failure @ Failure::Input(_)) => complain(&failure, 2),
        Err(failure @ Failure::Unreached(_)) => complain(&failure, 3),
    }
}

fn observe(args: ObserveArgs, global: &GlobalArgs) -> Result<Answer, Failure> {
    let now = clock::wall();
    let ObserveArgs { follow, last, since, until, all, output, from, fleet, filters, .. } = args;
    let what = Observe {
        source: source(from, fleet),
        follow,
        last,
        since: since.map(|since| since.resolve(now)),
        until: until.map(|until| until.resolve(now)),
        all,
        filters: Filters(filters),
        format: match output {
            cli::Format::Compact => observe::Format::Compact(columns()),
            cli::Format::Wide => observe::Format::Wide,
            cli::Format::Json => observe::Format::Json,
        },
    };
    let summary = asked(observe::observe(what, &mut stdout(global), interrupted()))?;
    // A closed stderr takes away the summary, not the answer.
    let _ = writeln!(io::stderr(), "{summary}");
    match &summary.end {
        End::Whole => Ok(Answer::Yes),
        End::Dropped => Err(Failure::unreached(anyhow!("{}", summary.end))),
        End::Missing(_) => {
            let _ = writeln!(io::stderr(), "mesh-tracer: {}", summary.end);
            Ok(Answer::No)
        }
        End::Damaged(_) => Err(Failure::input(anyhow!("{}", summary.end))),
        End::Cut(cut) => {
            let _ = writeln!(io::stderr(), "mesh-tracer: {cut}");
            Ok(Answer::No)
        }
    }
}

fn source(from: RecordSource, fleet: FleetArgs) -> Source {
    let FleetArgs { all_nodes, tracer_namespace, kube } = fleet;
    let RecordSource { socket, journal, tape } = from;
    if all_nodes {
        return Source::Fleet(config::api_server(kube), tracer_namespace);
    }
    journal.map(Source::Journal).or(tape.map(Source::Tape)).unwrap_or(Source::Socket(socket))
}

fn why(args: WhyArgs, global: &GlobalArgs) -> Result<Answer, Failure> {
    let now = clock::wall();
    let WhyArgs { subject, since, until, all, output, fail_on, from, fleet } = args;
    let format = match output {
        AnswerFormat::Text => why::Format::Text(columns()),
        AnswerFormat::Json => why::Format::Json,
    };
    let (since, until) = (since.resolve(now), until.map_or(now, |until| until.resolve(now)));
    let what = why::Why { subject, source: source(from, fleet), since, until, all, format, fail_on };
    asked(why::why(what, &mut stdout(global)))
}

fn replay(args: &ReplayArgs, global: &GlobalArgs) -> Result<Answer, Failure> {
    let out = &mut BufWriter::new(stdout(global));
    let (answer, summary) = if args.tape.as_os_str() == "-" {
        replay::replay(io::stdin().lock(), out)?
    } else {
        let path = args.tape.display();
        let tape = File::open(&args.tape).map_err(|error| {
            Failure::input(anyhow!("cannot read the tape {path}: {error}; name one that `run --tape FILE` writes"))
        })?;
        replay::replay(BufReader::new(tape), out)?
    };
    let _ = writeln!(io::stderr(), "{summary}");
    Ok(answer)
}

fn rbac(args: RbacArgs) -> Result<Answer, Failure> {
    let RbacArgs { namespace, istio_namespace, revisions, events } = args;
    let istio = IstioInstallation { namespace: istio_namespace, revisions };
    let mut stdout = io::stdout().lock();
    let manifest = Rbac { namespace, istio, events }.manifest();
    stdout.write_all(manifest.as_bytes()).and_then(|()| stdout.flush()).map_err(Failure::output)?;
    Ok(Answer::Yes)
}

fn completions(shell: clap_complete::Shell) -> Result<Answer, Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(&Cli::completions(shell)).and_then(|()| stdout.flush()).map_err(Failure::output)?;
    Ok(Answer::Yes)
}

async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// `--help` and `--version` too: clap knows what goes where. A closed pipe is no news.
fn usage(said: &clap::Error) -> ExitCode {
    let _ = said.print();
    ExitCode::from(u8::try_from(said.exit_code()).unwrap_or(2))
}

fn complain(error: &impl Display, status: u8) -> ExitCode {
    // With stderr closed there is nobody to tell; the status still says it.
    let _ = writeln!(io::stderr(), "mesh-tracer: {error}");
    ExitCode::from(status)
}
