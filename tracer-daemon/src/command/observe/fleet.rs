//! Flows of every node: each daemon is asked by itself, through the API server, and what they say becomes one stream. A
//! node that cannot be reached is named, and the others go on.

use super::super::Failure;
use super::super::daemons::{Nodes, PATIENCE, silent};
use super::live::{Asked, Live};
use super::merge::Merge;
use super::next::{End, Next, Said};
use crate::sink::wire::Line;
use crate::source::cluster::fleet::Member;
use crate::source::cluster::watch::Target;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{Interval, MissedTickBehavior};
use tracer_engine::net::Name;
use tracing::{info, warn};

/// Lines between the nodes and us: each is a kB or two.
const LINES: usize = 1024;
/// A live report waits for one round at least, and for two at most, for that of the other end: a verdict takes so long.
const ROUND: Duration = Duration::from_millis(1500);

#[derive(Debug)]
pub(in crate::command) struct Fleet {
    told: Receiver<(String, Told)>,
    merge: Merge,
    ready: VecDeque<Said>,
    /// Nodes that have not yet told all that they had recorded.
    behind: BTreeSet<String>,
    missing: Vec<String>,
    kept: BTreeMap<Name, Kept>,
    round: Interval,
    follow: bool,
    caught_up: bool,
    over: bool,
}

/// What a daemon remembers, of all that it has seen.
#[derive(Clone, Copy, Debug)]
pub(in crate::command) struct Kept {
    pub(in crate::command) records: u64,
    pub(in crate::command) oldest: Timestamp,
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
        let nodes = Nodes::open(target, namespace).await?;
        let members = nodes.members().to_vec();
        // Who asks for nothing that was recorded is told no end of it.
        let behind = members.iter().filter(|_| asked.recorded).map(|member| member.node.clone()).collect();
        let nodes = Arc::new(nodes);
        let (to, told) = channel(LINES);
        for member in members {
            let (nodes, to) = (Arc::clone(&nodes), to.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = hear_on(&nodes, member, asked, &to) => {}
                    // Whoever asked has seen enough.
                    () = to.closed() => {}
                }
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
            kept: BTreeMap::new(),
            round,
            follow: asked.follow,
            caught_up: false,
            over: false,
        })
    }

    /// By node, of both reports of a connection too: one of them is left out of what is told.
    pub(super) fn kept(&self) -> &BTreeMap<Name, Kept> {
        &self.kept
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
                if let Ok(Line::Record(record)) = &said.1 {
                    Kept::one(&mut self.kept, &record.node, record.time);
                }
                self.merge.add(*said);
                self.ready.extend(self.merge.excess());
            }
            Told::CaughtUp | Told::Over => drop(self.behind.remove(node)),
            Told::Failed(why) => {
                self.behind.remove(node);
                let missing = format!("node {node} is missing: {why}");
                // Whoever follows never comes to the end.
                if self.follow {
                    warn!("{missing}");
                } else {
                    self.missing.push(missing);
                }
            }
        }
    }

    fn end(&mut self) -> End {
        if self.missing.is_empty() { End::Whole } else { End::Missing(std::mem::take(&mut self.missing)) }
    }
}

impl Kept {
    pub(in crate::command) fn one(all: &mut BTreeMap<Name, Self>, node: &Name, time: Timestamp) {
        if let Some(kept) = all.get_mut(node) {
            kept.records += 1;
            kept.oldest = kept.oldest.min(time);
        } else {
            all.insert(Name::clone(node), Self { records: 1, oldest: time });
        }
    }
}

/// One node to the end of what it has to say; where it is followed, on through restarts of its daemon.
async fn hear_on(nodes: &Nodes, mut member: Member, mut asked: Asked, to: &Sender<(String, Told)>) {
    loop {
        let heard = hear(nodes, &member, asked, to).await;
        let last = heard.map_or_else(Told::Failed, |()| Told::Over);
        if to.send((member.node.clone(), last)).await.is_err() || !asked.follow {
            return;
        }
        let next = nodes.next_on(&member.node).await;
        // What the daemon of another pod has recorded was never told; the same one would tell it twice.
        asked.recorded = next.pod != member.pod;
        member = next;
        info!("node {}: {} is followed now", member.node, member.pod);
    }
}

/// Hands on all that one daemon says, to its end.
async fn hear(nodes: &Nodes, member: &Member, asked: Asked, to: &Sender<(String, Told)>) -> Result<(), String> {
    let words = |error: &dyn Display| error.to_string();
    let (lines, mut held) = nodes.ask(member, &asked.request()).await?;
    let mut live = Live::new(lines, asked);
    let mut behind = asked.recorded;
    loop {
        // What was recorded is there to be told; of what comes nobody knows when.
        let next = if behind {
            tokio::time::timeout(PATIENCE, live.next()).await.map_err(|_| silent())?
        } else {
            live.next().await
        };
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
