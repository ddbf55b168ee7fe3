//! The running kernel's own names of why it drops packets. Numbers differ between kernels (trap 4), names do not.

use std::sync::Arc;

use tracer_common::drop_reason::LISTEN_OVERFLOW;
use tracer_engine::net::Name;

use super::btf::Types;

/// Names by number.
#[derive(Clone, Debug, Default)]
pub struct Reasons(Arc<[(u32, Name)]>);

/// What the kernel calls it where it is a final ACK that meets a full accept queue; for a SYN it has no word.
const LISTEN_OVERFLOW_NAME: &str = "TCP_LISTEN_OVERFLOW";

/// Enumerations of drop reasons. Those of a subsystem are numbered apart.
const ENUMS: [&str; 3] = ["skb_drop_reason", "ovs_drop_reason", "mac80211_drop_reason"];

/// What names begin with: all but two have the longer one (SKB_CONSUMED, SKB_NOT_DROPPED_YET).
const PREFIXES: [&str; 2] = ["SKB_DROP_REASON_", "SKB_"];

/// What healthy connections have too, whatever else it may be a sign of: freed without a reason (the last ACK of a close,
/// trap 5), a byte that was received before (keep-alive probes, a retransmission that was not needed), what was left in
/// a queue when its socket was closed. Neither counted nor told.
const HARMLESS: [&str; 9] = [
    "NOT_DROPPED_YET",
    "CONSUMED",
    "NOT_SPECIFIED",
    "QUEUE_PURGE",
    "TCP_OLD_SEQUENCE",
    "TCP_OLD_DATA",
    "TCP_OLD_ACK",
    "TCP_OFOMERGE",
    "TCP_FASTOPEN",
];

impl Reasons {
    pub(super) fn of_this_kernel(types: &Types) -> Self {
        let mut names: Vec<(u32, Name)> = Vec::new();
        for enumeration in ENUMS {
            for (name, number) in types.enumerators(enumeration) {
                names.push((number, bare(&name).into()));
            }
        }
        Self::new(names)
    }

    pub fn new(mut names: Vec<(u32, Name)>) -> Self {
        names.retain(|(number, _)| *number != LISTEN_OVERFLOW);
        names.push((LISTEN_OVERFLOW, LISTEN_OVERFLOW_NAME.into()));
        names.sort_by_key(|(number, _)| *number);
        names.dedup_by_key(|(number, _)| *number);
        Self(names.into())
    }

    /// A number that this kernel's types do not name is told as one.
    pub fn name(&self, number: u32) -> Name {
        match self.0.binary_search_by_key(&number, |(number, _)| *number) {
            Ok(at) => self.0[at].1.clone(),
            Err(_) => format!("REASON_{number}").into(),
        }
    }

    /// A bit for each number that is harmless on this kernel; 0 is on every one, whatever it is called there.
    pub(super) fn harmless(&self) -> [u64; 4] {
        let mut bits = [1, 0, 0, 0];
        for (number, name) in self.0.iter() {
            if HARMLESS.contains(&&**name)
                && let Some(word) = bits.get_mut(*number as usize / 64)
            {
                *word |= 1 << (number % 64);
            }
        }
        bits
    }
}

/// `NO_SOCKET` of `SKB_DROP_REASON_NO_SOCKET`.
fn bare(name: &str) -> &str {
    PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trap_04_names_come_from_the_running_kernel() {
        let reasons = Reasons::new(vec![(12, "NETFILTER_DROP".into()), (3, "NO_SOCKET".into())]);
        assert_eq!(&*reasons.name(12), "NETFILTER_DROP");
        assert_eq!(&*reasons.name(8), "REASON_8");
        assert_eq!(&*reasons.name(LISTEN_OVERFLOW), LISTEN_OVERFLOW_NAME);
    }

    #[test]
    fn what_is_harmless_has_another_number_on_each_kernel() {
        let bits = |number| Reasons::new(vec![(number, "TCP_OLD_SEQUENCE".into()), (9, "NO_SOCKET".into())]).harmless();
        assert_eq!(bits(5), [0b10_0001, 0, 0, 0]);
        assert_eq!(bits(64 + 7), [1, 1 << 7, 0, 0]);
        assert_eq!(bits(5 << 16), [1, 0, 0, 0], "a subsystem's reasons are never taken for others");
    }

    #[test]
    fn number_one_is_a_drop_where_the_kernel_calls_it_one() {
        let harmless = |one: &str| Reasons::new(vec![(1, bare(one).into())]).harmless()[0] & 0b10 != 0;
        assert!(!harmless("SKB_DROP_REASON_NO_SOCKET"), "5.15 and 5.17");
        assert!(harmless("SKB_DROP_REASON_NOT_SPECIFIED"), "6.1");
        assert!(harmless("SKB_CONSUMED"), "6.3 and later");
    }
}
