//! The daemons that are asked: this machine's, by its socket, or every node's, each through the API server.

use super::Failure;
use super::socket::{self, Lined};
use crate::sink::wire::{Request, Status};
use crate::source::cluster::fleet::{Fleet, FleetError, Held, Member, Session};
use crate::source::cluster::watch::{ConnectError, Target};
use anyhow::{Context, anyhow};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often a node whose daemon is gone is looked at.
const AGAIN: Duration = Duration::from_secs(2);
/// A node that has not answered after so long is not waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

pub(super) enum Daemons {
    Local(PathBuf),
    Nodes(Box<Nodes>),
}

/// A daemon on each node, and the pods that they were when this was opened.
pub(super) struct Nodes {
    fleet: Fleet,
    members: Vec<Member>,
}

impl Daemons {
    pub(super) fn local(socket: &Path) -> Self {
        Self::Local(socket.to_owned())
    }

    pub(super) async fn every(target: &Target, namespace: &str) -> Result<Self, Failure> {
        Nodes::open(target, namespace).await.map(|nodes| Self::Nodes(Box::new(nodes)))
    }

    /// The way of a flow, from the daemon that saw it; the answer's line.
    pub(super) async fn explain(&self, id: &str) -> Result<String, Failure> {
        let request = Request::Explain(id.to_owned());
        match self {
            Self::Local(path) => socket::ask_once(path, &request).await,
            Self::Nodes(nodes) => {
                // Who is there now: a daemon may have been replaced since.
                let members = nodes.fleet.members().await.map_err(failure)?;
                nodes.ask_once(&of_flow(members, id)?, &request).await
            }
        }
    }

    /// The line that each says of itself; or why a node's does not.
    pub(super) async fn statuses(&self) -> Vec<Result<String, Failure>> {
        match self {
            Self::Local(path) => vec![socket::ask_once(path, &Request::Status).await],
            Self::Nodes(nodes) => match nodes.fleet.members().await {
                Ok(members) => {
                    let each = members.iter().map(|member| nodes.ask_once(member, &Request::Status));
                    futures_util::future::join_all(each).await
                }
                Err(error) => vec![Err(failure(error))],
            },
        }
    }
}

impl Nodes {
    /// At least one.
    pub(super) async fn open(target: &Target, namespace: &str) -> Result<Self, Failure> {
        let fleet = Fleet::open(target, namespace.to_owned()).await.map_err(failure)?;
        let members = fleet.members().await.map_err(failure)?;
        Ok(Self { fleet, members })
    }

    pub(super) fn members(&self) -> &[Member] {
        &self.members
    }

    /// The daemon of this node, once there is one that runs.
    pub(super) async fn next_on(&self, node: &str) -> Member {
        loop {
            tokio::time::sleep(AGAIN).await;
            // An API server that does not answer is one more thing to wait for.
            let members = self.fleet.members().await.unwrap_or_default();
            if let Some(member) = members.into_iter().find(|member| member.node == node) {
                return member;
            }
        }
    }

    /// Its answer, which lasts for as long as what is held.
    pub(super) async fn ask(&self, member: &Member, request: &Request) -> Result<(Lined, Held), String> {
        let reached = async {
            let Session { to, from, held } = self.fleet.reach(member).await.map_err(|error| error.to_string())?;
            let lines = socket::ask_over(from, to, request).await.map_err(|error| error.to_string())?;
            Ok((lines, held))
        };
        tokio::time::timeout(PATIENCE, reached).await.map_err(|_| silent())?
    }

    async fn ask_once(&self, member: &Member, request: &Request) -> Result<String, Failure> {
        let (mut lines, mut held) = self.ask(member, request).await.map_err(|why| missing(member, &why))?;
        let next = tokio::time::timeout(PATIENCE, lines.next()).await.map_err(|_| missing(member, &silent()))?;
        // A daemon that refuses is there.
        match next? {
            Some(line) => Ok(line),
            None => match held.last_words().await {
                said if said.is_empty() => Err(missing(member, "its daemon closed without an answer")),
                said => Err(missing(member, &said)),
            },
        }
    }
}

/// A flow's id begins with its node's name, and one name may begin another.
fn of_flow(members: Vec<Member>, id: &str) -> Result<Member, Failure> {
    let of = |member: &Member| id.strip_prefix(&*member.node).is_some_and(|rest| rest.starts_with('-'));
    let member = members.into_iter().filter(of).max_by_key(|member| member.node.len());
    member.ok_or_else(|| {
        Failure::input(anyhow!("flow {id} is of no node that has a daemon now: ids are in `observe -A -o json`"))
    })
}

/// Whoever could be asked is gone: what is left was recorded.
pub(super) fn nobody() -> Failure {
    Failure::input(anyhow!("a recording holds no facts to explain a flow by"))
}

pub(super) fn silent() -> String {
    format!("its daemon gives no answer within {PATIENCE:?}")
}

pub(super) fn read(line: &str) -> Result<Status, Failure> {
    Status::read(line).context("cannot read the daemon's answer").map_err(Failure::unreached)
}

fn missing(Member { node, .. }: &Member, why: &str) -> Failure {
    Failure::unreached(anyhow!("node {node} is missing: {why}"))
}

fn failure(error: FleetError) -> Failure {
    match error {
        FleetError::Connect(ConnectError::Target(_)) => Failure::input(error),
        _ => Failure::unreached(error),
    }
}

impl std::fmt::Debug for Daemons {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Local(path) => f.debug_tuple("Local").field(path).finish(),
            Self::Nodes(nodes) => f.debug_tuple("Nodes").field(&nodes.members).finish(),
        }
    }
}
