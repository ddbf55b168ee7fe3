//! A hash map in pieces that grow one at a time. One table of millions of sockets would move all of them when it doubles,
//! a third of a second in which the kernel's ring is not read.

use hashbrown::HashTable;
use std::hash::{BuildHasher, Hash};

const PIECES: usize = 256;
/// Bits of the hash that choose the piece: neither the lowest, by which a table finds the bucket, nor the highest, by
/// which it tells its keys apart.
const CHOSEN_BY: u32 = 40;

pub(super) struct Pieces<K, V, S> {
    hasher: S,
    pieces: Box<[HashTable<(K, V)>]>,
}

impl<K: Eq + Hash, V, S: BuildHasher> Pieces<K, V, S> {
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        let hash = self.hasher.hash_one(key);
        self.pieces[piece(hash)].find(hash, |(known, _)| known == key).map(|(_, value)| value)
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        let Self { hasher, pieces } = self;
        let hash = hasher.hash_one(&key);
        let piece = &mut pieces[piece(hash)];
        match piece.find_mut(hash, |(known, _)| *known == key) {
            Some((_, known)) => *known = value,
            None => {
                piece.insert_unique(hash, (key, value), |(key, _)| hasher.hash_one(key));
            }
        }
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let hash = self.hasher.hash_one(key);
        let found = self.pieces[piece(hash)].find_entry(hash, |(known, _)| known == key).ok()?;
        Some(found.remove().0.1)
    }

    pub(super) fn len(&self) -> usize {
        self.pieces.iter().map(HashTable::len).sum()
    }
}

impl<K, V, S: Default> Default for Pieces<K, V, S> {
    fn default() -> Self {
        Self { hasher: S::default(), pieces: (0..PIECES).map(|_| HashTable::new()).collect() }
    }
}

impl<K, V, S> std::fmt::Debug for Pieces<K, V, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sizes = self.pieces.iter().map(HashTable::len);
        f.debug_struct("Pieces").field("len", &sizes.sum::<usize>()).finish_non_exhaustive()
    }
}

fn piece(hash: u64) -> usize {
    (hash >> CHOSEN_BY) as usize % PIECES
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustc_hash::FxBuildHasher;

    #[test]
    fn it_is_a_map() {
        let mut map = Pieces::<u64, u32, FxBuildHasher>::default();
        for key in 0..10_000 {
            map.insert(key, 1);
            map.insert(key, key as u32);
        }
        assert_eq!(map.len(), 10_000);
        assert_eq!((map.remove(&7), map.remove(&7)), (Some(7), None));
        assert_eq!((map.get(&7), map.get(&8), map.len()), (None, Some(&8), 9_999));
    }

    /// The kernel counts its cookies up, by cpu: a piece that took far more than its share would grow as one table did.
    #[test]
    fn cookies_that_are_counted_up_spread_over_all_pieces() {
        let mut map = Pieces::<u64, (), FxBuildHasher>::default();
        (0..256_000).for_each(|cookie| map.insert(cookie * 2, ()));
        let sizes = map.pieces.iter().map(HashTable::len);
        assert!(sizes.clone().all(|size| (500..2_000).contains(&size)), "{:?}", sizes.collect::<Vec<_>>());
    }
}
