//! The allocator of a plugin: a cache of small blocks before the C library's allocator.
//!
//! A call makes thirty small allocations and gives all of them back. The C library's allocator (Doug Lea's)
//! merges each freed block with its neighbours and splits one for the next request; for `hello` that was half
//! of all instructions in the guest. So a freed block is kept for the next request of its size, the last one
//! first, as the thread caches of glibc and jemalloc do.
//!
//! Invariant: every small block is as large as its class, whoever asked for it, and it is a block of the C
//! library. So it can be kept by what its owner says its size is, and C code may free what the host has
//! allocated through `cabi_realloc`.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr;

#[global_allocator]
static ALLOCATOR: Cache = Cache::new();

/// The C library's blocks are multiples of `UNIT` with `OVERHEAD` for itself: classes of other sizes would
/// waste what is between.
const UNIT: usize = 16;
const OVERHEAD: usize = 4;
/// Blocks up to this many units are kept: 4,092 bytes, as the future of a handler may have.
const UNITS_MAX: usize = 256;

/// So many blocks of a class are kept: 700 KiB of all classes together.
const fn kept_max(units: usize) -> u8 {
    match units {
        0..=32 => 8,
        33..=128 => 2,
        _ => 1,
    }
}

struct Cache {
    /// By units. Each free block begins with the address of the next one.
    free: [Cell<*mut u8>; UNITS_MAX + 1],
    kept: [Cell<u8>; UNITS_MAX + 1],
}

// SAFETY: components have one thread.
unsafe impl Sync for Cache {}

impl Cache {
    const fn new() -> Self {
        Cache {
            free: [const { Cell::new(ptr::null_mut()) }; UNITS_MAX + 1],
            kept: [const { Cell::new(0) }; UNITS_MAX + 1],
        }
    }

    /// The class of a block; above `UNITS_MAX` it has none.
    #[inline]
    fn units(size: usize) -> usize {
        // A `Layout` has no size that could overflow here.
        (size + OVERHEAD).div_ceil(UNIT)
    }

    /// What the C library is asked for: all that a block of the class has.
    #[inline]
    fn whole(size: usize) -> usize {
        let units = Self::units(size);
        if units <= UNITS_MAX { units * UNIT - OVERHEAD } else { size }
    }

    /// The same, as a layout.
    #[inline]
    fn whole_of(layout: Layout) -> Layout {
        // SAFETY: the largest of the classes does not overflow with any alignment that a `Layout` has.
        unsafe { Layout::from_size_align_unchecked(Self::whole(layout.size()), layout.align()) }
    }

    /// A kept block, or null.
    #[inline]
    fn take(&self, layout: Layout) -> *mut u8 {
        let units = Self::units(layout.size());
        if units > UNITS_MAX || layout.align() > UNIT {
            return ptr::null_mut();
        }
        let block = self.free[units].get();
        if !block.is_null() {
            // SAFETY: `keep` has written it there, and nobody else has had the block since.
            self.free[units].set(unsafe { block.cast::<*mut u8>().read() });
            self.kept[units].set(self.kept[units].get() - 1);
        }
        block
    }

    /// Keeps a block, unless it is large or there are enough.
    ///
    /// # Safety
    ///
    /// `block` has the size of its class, and nobody uses it any more.
    #[inline]
    unsafe fn keep(&self, block: *mut u8, layout: Layout) -> bool {
        let units = Self::units(layout.size());
        if units > UNITS_MAX || self.kept[units].get() == kept_max(units) {
            return false;
        }
        // SAFETY: the smallest class has room for an address, and is aligned for it.
        unsafe { block.cast::<*mut u8>().write(self.free[units].get()) };
        self.free[units].set(block);
        self.kept[units].set(self.kept[units].get() + 1);
        true
    }
}

// SAFETY: blocks are the C library's, of the size that was asked for or larger, and aligned to `UNIT`; what is
// to be aligned further never comes from the cache.
unsafe impl GlobalAlloc for Cache {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let block = self.take(layout);
        if !block.is_null() {
            return block;
        }
        // SAFETY: as the caller promises.
        unsafe { System.alloc(Self::whole_of(layout)) }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises; the size of its class it has from `alloc` or `realloc`.
        unsafe {
            if !self.keep(block, layout) {
                System.dealloc(block, Self::whole_of(layout));
            }
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        unsafe { System.alloc_zeroed(Self::whole_of(layout)) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if Self::whole(size) == Self::whole(layout.size()) {
            return block;
        }
        // SAFETY: as the caller promises.
        unsafe { System.realloc(block, Self::whole_of(layout), Self::whole(size)) }
    }
}

/// Where the host writes what it hands to the plugin, as the canonical ABI has it. It takes the place of the C
/// library's.
///
/// # Safety
///
/// For the host.
#[unsafe(export_name = "cabi_realloc")]
unsafe extern "C" fn cabi_realloc(old: *mut u8, old_size: usize, align: usize, size: usize) -> *mut u8 {
    if size == 0 {
        return ptr::without_provenance_mut(align);
    }
    // SAFETY: the host asks for alignments of types, and gives back what it got.
    let block = unsafe {
        if old_size == 0 {
            ALLOCATOR.alloc(Layout::from_size_align_unchecked(size, align))
        } else {
            ALLOCATOR.realloc(old, Layout::from_size_align_unchecked(old_size, align), size)
        }
    };
    if block.is_null() {
        // The host knows that its limit was the reason.
        core::arch::wasm32::unreachable();
    }
    block
}
