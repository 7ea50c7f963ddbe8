//! Pages in memory, at an address that a disk can take them from without the page cache between.

/// What is written and flushed is a multiple of this.
pub(crate) const PAGE: usize = 4_096;

/// A buffer of pages that is used again.
#[derive(Default)]
pub(crate) struct Pages {
    /// One page larger than what was asked for, so that a page begins somewhere in the first.
    memory: Vec<u8>,
    begin: usize,
}

impl Pages {
    /// So many pages of zeros.
    pub(crate) fn zeroed(&mut self, count: usize) -> &mut [u8] {
        let bytes = count * PAGE;
        if self.memory.len() < bytes + PAGE {
            self.memory = vec![0; bytes + PAGE];
            self.begin = self.memory.as_ptr().align_offset(PAGE);
        }
        let pages = &mut self.memory[self.begin..][..bytes];
        pages.fill(0);
        pages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_zero_and_aligned_however_they_were_used_before() {
        let mut pages = Pages::default();
        for count in [1, 3, 2, 10, 1] {
            let bytes = pages.zeroed(count);
            assert_eq!((bytes.len(), bytes.as_ptr().align_offset(PAGE)), (count * PAGE, 0));
            assert!(bytes.iter().all(|byte| *byte == 0));
            bytes.fill(7);
        }
    }
}
