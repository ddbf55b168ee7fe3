//! Whose traffic is traced: that with a pod at either end.

use aya_ebpf::macros::map;
use aya_ebpf::maps::LpmTrie;
use aya_ebpf::maps::lpm_trie::Key;

/// Pod CIDRs and local pod ips, both families in one form (`::ffff:a.b.c.d`). Everything is traced while the empty
/// prefix is in it. Kept up to date by the daemon.
#[map]
static SCOPE: LpmTrie<[u8; 16], u8> = LpmTrie::with_max_entries(65_536, 0);

const WHOLE_ADDRESS: u32 = 128;

/// One lookup where the first end is a pod's, two where neither is.
#[inline(always)]
pub fn covers(local: &[u8; 16], remote: &[u8; 16]) -> bool {
    has(local) || has(remote)
}

#[inline(always)]
fn has(address: &[u8; 16]) -> bool {
    SCOPE.get(Key::new(WHOLE_ADDRESS, *address)).is_some()
}
