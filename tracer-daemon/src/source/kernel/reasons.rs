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

/// Enumerations of drop reasons, and what their names begin with. Those of a subsystem are numbered apart.
const ENUMS: [(&str, &str); 3] =
    [("skb_drop_reason", "SKB_DROP_REASON_"), ("ovs_drop_reason", ""), ("mac80211_drop_reason", "")];

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
        for (enumeration, prefix) in ENUMS {
            for (name, number) in types.enumerators(enumeration) {
                names.push((number, name.strip_prefix(prefix).unwrap_or(&name).into()));
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

    /// A bit for each number that is harmless on this kernel. 0 and 1 are none on any.
    pub(super) fn harmless(&self) -> [u64; 4] {
        let mut bits = [0b11, 0, 0, 0];
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
        assert_eq!(bits(5), [0b10_0011, 0, 0, 0]);
        assert_eq!(bits(64 + 7), [0b11, 1 << 7, 0, 0]);
        assert_eq!(bits(5 << 16), [0b11, 0, 0, 0], "a subsystem's reasons are never taken for others");
    }
}
