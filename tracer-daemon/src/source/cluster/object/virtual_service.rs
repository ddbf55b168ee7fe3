//! Istio's VirtualService.

use super::PortSelector;
use super::shape::{Metadata, shapes};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

shapes! {
    VirtualService {
        metadata: Metadata,
        spec: VirtualServiceSpec,
    }
    VirtualServiceSpec {
        hosts: Vec<String>,
        gateways: Vec<String>,
        export_to: Vec<String>,
        http: Vec<HttpRoute>,
        tls: Vec<L4Route>,
        tcp: Vec<L4Route>,
    }
    HttpRoute {
        name: String,
        r#match: Vec<HttpMatch>,
        route: Vec<RouteDestination>,
        redirect: Option<Present>,
        direct_response: Option<Present>,
    }
    HttpMatch {
        uri: Option<StringMatch>,
        authority: Option<StringMatch>,
        scheme: Option<Present>,
        method: Option<Present>,
        headers: BTreeMap<String, Present>,
        without_headers: BTreeMap<String, Present>,
        query_params: BTreeMap<String, Present>,
        port: Option<i64>,
        source_labels: BTreeMap<String, String>,
        source_namespace: String,
        gateways: Vec<String>,
    }
    StringMatch {
        exact: Option<String>,
        prefix: Option<String>,
        regex: Option<String>,
    }
    /// A `tcp` or a `tls` route.
    L4Route {
        r#match: Vec<L4Match>,
        route: Vec<RouteDestination>,
    }
    L4Match {
        port: Option<i64>,
        sni_hosts: Vec<String>,
        destination_subnets: Vec<String>,
        source_labels: BTreeMap<String, String>,
        source_namespace: String,
        gateways: Vec<String>,
    }
    RouteDestination {
        destination: Destination,
        weight: Option<i64>,
    }
    Destination {
        host: String,
        subset: String,
        port: Option<PortSelector>,
    }
}

/// Something is there; what it says no rule needs.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Present;

impl Serialize for Present {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bool(true)
    }
}

impl<'de> Deserialize<'de> for Present {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        serde::de::IgnoredAny::deserialize(from).map(|_| Present)
    }
}
