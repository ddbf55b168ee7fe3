//! Flows of every node: each daemon is asked by itself, through the API server, and what they say becomes one stream. A
//! node that cannot be reached is named, and the others go on.

use super::super::Failure;
use super::super::socket;
use super::live::{Asked, Live};
use super::merge::Merge;
use super::next::{End, Next, Said};
use crate::source::cluster::fleet::{Fleet as Daemons, FleetError, Member, Session};
use crate::source::cluster::watch::{ConnectError, Target};
use std::collections::{BTreeSet, VecDeque};
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{Interval, MissedTickBehavior};
use tracing::warn;

/// Lines between the nodes and us: each is a kB or two.
const LINES: usize = 1024;
/// A live report waits for one round at least, and for two at most, for that of the other end: a verdict takes so long.
const ROUND: Duration = Duration::from_millis(1500);
/// A node that has not answered after so long is not waited for.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(in crate::command) struct Fleet {
    told: Receiver<(String, Told)>,
    merge: Merge,
    ready: VecDeque<Said>,
    /// Nodes that have not yet told all that they had recorded.
    behind: BTreeSet<String>,
    missing: Vec<String>,
    round: Interval,
    follow: bool,
    caught_up: bool,
    over: bool,
}

/// What one node says.
#[derive(Debug)]
enum Told {
    Line(Box<Said>),
    CaughtUp,
    Over,
    Failed(String),
}

impl Fleet {
    pub(super) async fn open(target: &Target, namespace: &str, asked: Asked) -> Result<Self, Failure> {
        let daemons = Daemons::open(target, namespace.to_owned()).await.map_err(failure)?;
        let members = daemons.members().await.map_err(failure)?;
        // Who asks for nothing that was recorded is told no end of it.
        let behind = members.iter().filter(|_| asked.recorded).map(|member| member.node.clone()).collect();
        let daemons = Arc::new(daemons);
        let (to, told) = channel(LINES);
        for member in members {
            let (daemons, to) = (Arc::clone(&daemons), to.clone());
            tokio::spawn(async move {
                let heard = hear(&daemons, &member, asked, &to).await;
                let last = heard.map_or_else(Told::Failed, |()| Told::Over);
                // Whoever asked may have seen enough.
                let _ = to.send((member.node, last)).await;
            });
        }
        let mut round = tokio::time::interval(ROUND);
        round.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self {
            told,
            merge: Merge::default(),
            ready: VecDeque::new(),
            behind,
            missing: Vec::new(),
            round,
            follow: asked.follow,
            caught_up: false,
            over: false,
        })
    }

    /// Cancel safe.
    pub(super) async fn next(&mut self) -> Result<Next, Failure> {
        loop {
            if let Some((line, said)) = self.ready.pop_front() {
                return Ok(Next::Line(line, said));
            }
            if !self.caught_up && self.behind.is_empty() {
                let Some(said) = self.merge.first() else {
                    self.caught_up = true;
                    return Ok(Next::CaughtUp);
                };
                self.ready.push_back(said);
                continue;
            }
            if self.over {
                let Some((line, said)) = self.merge.first() else { return Ok(Next::End(self.end())) };
                return Ok(Next::Line(line, said));
            }
            tokio::select! {
                told = self.told.recv() => match told {
                    Some((node, told)) => self.take(&node, told),
                    None => self.over = true,
                },
                _ = self.round.tick(), if self.caught_up => self.ready.extend(self.merge.next_round()),
            }
        }
    }

    fn take(&mut self, node: &str, told: Told) {
        match told {
            Told::Line(said) => {
                self.merge.add(*said);
                self.ready.extend(self.merge.excess());
            }
            Told::CaughtUp | Told::Over => drop(self.behind.remove(node)),
            Told::Failed(why) => {
                self.behind.remove(node);
                let missing = format!("node {node} is missing: {why}");
                // Whoever follows may never come to the end.
                if self.follow {
                    warn!("{missing}");
                }
                self.missing.push(missing);
            }
        }
    }

    fn end(&mut self) -> End {
        if self.missing.is_empty() { End::Whole } else { End::Missing(std::mem::take(&mut self.missing)) }
    }
}

/// Hands on all that one daemon says, to its end.
async fn hear(daemons: &Daemons, member: &Member, asked: Asked, to: &Sender<(String, Told)>) -> Result<(), String> {
    let words = |error: &dyn Display| error.to_string();
    let reached = async {
        let Session { to, from, held } = daemons.reach(member).await.map_err(|error| words(&error))?;
        let lines = socket::ask_over(from, to, &asked.request()).await.map_err(|error| words(&error))?;
        Ok::<_, String>((Live::new(lines, asked), held))
    };
    let reached = tokio::time::timeout(PATIENCE, reached).await;
    let silent = |_| format!("its daemon gives no answer within {PATIENCE:?}");
    let (mut live, mut held) = reached.map_err(silent)??;
    let mut behind = asked.recorded;
    loop {
        // What was recorded is there to be told; of what comes nobody knows when.
        let next =
            if behind { tokio::time::timeout(PATIENCE, live.next()).await.map_err(silent)? } else { live.next().await };
        let told = match next.map_err(|failure| words(&failure))? {
            Next::Line(line, said) => Told::Line(Box::new((line, said))),
            Next::CaughtUp => {
                behind = false;
                Told::CaughtUp
            }
            Next::End(End::Whole) => return Ok(()),
            Next::End(end) => {
                let said = held.last_words().await;
                return Err(if said.is_empty() { words(&end) } else { said });
            }
        };
        if to.send((member.node.clone(), told)).await.is_err() {
            return Ok(());
        }
    }
}

fn failure(error: FleetError) -> Failure {
    match error {
        FleetError::Connect(ConnectError::Target(_)) => Failure::input(error),
        _ => Failure::unreached(error),
    }
}
