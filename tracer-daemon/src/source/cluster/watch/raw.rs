//! An object as the server wrote it: who it is, and its text, which lives until it is decoded and no longer. So that one
//! that cannot be decoded can still be named.

use crate::source::cluster::object::{Object, ObjectKind, ObjectRef};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

#[derive(Clone)]
pub(super) struct Raw {
    name: String,
    namespace: String,
    pub(super) version: String,
    text: Box<RawValue>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Head {
    metadata: HeadMetadata,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct HeadMetadata {
    name: String,
    namespace: String,
    resource_version: String,
}

impl Raw {
    pub(super) fn new(text: Box<RawValue>) -> Self {
        // Metadata that is none leaves an object without a name, which is then what is said of it.
        let Head { metadata } = serde_json::from_str(text.get()).unwrap_or_default();
        let HeadMetadata { name, namespace, resource_version } = metadata;
        Self { name, namespace, version: resource_version, text }
    }

    pub(super) fn reference(&self, kind: ObjectKind) -> ObjectRef {
        ObjectRef { kind, namespace: self.namespace.clone(), name: self.name.clone() }
    }

    pub(super) fn decode(&self, kind: ObjectKind) -> Result<Object, serde_json::Error> {
        kind.decode(&mut serde_json::Deserializer::from_str(self.text.get()))
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(from).map(Raw::new)
    }
}
