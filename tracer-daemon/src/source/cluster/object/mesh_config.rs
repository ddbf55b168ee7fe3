//! Istio's mesh configuration: YAML inside a ConfigMap, unpacked and reduced where the ConfigMap is decoded.

use super::OutboundTrafficPolicy;
use super::shape::{LabelSelector, Metadata, shapes};
use serde::{Deserialize, Deserializer};
use std::fmt;

shapes! {
    ConfigMap {
        metadata: Metadata,
        data: ConfigMapData,
    }
    ConfigMapData {
        mesh: Option<Mesh>,
    }
    MeshConfig {
        root_namespace: String,
        outbound_traffic_policy: Option<OutboundTrafficPolicy>,
        enable_auto_mtls: Option<bool>,
        trust_domain: String,
        trust_domain_aliases: Vec<String>,
        default_service_export_to: Vec<String>,
        default_virtual_service_export_to: Vec<String>,
        default_destination_rule_export_to: Vec<String>,
        discovery_selectors: Vec<LabelSelector>,
        protocol_detection_timeout: String,
    }
}

/// Key `mesh`: YAML text as the cluster has it, the settings themselves on a tape.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
#[serde(transparent)]
pub struct Mesh(pub MeshConfig);

impl<'de> Deserialize<'de> for Mesh {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Mesh;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("mesh configuration as YAML text")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Mesh, E> {
                let options = serde_saphyr::options! { with_snippet: false };
                match serde_saphyr::from_str_with_options::<Option<MeshConfig>>(text, options) {
                    Ok(config) => Ok(Mesh(config.unwrap_or_default())),
                    Err(error) => Err(E::custom(format_args!("in key mesh: {error}"))),
                }
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Mesh, A::Error> {
                MeshConfig::deserialize(serde::de::value::MapAccessDeserializer::new(map)).map(Mesh)
            }
        }

        from.deserialize_any(Visitor)
    }
}
