//! Arguments of `explain`.

use super::DEFAULT_SOCKET;
use super::kube::KubeArgs;
use clap::builder::PossibleValuesParser;
use clap::{ArgGroup, Args, ValueEnum};
use std::path::PathBuf;
use tracer_engine::verdict::Class;

/// One what-if by flags, many from a file, or one flow that was observed.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("question").args(["flow", "batch", "from"]).required(true))]
pub struct ExplainArgs {
    /// An observed flow, by the id that records bear; the running daemon is asked, with --kube that of the flow's own node
    #[arg(value_name = "FLOW_ID")]
    pub flow: Option<String>,
    /// Who calls: namespace/pod, or an ip
    #[arg(long, value_name = "NAMESPACE/POD|IP", requires = "to", help_heading = "What if")]
    pub from: Option<String>,
    /// What is dialled: ip:port, or [ip6]:port
    #[arg(long, value_name = "IP:PORT", requires = "from", help_heading = "What if")]
    pub to: Option<String>,
    /// What the client sends first; left out: every possibility is answered
    #[arg(long, value_name = "WHAT", requires = "from", help_heading = "What if")]
    pub send: Option<Send>,
    /// Host of the request (:authority with http2)
    #[arg(long, value_name = "HOST", requires = "send", help_heading = "What if")]
    pub host: Option<String>,
    /// Path of the request; / if left out
    #[arg(long, value_name = "PATH", requires = "send", help_heading = "What if")]
    pub path: Option<String>,
    /// Server name in the ClientHello
    #[arg(long, value_name = "NAME", requires = "send", help_heading = "What if")]
    pub sni: Option<String>,
    /// Protocols in the ClientHello, separated by commas
    #[arg(long, value_name = "LIST", value_delimiter = ',', requires = "send", help_heading = "What if")]
    pub alpn: Vec<String>,
    /// Uid that the client runs with, where it may be the proxy's
    #[arg(long, value_name = "UID", requires = "from", help_heading = "What if")]
    pub uid: Option<u32>,
    /// Questions, one a line: {"id":1,"from":"shop/web-0","to":"10.244.1.7:9300","send":"http","host":"10.244.1.7"};
    /// answers come in their order, a bad line has its error in its place
    #[arg(long, value_name = "FILE|-")]
    pub batch: Option<PathBuf>,
    /// What the cluster is: YAML or JSON as kubectl prints it; a file, a directory, or - for stdin; may be repeated
    #[arg(long, value_name = "FILE|DIR|-", conflicts_with = "flow", help_heading = "Facts")]
    pub facts: Vec<PathBuf>,
    #[command(flatten, next_help_heading = "Facts")]
    pub kube: KubeArgs,
    /// Where istiod and its ConfigMaps are
    #[arg(long, value_name = "NAMESPACE", default_value = "istio-system", help_heading = "Facts")]
    pub istio_namespace: String,
    /// Control plane revisions whose ConfigMap counts, separated by commas. Left out: all that --facts has; of an API
    /// server the default one
    #[arg(long, value_name = "LIST", value_delimiter = ',', help_heading = "Facts")]
    pub revisions: Vec<String>,
    /// Where the running daemon listens
    #[arg(long, value_name = "PATH", default_value = DEFAULT_SOCKET, help_heading = "Facts")]
    pub socket: PathBuf,
    /// With FLOW_ID and --kube: where the DaemonSet is
    #[arg(long, value_name = "NAMESPACE", default_value = "mesh-tracer", help_heading = "Facts")]
    pub tracer_namespace: String,
    /// text: for a person, of a batch one line each; json: one answer a line
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub output: AnswerFormat,
    /// Exit with 1 if an answer is of one of these classes, separated by commas
    #[arg(long, value_name = "CLASS", value_delimiter = ',', value_parser = classes())]
    pub fail_on: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Send {
    /// An HTTP/1.1 request
    Http,
    /// HTTP/2 without TLS
    Http2,
    /// TLS of the application
    Tls,
    /// Neither HTTP nor TLS
    Tcp,
    /// Nothing: the server speaks first
    None,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum AnswerFormat {
    Text,
    Json,
}

impl Send {
    /// As a batch spells it.
    pub fn code(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Http2 => "http2",
            Self::Tls => "tls",
            Self::Tcp => "tcp",
            Self::None => "none",
        }
    }
}

fn classes() -> PossibleValuesParser {
    PossibleValuesParser::new(Class::ALL.iter().map(|class| class.code()))
}
