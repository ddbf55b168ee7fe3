//! Maps from addresses. IPv4 has a table of its own: an entry there has no room for the other family.

use rustc_hash::FxHashMap as HashMap;
use std::net::IpAddr;

/// IPv4-mapped addresses are IPv4 (trap 11).
#[derive(Debug)]
pub(super) struct ByIp<V> {
    v4: HashMap<u32, V>,
    v6: HashMap<u128, V>,
}

impl<V> ByIp<V> {
    pub(super) fn get(&self, ip: IpAddr) -> Option<&V> {
        match ip.to_canonical() {
            IpAddr::V4(ip) => self.v4.get(&ip.to_bits()),
            IpAddr::V6(ip) => self.v6.get(&ip.to_bits()),
        }
    }

    pub(super) fn get_mut(&mut self, ip: IpAddr) -> Option<&mut V> {
        match ip.to_canonical() {
            IpAddr::V4(ip) => self.v4.get_mut(&ip.to_bits()),
            IpAddr::V6(ip) => self.v6.get_mut(&ip.to_bits()),
        }
    }

    pub(super) fn insert(&mut self, ip: IpAddr, value: V) {
        match ip.to_canonical() {
            IpAddr::V4(ip) => self.v4.insert(ip.to_bits(), value),
            IpAddr::V6(ip) => self.v6.insert(ip.to_bits(), value),
        };
    }

    pub(super) fn remove(&mut self, ip: IpAddr) {
        match ip.to_canonical() {
            IpAddr::V4(ip) => self.v4.remove(&ip.to_bits()),
            IpAddr::V6(ip) => self.v6.remove(&ip.to_bits()),
        };
    }

    pub(super) fn retain(&mut self, mut keep: impl FnMut(&mut V) -> bool) {
        self.v4.retain(|_, value| keep(value));
        self.v6.retain(|_, value| keep(value));
    }
}

impl<V: Default> ByIp<V> {
    pub(super) fn or_default(&mut self, ip: IpAddr) -> &mut V {
        match ip.to_canonical() {
            IpAddr::V4(ip) => self.v4.entry(ip.to_bits()).or_default(),
            IpAddr::V6(ip) => self.v6.entry(ip.to_bits()).or_default(),
        }
    }
}

impl<V> Default for ByIp<V> {
    fn default() -> Self {
        Self { v4: HashMap::default(), v6: HashMap::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trap_11_a_mapped_address_is_ipv4_and_families_do_not_meet() {
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        let mut map = ByIp::default();
        map.insert(ip("10.0.0.1"), "four");
        map.insert(ip("::a00:1"), "six");
        assert_eq!(map.get(ip("::ffff:10.0.0.1")), Some(&"four"));
        assert_eq!(map.get(ip("::a00:1")), Some(&"six"));
        map.remove(ip("::ffff:10.0.0.1"));
        assert_eq!((map.get(ip("10.0.0.1")), map.get(ip("::a00:1"))), (None, Some(&"six")));
    }
}
