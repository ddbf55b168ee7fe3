//! A list that was told anew, after a gap: what is not in it is gone, though nobody said so.

use super::object::ObjectKind;
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

/// What there is of one kind, all of it: whatever was known and is not among `keys` is gone.
#[derive(Debug)]
pub struct Listed {
    pub kind: ObjectKind,
    /// Only pods of this node were listed.
    pub node: Option<String>,
    pub keys: Keys,
}

/// Names of many objects, by their hashes: of 100,000 pods a megabyte and not ten. That one which is gone bears the hash of
/// one that is there happens once in 10^14 times.
#[derive(Default, Debug)]
pub struct Keys {
    hasher: RandomState,
    hashes: HashSet<u64>,
}

impl Keys {
    pub fn insert(&mut self, namespace: &str, name: &str) {
        self.hashes.insert(self.hasher.hash_one((namespace, name)));
    }

    pub fn contains(&self, namespace: &str, name: &str) -> bool {
        self.hashes.contains(&self.hasher.hash_one((namespace, name)))
    }
}
