//! How the host allocates: mimalloc, because a request makes many small allocations that are freed on whichever thread it
//! ends on.
//!
//! The crate `mimalloc` asks for an alignment each time, even for the one that every block has anyway: that is slower, and for a
//! fifth of the host's allocations, the hash tables among them, it reserves more than was asked for and aligns within it. Start
//! at [`Mimalloc`].

use std::alloc::{GlobalAlloc, Layout};

use libmimalloc_sys as ffi;

/// What the memory of whole words is aligned to.
const WORD: usize = size_of::<usize>();
/// What mimalloc aligns memory to whose size is a multiple of it (`MI_MAX_ALIGN_SIZE`): as C wants of `malloc`.
const MAX_ALIGN: usize = 16;

/// mimalloc as the allocator of a program.
pub struct Mimalloc;

/// What to ask mimalloc for.
enum Ask {
    /// So many bytes, which are aligned well enough without being told.
    Natural(usize),
    Aligned,
}

impl Ask {
    #[inline]
    fn of(size: usize, align: usize) -> Ask {
        if align <= WORD {
            Ask::Natural(size)
        } else if align <= MAX_ALIGN {
            // No size of a layout is so large that this overflows.
            Ask::Natural(size.next_multiple_of(MAX_ALIGN))
        } else {
            Ask::Aligned
        }
    }
}

// SAFETY: mimalloc gives memory of the size that is asked for, to one owner until it is freed, from any thread. `Ask` sees to
// the alignment. Null is given when there is no memory, and nothing here unwinds.
unsafe impl GlobalAlloc for Mimalloc {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let pointer = match Ask::of(layout.size(), layout.align()) {
            // SAFETY: it takes any size.
            Ask::Natural(size) => unsafe { ffi::mi_malloc(size) },
            // SAFETY: likewise; the alignment of a layout is a power of two.
            Ask::Aligned => unsafe { ffi::mi_malloc_aligned(layout.size(), layout.align()) },
        };
        pointer.cast()
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let pointer = match Ask::of(layout.size(), layout.align()) {
            // SAFETY: it takes any size.
            Ask::Natural(size) => unsafe { ffi::mi_zalloc(size) },
            // SAFETY: likewise; the alignment of a layout is a power of two.
            Ask::Aligned => unsafe { ffi::mi_zalloc_aligned(layout.size(), layout.align()) },
        };
        pointer.cast()
    }

    #[inline]
    unsafe fn dealloc(&self, pointer: *mut u8, _: Layout) {
        // SAFETY: the caller promises that it came from this allocator and is not used any more.
        unsafe { ffi::mi_free(pointer.cast()) }
    }

    #[inline]
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let pointer = match Ask::of(new_size, layout.align()) {
            // SAFETY: the caller promises that it came from this allocator.
            Ask::Natural(size) => unsafe { ffi::mi_realloc(pointer.cast(), size) },
            // SAFETY: likewise; the alignment is a power of two.
            Ask::Aligned => unsafe { ffi::mi_realloc_aligned(pointer.cast(), new_size, layout.align()) },
        };
        pointer.cast()
    }
}

/// Gives free memory back to the system, of all threads as far as they have given it up.
///
/// mimalloc does so a second after memory was freed, but only while something is allocated: without this, what a burst of
/// requests took stays resident in a host that has become idle. It takes some microseconds, and longer the more there is to
/// give back; other threads go on meanwhile.
pub fn give_back() {
    // SAFETY: it takes no pointers, and may be called by any thread at any time.
    unsafe { ffi::mi_collect(true) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sizes around those at which mimalloc's classes change.
    fn sizes() -> impl Iterator<Item = usize> {
        (1..=300).chain((9..=20).flat_map(|power| {
            let size = 1_usize << power;
            [size - 9, size - 1, size, size + 1, size + 8, size + size / 8]
        }))
    }

    fn is_aligned(pointer: *mut u8, layout: Layout) -> bool {
        !pointer.is_null() && pointer.addr().is_multiple_of(layout.align())
    }

    #[test]
    fn memory_is_aligned_and_zeroed_as_asked_and_keeps_what_is_in_it() {
        for align in (0..=12).map(|power| 1 << power) {
            for size in sizes() {
                let layout = Layout::from_size_align(size, align).expect("a layout");
                let grown = Layout::from_size_align(size * 2 + 3, align).expect("a layout");
                // SAFETY: each pointer is used within its size, and freed once.
                unsafe {
                    let zeroed = Mimalloc.alloc_zeroed(layout);
                    assert!(is_aligned(zeroed, layout), "{layout:?}");
                    assert!(std::slice::from_raw_parts(zeroed, size).iter().all(|byte| *byte == 0));
                    let first = Mimalloc.alloc(layout);
                    assert!(is_aligned(first, layout), "{layout:?}");
                    first.write_bytes(7, size);
                    let first = Mimalloc.realloc(first, layout, grown.size());
                    assert!(is_aligned(first, grown), "{layout:?} grown");
                    assert!(std::slice::from_raw_parts(first, size).iter().all(|byte| *byte == 7));
                    // The neighbour was not written to.
                    assert!(std::slice::from_raw_parts(zeroed, size).iter().all(|byte| *byte == 0));
                    Mimalloc.dealloc(first, grown);
                    Mimalloc.dealloc(zeroed, layout);
                }
            }
        }
    }

    #[test]
    fn what_no_machine_has_is_refused() {
        let layout = Layout::from_size_align(isize::MAX as usize - 15, 16).expect("a layout");
        // SAFETY: nothing is done with the pointer.
        assert!(unsafe { Mimalloc.alloc(layout) }.is_null());
    }

    #[test]
    fn giving_back_takes_nothing_that_is_in_use() {
        let kept = vec![5_u8; 1 << 20];
        give_back();
        assert!(kept.iter().all(|byte| *byte == 5));
    }
}
