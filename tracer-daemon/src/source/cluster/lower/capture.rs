//! What a pod's capture rules were told: the arguments of `istio-iptables`, and where they do not say, annotations.
//!
//! The arguments are what was done: the injector renders them from annotations and mesh-wide values alike. `-k` and
//! `-c` name interfaces, which no rule asks for.

use crate::source::cluster::object::Annotations;
use crate::source::cluster::values::Values;
use smallvec::smallvec;
use std::collections::HashMap;
use tracer_engine::mesh::facts::{Capture, InterceptionMode, Selection};

/// Where a setting comes from and what it says, as written.
struct Setting<'t> {
    field: String,
    text: &'t str,
}

struct Settings<'t> {
    arguments: HashMap<char, &'t str>,
    annotations: &'t Annotations,
}

pub(super) fn lower(args: &[String], annotations: &Annotations, to: &mut Values) -> Capture {
    let settings = Settings { arguments: arguments(args), annotations };
    let port = |flag, default, to: &mut Values| {
        settings.get(flag, None).and_then(|Setting { field, text }| to.port_text(&field, text)).unwrap_or(default)
    };
    let mode = settings.get('m', Some("sidecar.istio.io/interceptionMode")).and_then(|Setting { field, text }| {
        let known = [
            ("REDIRECT", InterceptionMode::Redirect),
            ("TPROXY", InterceptionMode::Tproxy),
            ("NONE", InterceptionMode::None),
        ];
        to.one_of(&field, text, &known)
    });
    let uids = settings.get('u', None).map(|setting| {
        let Setting { field, text } = setting;
        items(text).filter_map(|uid| uid.parse().map_err(|_| to.bad(&field, uid, "is no uid")).ok()).collect()
    });
    let annotated = |flag, name: &str| settings.get(flag, Some(&format!("traffic.sidecar.istio.io/{name}")));
    let include_ranges = annotated('i', "includeOutboundIPRanges");
    let exclude_ranges = annotated('x', "excludeOutboundIPRanges");
    let include_outbound = annotated('q', "includeOutboundPorts");
    let exclude_outbound = annotated('o', "excludeOutboundPorts");
    let include_inbound = annotated('b', "includeInboundPorts");
    let exclude_inbound = annotated('d', "excludeInboundPorts");
    Capture {
        mode: mode.unwrap_or(InterceptionMode::Redirect),
        outbound_port: port('p', 15001, to),
        inbound_port: port('z', 15006, to),
        proxy_uids: uids.unwrap_or_else(|| smallvec![1337]),
        include_outbound_ranges: selection(include_ranges, |field, text| to.range(field, text)),
        exclude_outbound_ranges: list(exclude_ranges, |field, text| to.range(field, text)),
        include_outbound_ports: list(include_outbound, |field, text| to.port_text(field, text)),
        exclude_outbound_ports: list(exclude_outbound, |field, text| to.port_text(field, text)),
        include_inbound_ports: selection(include_inbound, |field, text| to.port_text(field, text)),
        exclude_inbound_ports: list(exclude_inbound, |field, text| to.port_text(field, text)),
    }
}

/// `-p 15001 -i * ...`: each one-letter flag and the argument after it. The long flags that the injector writes take
/// none, or hold it after `=`.
fn arguments(args: &[String]) -> HashMap<char, &str> {
    let mut flags = HashMap::new();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut chars = arg.chars();
        if let (Some('-'), Some(flag), None) = (chars.next(), chars.next(), chars.next())
            && let Some(value) = args.next()
        {
            flags.insert(flag, value.as_str());
        }
    }
    flags
}

fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

fn list<T>(setting: Option<Setting<'_>>, mut read: impl FnMut(&str, &str) -> Option<T>) -> Vec<T> {
    let Some(Setting { field, text }) = setting else { return Vec::new() };
    // `-o *` and its like mean nothing to istio-iptables either.
    items(text).filter(|item| *item != "*").filter_map(|item| read(&field, item)).collect()
}

/// Left out is `*`; said and empty is nothing.
fn selection<T>(setting: Option<Setting<'_>>, read: impl FnMut(&str, &str) -> Option<T>) -> Selection<T> {
    match &setting {
        None => Selection::All,
        Some(Setting { text, .. }) if items(text).any(|item| item == "*") => Selection::All,
        Some(_) => Selection::Only(list(setting, read)),
    }
}

impl<'t> Settings<'t> {
    fn get(&self, flag: char, annotation: Option<&str>) -> Option<Setting<'t>> {
        if let Some(text) = self.arguments.get(&flag) {
            return Some(Setting { field: format!("argument -{flag} of the capture container"), text });
        }
        let annotation = annotation?;
        let text = self.annotations.get(annotation)?;
        Some(Setting { field: format!("metadata.annotations[{annotation}]"), text })
    }
}
