//! The filters of `observe`. `--not` negates the filter that comes after it, so their order on the command line is
//! part of what is said, and a struct cannot hold it.

use super::usage;
use crate::command::observe::{Filter, PodName, Test, WorkloadName};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{ArgAction, ArgMatches, Args};
use ipnet::IpNet;
use std::any::Any;
use std::net::IpAddr;
use tracer_engine::verdict::{Cause, Class, Reason};

/// clap reads and documents them; `read` takes them from the matches, in order.
#[derive(Debug, Args)]
#[command(next_help_heading = "Filters (the same one twice: or; different ones: and)")]
pub(super) struct FilterArgs {
    /// Negates the filter after it
    #[arg(long, action = ArgAction::Append, num_args = 0, default_missing_value = "true", value_parser = clap::value_parser!(bool))]
    not: Vec<bool>,
    /// Client or server is in this namespace
    #[arg(short, long, value_name = "NAMESPACE", action = ArgAction::Append)]
    namespace: Vec<String>,
    /// Client or server is this pod
    #[arg(long, value_name = "NAMESPACE/POD", action = ArgAction::Append)]
    pod: Vec<PodName>,
    /// The client is this pod
    #[arg(long, value_name = "NAMESPACE/POD", action = ArgAction::Append)]
    from_pod: Vec<PodName>,
    /// The server is this pod
    #[arg(long, value_name = "NAMESPACE/POD", action = ArgAction::Append)]
    to_pod: Vec<PodName>,
    /// Client or server has this address, or one in this range
    #[arg(long, value_name = "IP|CIDR", action = ArgAction::Append, value_parser = range)]
    ip: Vec<IpNet>,
    /// The client has this address, or one in this range
    #[arg(long, value_name = "IP|CIDR", action = ArgAction::Append, value_parser = range)]
    from_ip: Vec<IpNet>,
    /// The server has this address, or one in this range
    #[arg(long, value_name = "IP|CIDR", action = ArgAction::Append, value_parser = range)]
    to_ip: Vec<IpNet>,
    /// The port that was dialled
    #[arg(long, value_name = "PORT", action = ArgAction::Append)]
    port: Vec<u16>,
    /// Client or server belongs to this workload
    #[arg(long, value_name = "[NAMESPACE/]NAME", action = ArgAction::Append)]
    workload: Vec<WorkloadName>,
    /// How it was routed, and whether it got through
    #[arg(long, value_name = "CLASS", action = ArgAction::Append, value_parser = codes(Class::ALL, Class::code))]
    class: Vec<String>,
    /// Where its way ended
    #[arg(long, value_name = "REASON", action = ArgAction::Append, hide_possible_values = true, value_parser = codes(Reason::ALL, Reason::code))]
    reason: Vec<String>,
    /// Why no mesh route carried it
    #[arg(long, value_name = "CAUSE", action = ArgAction::Append, hide_possible_values = true, value_parser = codes(Cause::ALL, Cause::code))]
    cause: Vec<String>,
    /// Which end's node told it
    #[arg(long, value_name = "END", action = ArgAction::Append, value_parser = ["source", "destination"])]
    reporter: Vec<String>,
    /// Short for --class rejected
    #[arg(long, action = ArgAction::Append, num_args = 0, default_missing_value = "true", value_parser = clap::value_parser!(bool))]
    rejected: Vec<bool>,
}

pub(super) fn read(matches: &ArgMatches) -> Result<Vec<Filter>, clap::Error> {
    let mut said: Vec<(usize, Option<Test>)> = Vec::new();
    said.extend(matches.indices_of("not").into_iter().flatten().map(|index| (index, None)));
    let mut take = |tests: Vec<(usize, Test)>| said.extend(tests.into_iter().map(|(index, test)| (index, Some(test))));
    take(values(matches, "namespace", Test::Namespace));
    take(values(matches, "pod", Test::Pod));
    take(values(matches, "from_pod", Test::FromPod));
    take(values(matches, "to_pod", Test::ToPod));
    take(values(matches, "ip", Test::Ip));
    take(values(matches, "from_ip", Test::FromIp));
    take(values(matches, "to_ip", Test::ToIp));
    take(values(matches, "port", Test::Port));
    take(values(matches, "workload", Test::Workload));
    take(values(matches, "class", Test::Class));
    take(values(matches, "reason", Test::Reason));
    take(values(matches, "cause", Test::Cause));
    take(values(matches, "reporter", Test::Reporter));
    take(values(matches, "rejected", |_: bool| Test::Class(Class::Rejected.code().to_owned())));
    said.sort_by_key(|(index, _)| *index);

    let mut filters = Vec::new();
    let mut negated = false;
    for (_, test) in said {
        match test {
            None if negated => {
                return Err(usage(ErrorKind::ArgumentConflict, "--not is given twice before one filter"));
            }
            None => negated = true,
            Some(test) => filters.push(Filter { negated: std::mem::take(&mut negated), test }),
        }
    }
    if negated {
        let message = "--not needs a filter after it, as in --not --class unmeshed";
        return Err(usage(ErrorKind::MissingRequiredArgument, message));
    }
    Ok(filters)
}

fn values<T: Any + Clone + Send + Sync>(
    matches: &ArgMatches,
    id: &str,
    test: impl Fn(T) -> Test,
) -> Vec<(usize, Test)> {
    let indices = matches.indices_of(id).into_iter().flatten();
    let values = matches.get_many::<T>(id).into_iter().flatten();
    indices.zip(values.map(|value| test(value.clone()))).collect()
}

fn codes<T: Copy>(all: &[T], code: impl Fn(T) -> &'static str) -> impl TypedValueParser<Value = String> {
    PossibleValuesParser::new(all.iter().map(|value| code(*value)))
}

fn range(text: &str) -> Result<IpNet, String> {
    let range = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    range.map_err(|_| "expected an address such as 10.244.1.7, or a range such as 10.244.0.0/16".to_owned())
}
