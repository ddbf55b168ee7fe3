//! What the allocator does with memory that it was given back: as little of it as can be stays ours.

#[cfg(target_env = "gnu")]
pub use glibc::{keep_small, release_free};
#[cfg(not(target_env = "gnu"))]
pub use other::{keep_small, release_free};

#[cfg(target_env = "gnu")]
mod glibc {
    use libc::{M_ARENA_MAX, M_MMAP_THRESHOLD, c_int, malloc_trim, mallopt};

    /// One arena for all threads, so that what one of them frees another can use: most of the heap is facts, which one thread
    /// writes. And large pieces get a mapping of their own for good, so that what a table outgrew goes back at once: by itself
    /// glibc raises that size with the first one that is freed, and then a table's old place stays, full of small holes.
    pub fn keep_small() {
        const LARGE: c_int = 128 << 10;
        // SAFETY: glibc's own function, of two numbers.
        unsafe {
            mallopt(M_ARENA_MAX, 1);
            mallopt(M_MMAP_THRESHOLD, LARGE);
        }
    }

    /// Gives back to the kernel what was freed and is kept for later: after a peak that does not come again.
    pub fn release_free() {
        // SAFETY: glibc's own function on its own heap; it takes no pointer.
        unsafe { malloc_trim(0) };
    }
}

/// No other allocator was measured.
#[cfg(not(target_env = "gnu"))]
mod other {
    pub fn keep_small() {}

    pub fn release_free() {}
}
