//! The page: what a daemon tells, or every node's, or a recording, in a browser of this machine. It listens on loopback alone, and its
//! address bears a secret, because other users of the machine can connect to loopback too.

mod assets;
mod guard;
mod relay;
mod respond;

use super::daemons::Daemons;
use super::observe::Source;
use super::{Answer, Failure};
use crate::sink::http::{Listener, protocol};
use anyhow::anyhow;
use guard::Guard;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use respond::Site;
use std::convert::Infallible;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpStream;
use tracing::debug;

#[derive(Debug)]
pub struct Page {
    pub source: Source,
    /// Port 0: any that is free.
    pub listen: SocketAddr,
}

/// Says the address on `out` and serves until `enough`.
pub async fn page(
    what: Page,
    out: &mut (impl Write + ?Sized),
    enough: impl Future<Output = ()>,
) -> Result<Answer, Failure> {
    let Page { source, listen } = what;
    if !listen.ip().is_loopback() {
        return Err(Failure::input(anyhow!(
            "--listen {listen} is not on loopback: whoever reached it could read whose flows fail; from elsewhere use \
             `kubectl port-forward`, or ssh -L, to a page on 127.0.0.1"
        )));
    }
    let daemons = source.daemons().await?;
    // Better to say now that there is no daemon than in a browser.
    if let Some(daemons @ Daemons::Local(_)) = &daemons {
        daemons.statuses().await.into_iter().try_for_each(|status| status.map(drop))?;
    }
    let listener = Listener::bind(listen).await.map_err(Failure::unreached)?;
    let address = listener.address().map_err(Failure::unreached)?;
    let guard = Guard::new().map_err(Failure::unreached)?;
    writeln!(out, "http://{address}/{}/", guard.secret()).and_then(|()| out.flush()).map_err(Failure::output)?;
    let site = Arc::new(Site { source, daemons, guard });
    tokio::select! {
        () = enough => Ok(Answer::Yes),
        never = listener.each(|stream| connection(stream, Arc::clone(&site))) => match never {},
    }
}

/// Without an end of its own: flows stream for as long as somebody looks.
async fn connection(stream: TcpStream, site: Arc<Site>) {
    let service = service_fn(move |request| {
        let site = Arc::clone(&site);
        async move { Ok::<_, Infallible>(site.respond(&request).await) }
    });
    if let Err(error) = protocol().serve_connection(TokioIo::new(stream), service).await {
        debug!("a connection of the page ended: {error}");
    }
}
