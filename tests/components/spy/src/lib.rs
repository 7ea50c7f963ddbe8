//! `/keep` writes a secret wherever its memory can hold one, `/scatter` into every other page of 2 MiB; `/search` grows the memory and answers how many words
//! of all that it can reach are the secret.

use core::arch::wasm32::{memory_grow, memory_size};

use wharf::{Context, Failure, Request, Result};

/// A constant of the code, which is not in linear memory.
const SECRET: u64 = 0x7e11_ab1e_5ec2_e7e5;
const PAGE_BYTES: usize = 64 << 10;
const GROWN_PAGES: usize = 2;
const SCATTERED_PAGES: usize = 32;

#[wharf::handler]
async fn spy(request: Request, _context: Context) -> Result<String> {
    match request.uri().path() {
        "/keep" => {
            keep();
            Ok("kept\n".into())
        }
        "/scatter" => {
            scatter();
            Ok("scattered\n".into())
        }
        "/search" => Ok(format!("{}\n", search())),
        _ => Err(Failure::not_found("try /keep, /scatter or /search")),
    }
}

/// On the stack, on the heap, and in pages that nobody else of this instance uses.
fn keep() {
    let mut stack = [0_u64; 4_096];
    fill(stack.as_mut_ptr(), stack.len());
    let mut heap = vec![0_u64; 4_096];
    fill(heap.as_mut_ptr(), heap.len());
    let grown = memory_grow(0, GROWN_PAGES);
    if grown != usize::MAX {
        fill((grown * PAGE_BYTES) as *mut u64, GROWN_PAGES * PAGE_BYTES / size_of::<u64>());
    }
}

/// In every other page of the system's, of more pages than anybody keeps a list of.
fn scatter() {
    const SYSTEM_PAGE_BYTES: usize = 4 << 10;
    let grown = memory_grow(0, SCATTERED_PAGES);
    if grown != usize::MAX {
        for at in (0..SCATTERED_PAGES * PAGE_BYTES).step_by(2 * SYSTEM_PAGE_BYTES) {
            fill((grown * PAGE_BYTES + at) as *mut u64, 1);
        }
    }
}

fn fill(words: *mut u64, count: usize) {
    for at in 0..count {
        // SAFETY: the callers own that many words. Volatile, because nobody is seen to read them.
        unsafe { words.add(at).write_volatile(SECRET) };
    }
}

fn search() -> usize {
    memory_grow(0, SCATTERED_PAGES);
    let words = memory_size(0) * PAGE_BYTES / size_of::<u64>();
    // From the second word on: a pointer must not be null.
    let found = (1..words).filter(|at| {
        let word = (at * size_of::<u64>()) as *const u64;
        // SAFETY: it lies within the memory, and reading what another part of the program writes, with
        // nobody else running, gives some value.
        unsafe { word.read_volatile() == SECRET }
    });
    found.count()
}
