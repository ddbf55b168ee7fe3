//! One collection, listed and then watched: a state machine that goes on from where it was after every trouble, and lists
//! anew only where the server no longer knows what lies between.

use super::pace::{Pace, jittered};
use super::raw::Raw;
use super::resource::Resource;
use super::trouble::{Trouble, TroubleKind};
use crate::clock;
use futures_util::{AsyncReadExt, Stream, StreamExt};
use kube::Client;
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::core::Request;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::VecDeque;
use std::pin::Pin;
use tracer_engine::net::Ktime;
use tracing::debug;

/// As client-go's: what is in memory at once of a list that does not stream.
const PAGE: u32 = 500;
/// The annotation of the bookmark behind the last object of a streaming list.
const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

pub(super) struct Collection {
    requests: Requests,
    streaming: bool,
    position: Position,
}

/// What is asked of the server.
struct Requests {
    client: Client,
    path: String,
    fields: Option<String>,
    pace: Pace,
}

/// What comes next of it.
pub(super) enum Step {
    /// A list begins: everything that there is follows.
    Begin,
    Object(Raw),
    /// That was everything.
    End,
    Changed(Raw),
    Deleted(Raw),
}

enum Position {
    Start,
    /// Within a streaming list.
    Streaming(Events),
    /// Within a paged one. `version` is there once no page follows.
    Paging {
        page: VecDeque<Raw>,
        rest: Rest,
    },
    /// Everything up to this version is known, and no stream is open.
    Known {
        version: String,
    },
    Watching {
        version: String,
        opened: Ktime,
        events: Events,
    },
}

enum Rest {
    Token(Option<String>),
    Version(String),
}

type Events = Pin<Box<dyn Stream<Item = kube::Result<WatchEvent<Raw>>> + Send>>;

#[derive(Deserialize)]
struct Page<'t> {
    metadata: PageMetadata,
    #[serde(borrow, default)]
    items: Option<Vec<&'t RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageMetadata {
    #[serde(default)]
    resource_version: String,
    #[serde(default)]
    r#continue: String,
}

impl Collection {
    pub(super) fn new(client: Client, resource: &Resource, version: &str, pace: Pace, streaming: bool) -> Self {
        let (path, fields) = (resource.path(version), resource.fields());
        Self { requests: Requests { client, path, fields, pace }, streaming, position: Position::Start }
    }

    /// After a trouble this goes on; how soon is the caller's business.
    pub(super) async fn next(&mut self) -> Result<Step, Trouble> {
        loop {
            if let Some(step) = self.advance().await? {
                return Ok(step);
            }
        }
    }

    async fn advance(&mut self) -> Result<Option<Step>, Trouble> {
        match std::mem::replace(&mut self.position, Position::Start) {
            Position::Start if self.streaming => self.open_streaming().await,
            Position::Start => {
                self.position = Position::Paging { page: VecDeque::new(), rest: Rest::Token(None) };
                Ok(Some(Step::Begin))
            }
            Position::Streaming(events) => self.stream(events).await,
            Position::Paging { page, rest } => self.page(page, rest).await,
            Position::Known { version } => self.open_watch(version).await.map(|()| None),
            Position::Watching { version, opened, events } => self.watch(version, opened, events).await,
        }
    }

    async fn open_streaming(&mut self) -> Result<Option<Step>, Trouble> {
        // No version: as of now. "0" would let a server that lags behind tell us what is no longer so.
        match self.requests.events("", true).await {
            Ok(events) => {
                self.position = Position::Streaming(events);
                Ok(Some(Step::Begin))
            }
            Err(Trouble { kind: TroubleKind::Refused, why }) => {
                debug!("{} is listed in pages: {why}", self.requests.path);
                self.streaming = false;
                Ok(None)
            }
            Err(trouble) => Err(trouble),
        }
    }

    async fn stream(&mut self, mut events: Events) -> Result<Option<Step>, Trouble> {
        let silent =
            || Trouble::new(TroubleKind::Unreachable, format!("silent for {:?} in a list", self.requests.pace.silence));
        let event = tokio::time::timeout(self.requests.pace.silence, events.next()).await.map_err(|_| silent())?;
        let ended = || Trouble::new(TroubleKind::Broken, "the stream ended within the list");
        let step = match event.ok_or_else(ended)?? {
            WatchEvent::Added(raw) | WatchEvent::Modified(raw) => Step::Object(raw),
            WatchEvent::Deleted(raw) => Step::Deleted(raw),
            WatchEvent::Bookmark(mark) => {
                let version = mark.metadata.resource_version;
                if !mark.metadata.annotations.contains_key(INITIAL_EVENTS_END) {
                    self.position = Position::Streaming(events);
                    return Ok(None);
                }
                self.position = Position::Watching { version, opened: clock::ktime(), events };
                return Ok(Some(Step::End));
            }
            WatchEvent::Error(status) => return Err(Trouble::of_status(&status)),
        };
        self.position = Position::Streaming(events);
        Ok(Some(step))
    }

