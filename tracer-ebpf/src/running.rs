//! Whether this cpu is in the middle of a state change.

use aya_ebpf::macros::map;
use aya_ebpf::maps::PerCpuArray;

/// Set on a cpu while the first program of `set_state` handles a change there.
pub struct Running(Option<*mut u32>);

#[map]
static RUNNING: PerCpuArray<u32> = PerCpuArray::with_max_entries(1, 0);

impl Running {
    #[inline(always)]
    pub fn begin() -> Self {
        let flag = RUNNING.get_ptr_mut(0);
        if let Some(flag) = flag {
            // SAFETY: memory of a per-cpu array. Volatile, because who reads it interrupts us.
            unsafe { flag.write_volatile(1) };
        }
        Self(flag)
    }

    #[inline(always)]
    pub fn end(self) {
        if let Some(flag) = self.0 {
            // SAFETY: as above.
            unsafe { flag.write_volatile(0) };
        }
    }

    #[inline(always)]
    pub fn now() -> bool {
        // SAFETY: as above.
        RUNNING.get_ptr(0).is_some_and(|flag| unsafe { flag.read_volatile() } != 0)
    }
}
