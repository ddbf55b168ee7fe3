//! Istio's VirtualService.

use super::PortSelector;
use super::shape::{Metadata, shapes};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

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
        delegate: Option<Delegate>,
    }
    Delegate {
        name: String,
        namespace: String,
    }
    HttpMatch {
        uri: Option<StringMatch>,
        authority: Option<StringMatch>,
        scheme: Option<Present>,
        method: Option<Present>,
        headers: Conditions,
        without_headers: Conditions,
        query_params: Conditions,
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

/// Whether there are conditions, by name; what they ask for is nothing that the tracer ever sees.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Conditions(pub bool);

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

impl<'de> Deserialize<'de> for Conditions {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Conditions;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of conditions")
            }

            fn visit_bool<E>(self, any: bool) -> Result<Conditions, E> {
                Ok(Conditions(any))
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Conditions, A::Error> {
                let mut any = false;
                while map.next_entry::<serde::de::IgnoredAny, serde::de::IgnoredAny>()?.is_some() {
                    any = true;
                }
                Ok(Conditions(any))
            }
        }

        from.deserialize_any(Visitor)
    }
}
