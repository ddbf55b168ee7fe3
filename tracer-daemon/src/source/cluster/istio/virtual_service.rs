//! VirtualService: where requests to a host are led.

use crate::source::cluster::object;
use crate::source::cluster::values::{Values, export_to, key, labels, name, names, some_name};
use tracer_engine::mesh::facts::{
    Destination, HttpMatch, HttpRoute, L4Match, L4Route, ObjectKey, StringMatch, VirtualService,
};

pub(in crate::source::cluster) fn lower(of: &object::VirtualService, to: &mut Values) -> VirtualService {
    let object::VirtualService { metadata, spec } = of;
    let object::VirtualServiceSpec { hosts, gateways, export_to: exported, http, tls, tcp } = spec;
    VirtualService {
        key: key(metadata),
        created: to.created(metadata),
        hosts: names(hosts),
        gateways: names(gateways),
        export_to: export_to(exported.iter().map(String::as_str), &metadata.namespace),
        http: http.iter().enumerate().map(|(at, route)| lower_http(route, at, &metadata.namespace, to)).collect(),
        tls: tls.iter().enumerate().map(|(at, route)| lower_l4(route, &format!("spec.tls[{at}]"), to)).collect(),
        tcp: tcp.iter().enumerate().map(|(at, route)| lower_l4(route, &format!("spec.tcp[{at}]"), to)).collect(),
    }
}

fn lower_http(of: &object::HttpRoute, at: usize, own: &str, to: &mut Values) -> HttpRoute {
    let object::HttpRoute { name: route_name, r#match, route, redirect, direct_response, delegate } = of;
    let field = format!("spec.http[{at}]");
    HttpRoute {
        name: name(route_name),
        matches: r#match.iter().map(|m| lower_match(m, &field, to)).collect(),
        route: lower_route(route, &field, to),
        answers: redirect.is_some() || direct_response.is_some(),
        delegate: delegate.as_ref().map(|object::Delegate { name: delegate, namespace }| ObjectKey {
            namespace: name(if namespace.is_empty() { own } else { namespace }),
            name: name(delegate),
        }),
    }
}

fn lower_match(of: &object::HttpMatch, field: &str, to: &mut Values) -> HttpMatch {
    let object::HttpMatch {
        uri,
        authority,
        scheme,
        method,
        headers,
        without_headers,
        query_params,
        port,
        source_labels,
        source_namespace,
        gateways,
    } = of;
    let conditions = [headers, without_headers, query_params];
    HttpMatch {
        uri: uri.as_ref().and_then(lower_string),
        authority: authority.as_ref().and_then(lower_string),
        port: lower_port(*port, field, to),
        source_labels: labels(source_labels),
        source_namespace: some_name(source_namespace),
        gateways: names(gateways),
        unseen: scheme.is_some() || method.is_some() || conditions.iter().any(|some| some.0),
    }
}

fn lower_string(of: &object::StringMatch) -> Option<StringMatch> {
    let object::StringMatch { exact, prefix, regex } = of;
    let exact = exact.as_deref().map(|text| StringMatch::Exact(name(text)));
    let prefix = || prefix.as_deref().map(|text| StringMatch::Prefix(name(text)));
    let regex = || regex.as_deref().map(|text| StringMatch::Regex(name(text)));
    exact.or_else(prefix).or_else(regex)
}

fn lower_l4(of: &object::L4Route, field: &str, to: &mut Values) -> L4Route {
    let object::L4Route { r#match, route } = of;
    let matches = r#match.iter().map(|m| {
        let object::L4Match { port, sni_hosts, destination_subnets, source_labels, source_namespace, gateways } = m;
        let subnets = destination_subnets.iter();
        L4Match {
            destination_subnets: subnets
                .filter_map(|subnet| to.range(&format!("{field}.match[].destinationSubnets"), subnet))
                .collect(),
            port: lower_port(*port, field, to),
            sni_hosts: names(sni_hosts),
            source_labels: labels(source_labels),
            source_namespace: some_name(source_namespace),
            gateways: names(gateways),
        }
    });
    L4Route { matches: matches.collect(), route: lower_route(route, field, to) }
}

fn lower_port(port: Option<i64>, field: &str, to: &mut Values) -> Option<u16> {
    port.filter(|port| *port != 0).and_then(|port| to.port(&format!("{field}.match[].port"), port))
}

fn lower_route(of: &[object::RouteDestination], field: &str, to: &mut Values) -> Vec<Destination> {
    let mut route: Vec<_> = of.iter().map(|destination| lower_destination(destination, field, to)).collect();
    // A single destination gets everything, whatever its weight.
    if let [only] = &mut *route {
        only.weight = 100;
    }
    route
}

fn lower_destination(of: &object::RouteDestination, field: &str, to: &mut Values) -> Destination {
    let object::RouteDestination { destination, weight } = of;
    let object::Destination { host, subset, port } = destination;
    let port = port.as_ref().map(|port| port.number).filter(|number| *number != 0);
    let weight = weight.unwrap_or_default();
    Destination {
        host: name(host),
        port: port.and_then(|number| to.port(&format!("{field}.route[].destination.port.number"), number)),
        subset: some_name(subset),
        weight: u32::try_from(weight).unwrap_or_else(|_| {
            to.bad(format!("{field}.route[].weight"), &weight.to_string(), "is no weight");
            0
        }),
    }
}