    async fn page(&mut self, mut page: VecDeque<Raw>, rest: Rest) -> Result<Option<Step>, Trouble> {
        if let Some(raw) = page.pop_front() {
            self.position = Position::Paging { page, rest };
            return Ok(Some(Step::Object(raw)));
        }
        let token = match rest {
            Rest::Token(token) => token,
            Rest::Version(version) => {
                self.position = Position::Known { version };
                return Ok(Some(Step::End));
            }
        };
        let text = self.requests.page(token).await?;
        let Page { metadata, items } = serde_json::from_str(&text).map_err(kube::Error::SerdeError)?;
        let page = items.into_iter().flatten().map(|item| Raw::new(item.to_owned())).collect();
        let PageMetadata { resource_version, r#continue: token } = metadata;
        let rest = if token.is_empty() { Rest::Version(resource_version) } else { Rest::Token(Some(token)) };
        self.position = Position::Paging { page, rest };
        Ok(None)
    }

    async fn open_watch(&mut self, version: String) -> Result<(), Trouble> {
        match self.requests.events(&version, false).await {
            Ok(events) => {
                self.position = Position::Watching { version, opened: clock::ktime(), events };
                Ok(())
            }
            // Nothing to go on from: `position` is at the start.
            Err(trouble) if trouble.kind == TroubleKind::Gone => Ok(()),
            Err(trouble) => {
                self.position = Position::Known { version };
                Err(trouble)
            }
        }
    }

    async fn watch(&mut self, version: String, opened: Ktime, mut events: Events) -> Result<Option<Step>, Trouble> {
        // Twice, as the time that is asked for is up to twice as long.
        let longest = 2 * self.requests.pace.watch + self.requests.pace.silence;
        let event = match tokio::time::timeout(longest, events.next()).await {
            Ok(Some(Ok(event))) => event,
            Ok(None) if clock::ktime().since(opened) > self.requests.pace.shortest => {
                self.position = Position::Known { version };
                return Ok(None);
            }
            ended => {
                self.position = Position::Known { version };
                let silent = |_| Trouble::new(TroubleKind::Unreachable, format!("silent for {longest:?} in a watch"));
                let at_once = || Trouble::new(TroubleKind::Broken, "the watch was closed at once");
                return Err(match ended.map_err(silent)?.ok_or_else(at_once)? {
                    Err(error) => Trouble::from(error),
                    Ok(_) => at_once(),
                });
            }
        };
        let (version, step) = match event {
            WatchEvent::Added(raw) | WatchEvent::Modified(raw) => (raw.version.clone(), Some(Step::Changed(raw))),
            WatchEvent::Deleted(raw) => (raw.version.clone(), Some(Step::Deleted(raw))),
            WatchEvent::Bookmark(mark) => (mark.metadata.resource_version, None),
            WatchEvent::Error(status) if status.code == 410 => return Ok(None),
            WatchEvent::Error(status) => {
                self.position = Position::Known { version };
                return Err(Trouble::of_status(&status));
            }
        };
        self.position = Position::Watching { version, opened, events };
        Ok(step)
    }
}

impl Requests {
    async fn page(&self, token: Option<String>) -> Result<String, Trouble> {
        let Self { client, path, fields, pace } = self;
        let mut list = ListParams::default().limit(PAGE);
        list.field_selector.clone_from(fields);
        list.continue_token = token;
        let request = Request::new(path).list(&list).map_err(kube::Error::BuildRequest)?;
        let silent = |_| Trouble::new(TroubleKind::Unreachable, format!("silent for {:?} in a list", pace.silence));
        // Not `request_text`: a slow answer is one all the same, as long as it goes on.
        let mut answer = Box::pin(client.request_stream(request).await?);
        let (mut text, mut buffer) = (Vec::new(), vec![0; 64 << 10]);
        loop {
            let read = tokio::time::timeout(pace.silence, answer.read(&mut buffer)).await.map_err(silent)?;
            match read.map_err(kube::Error::ReadEvents)? {
                0 => return Ok(String::from_utf8(text).map_err(kube::Error::FromUtf8)?),
                count => text.extend_from_slice(&buffer[..count]),
            }
        }
    }

    async fn events(&self, version: &str, initial: bool) -> Result<Events, Trouble> {
        let Self { client, path, fields, pace } = self;
        let seconds = jittered(pace.watch).as_secs().try_into().unwrap_or(u32::MAX);
        let mut watch = WatchParams::default().timeout(seconds);
        watch.field_selector.clone_from(fields);
        watch.send_initial_events = initial;
        let request = Request::new(path).watch(&watch, version).map_err(kube::Error::BuildRequest)?;
        Ok(Box::pin(client.request_events::<Raw>(request).await?))
    }
}
