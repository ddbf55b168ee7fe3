//! How objects are shaped: lenient to read (absent and null are the same, as in Kubernetes), terse to write.
//! What a value must be is `lower`'s business, which can name the object.

use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Declares structs as the API server would write them in JSON: camelCase, every field optional, nothing written
/// that is default.
macro_rules! shapes {
    ($($(#[$of_struct:meta])* $name:ident { $($(#[$of_field:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$of_struct])*
        #[derive(Clone, PartialEq, Debug, Default, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub struct $name {$(
            $(#[$of_field])*
            #[serde(
                default,
                deserialize_with = "crate::source::cluster::object::shape::null_as_default",
                skip_serializing_if = "crate::source::cluster::object::shape::is_default"
            )]
            pub $field: $type,
        )*}
    )*};
}
pub(crate) use shapes;

pub(crate) fn null_as_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    from: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

shapes! {
    Metadata {
        name: String,
        namespace: String,
        uid: String,
        creation_timestamp: String,
        labels: BTreeMap<String, String>,
        annotations: Annotations,
        owner_references: Vec<OwnerReference>,
    }
    OwnerReference {
        kind: String,
        name: String,
        controller: bool,
    }
    LabelSelector {
        match_labels: BTreeMap<String, String>,
        match_expressions: Vec<LabelSelectorRequirement>,
    }
    LabelSelectorRequirement {
        key: String,
        operator: String,
        values: Vec<String>,
    }
}

/// Only the annotations that some rule reads: the values of all others are skipped, not stored.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Annotations(BTreeMap<String, String>);

/// `targetPort` and its like.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(untagged)]
pub enum IntOrString {
    Int(i64),
    String(String),
}

impl Annotations {
    const KEPT: [&str; 12] = [
        "ambient.istio.io/redirection",
        "inject.istio.io/templates",
        "kubernetes.io/config.hash",
        "networking.istio.io/exportTo",
        "sidecar.istio.io/interceptionMode",
        "sidecar.istio.io/status",
        "traffic.sidecar.istio.io/excludeInboundPorts",
        "traffic.sidecar.istio.io/excludeOutboundIPRanges",
        "traffic.sidecar.istio.io/excludeOutboundPorts",
        "traffic.sidecar.istio.io/includeInboundPorts",
        "traffic.sidecar.istio.io/includeOutboundIPRanges",
        "traffic.sidecar.istio.io/includeOutboundPorts",
    ];

    pub fn get(&self, key: &str) -> Option<&str> {
        debug_assert!(Self::KEPT.contains(&key), "annotation {key} is read but not kept");
        self.0.get(key).map(String::as_str)
    }
}

impl<'de> Deserialize<'de> for Annotations {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Annotations;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of annotations")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Annotations, A::Error> {
                let mut kept = BTreeMap::new();
                while let Some(key) = map.next_key::<String>()? {
                    if Annotations::KEPT.contains(&&*key) {
                        kept.insert(key, map.next_value()?);
                    } else {
                        map.next_value::<serde::de::IgnoredAny>()?;
                    }
                }
                Ok(Annotations(kept))
            }
        }

        from.deserialize_map(Visitor)
    }
}

impl<'de> Deserialize<'de> for IntOrString {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl serde::de::Visitor<'_> for Visitor {
            type Value = IntOrString;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number or a name")
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<IntOrString, E> {
                Ok(IntOrString::Int(number))
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<IntOrString, E> {
                i64::try_from(number)
                    .map(IntOrString::Int)
                    .map_err(|_| E::custom(format_args!("{number} is too large")))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<IntOrString, E> {
                Ok(IntOrString::String(text.to_owned()))
            }
        }

        from.deserialize_any(Visitor)
    }
}
