//! Whose traffic is traced: told to the probes, which then say nothing of anybody else's.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

use aya::maps::lpm_trie::Key;
use aya::maps::{LpmTrie, MapData, MapError};
use ipnet::IpNet;

/// The probes' own set of addresses, kept up to date. Nothing in it: everything is traced.
pub struct Scope {
    trie: LpmTrie<MapData, [u8; 16], u8>,
    ranges: BTreeSet<IpNet>,
}

/// The prefix of every address.
const EVERYTHING: Key<[u8; 16]> = Key::new(0, [0; 16]);

impl Scope {
    pub(super) fn open(trie: LpmTrie<MapData, [u8; 16], u8>, ranges: &[IpNet]) -> Result<Self, MapError> {
        let mut scope = Self { trie, ranges: BTreeSet::new() };
        scope.trie.insert(&EVERYTHING, 1, 0)?;
        for range in ranges {
            scope.add(*range)?;
        }
        Ok(scope)
    }

    pub fn ranges(&self) -> &BTreeSet<IpNet> {
        &self.ranges
    }

    /// On an error the probes trace what they traced before, and not this.
    pub fn add(&mut self, range: IpNet) -> Result<(), MapError> {
        if self.ranges.contains(&range) {
            return Ok(());
        }
        self.trie.insert(&key(range), 1, 0)?;
        if self.ranges.is_empty() {
            self.trie.remove(&EVERYTHING)?;
        }
        self.ranges.insert(range);
        Ok(())
    }

    pub fn remove(&mut self, range: IpNet) -> Result<(), MapError> {
        if !self.ranges.remove(&range) {
            return Ok(());
        }
        if self.ranges.is_empty() {
            self.trie.insert(&EVERYTHING, 1, 0)?;
        }
        self.trie.remove(&key(range))
    }
}

impl std::fmt::Debug for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scope").field("ranges", &self.ranges).finish_non_exhaustive()
    }
}

/// Both families in one form, as the probes write addresses.
fn key(range: IpNet) -> Key<[u8; 16]> {
    const MAPPED: u32 = 96;
    match range {
        IpNet::V4(net) => Key::new(MAPPED + u32::from(net.prefix_len()), net.network().to_ipv6_mapped().octets()),
        IpNet::V6(net) => Key::new(u32::from(net.prefix_len()), net.network().octets()),
    }
}

/// As the probes write it.
pub(super) fn address(bytes: [u8; 16]) -> IpAddr {
    IpAddr::V6(Ipv6Addr::from(bytes)).to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_have_one_form() {
        let bytes = |text: &str| key(text.parse().expect("a range"));
        let v4 = bytes("10.244.1.7/24");
        assert_eq!(v4.prefix_len(), 120);
        assert_eq!(v4.data(), "::ffff:10.244.1.0".parse::<Ipv6Addr>().expect("an address").octets());
        let v6 = bytes("fd00:10::/64");
        assert_eq!((v6.prefix_len(), &v6.data()[..2]), (64, &[0xfd, 0][..]));
        assert_eq!(address(v4.data()), "10.244.1.0".parse::<IpAddr>().expect("an address"));
    }
}
