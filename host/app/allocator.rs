//! The allocator of the host: mimalloc, for its speed with many threads.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Gives free memory back to the system.
///
/// mimalloc does so a second after memory was freed, but only while something is allocated: without this, what a burst of
/// requests took stays resident in a host that has become idle.
pub(crate) fn give_back() {
    // SAFETY: it takes no pointers, and may be called by any thread at any time.
    unsafe { libmimalloc_sys::mi_collect(true) }
}
