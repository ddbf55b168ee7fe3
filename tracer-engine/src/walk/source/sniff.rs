//! S3: what the listener waits for, and which of its chains the first bytes choose.

use crate::mesh::visibility::Scope;
use crate::mesh::xds::listener::{HttpChain, Listener, TcpChain};
use crate::net::{Endpoint, Name};
use crate::walk::outcome::{Known, Sends};

/// Where the first bytes lead.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Chain<'l, 'a> {
    /// The inspectors wait for bytes that never come: no upstream connection.
    Stalls,
    Http(HttpChain<'a>),
    /// A listener that takes everything for HTTP: 400, or it waits in the codec.
    NotHttp,
    Tcp(&'l TcpChain<'a>),
    /// Passthrough or blackhole, as from `virtualOutbound`.
    CatchAll,
}

impl<'a> Listener<'a> {
    /// `buildListenerFromEntry`: whether it looks at the first bytes before it chooses.
    pub(crate) fn inspects(&self) -> bool {
        matches!(self.http, Some(HttpChain::Own { .. } | HttpChain::Shared { inspected: true }))
            || self.tcp.iter().any(|chain| !chain.server_names.is_empty())
    }

    /// `active_tcp_listener`, `filter_chain_manager_impl.cc findFilterChain`: by address, then SNI, then what the
    /// inspectors found; where nothing is left, the chain without conditions, else the catch-all.
    pub(crate) fn chain(&self, scope: &Scope<'_>, to: Endpoint, sends: &Sends) -> Chain<'_, 'a> {
        let uninspected = self.http.filter(|http| matches!(http, HttpChain::Shared { inspected: false }));
        let is_http = matches!(sends, Sends::Http { .. });
        if let Some(http) = uninspected {
            return if is_http { Chain::Http(http) } else { Chain::NotHttp };
        }
        if *sends == Sends::Nothing && self.inspects() {
            let gives_up = self.http.is_some() && !scope.mesh.protocol_detection_timeout.is_zero();
            if !gives_up {
                return Chain::Stalls;
            }
        }
        let fallback = || {
            let any = self.tcp.iter().find(|chain| chain.cidrs.is_empty() && chain.is_for_any_name());
            any.map_or(Chain::CatchAll, Chain::Tcp)
        };
        let narrowest = |chain: &&TcpChain<'a>| {
            chain.cidrs.iter().filter(|net| net.contains(&to.ip)).map(ipnet::IpNet::prefix_len).max()
        };
        let width = self.tcp.iter().filter_map(|chain| narrowest(&chain)).max();
        let here =
            self.tcp.iter().filter(|chain| narrowest(chain) == width && (width.is_some() || chain.cidrs.is_empty()));
        let named = server_name(sends)
            .and_then(|name| here.clone().filter_map(|c| Some((c.covers(name)?, c))).max_by_key(|(l, _)| *l));
        if let Some((_, chain)) = named {
            return Chain::Tcp(chain);
        }
        match self.http {
            Some(http) if width.is_none() && is_http => Chain::Http(http),
            _ => here.clone().find(|chain| chain.is_for_any_name()).map_or_else(fallback, Chain::Tcp),
        }
    }
}

impl TcpChain<'_> {
    fn is_for_any_name(&self) -> bool {
        self.server_names.is_empty() || self.server_names.iter().any(|name| &**name == "*")
    }

    /// How specifically it names this SNI.
    fn covers(&self, name: &str) -> Option<usize> {
        let of = |own: &Name| match own.strip_prefix('*') {
            Some("") => None,
            Some(suffix) => name.ends_with(suffix).then_some(suffix.len()),
            None => (**own == *name).then_some(usize::MAX),
        };
        self.server_names.iter().filter_map(of).max()
    }
}

fn server_name(sends: &Sends) -> Option<&str> {
    match sends {
        Sends::Tls { sni: Known::Yes(Some(name)), .. } => Some(name),
        _ => None,
    }
}
