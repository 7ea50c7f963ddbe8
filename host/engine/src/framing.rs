//! Whether the sections of a file end within it.
//!
//! The decoder makes room for all that a section's header claims before it reads on: a file of fifteen bytes would
//! cost it four gibibytes, and fifteen seconds.

/// The bytes before the first section.
const HEADER_BYTES: usize = 8;

/// Refuses a component whose last section goes beyond its end.
///
/// What is within a section is the decoder's to check: it knows the end of the section then.
///
/// # Errors
/// Where the section is, what it claims and what is there.
pub(crate) fn check(bytes: &[u8]) -> Result<(), String> {
    let mut at = HEADER_BYTES;
    // What is no length is for the decoder to refuse: it claims nothing.
    while let Some(length) = bytes.get(at + 1..).and_then(leb_u32) {
        let content = at + 1 + length.bytes;
        let end = content.saturating_add(length.value as usize);
        if end > bytes.len() {
            return Err(format!(
                "not a valid component: the file is cut off: a section at byte {at} has {} bytes, of which {} are \
                 there",
                length.value,
                bytes.len() - content
            ));
        }
        at = end;
    }
    Ok(())
}

/// A number in LEB128 (WebAssembly core specification, section 5.2.2), and how many bytes it takes.
struct Leb {
    value: u32,
    bytes: usize,
}

/// The number at the beginning of `bytes`, if there is one of at most 32 bits.
fn leb_u32(bytes: &[u8]) -> Option<Leb> {
    let mut value = 0_u64;
    for (n, byte) in bytes.iter().take(5).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * n);
        if byte & 0x80 == 0 {
            return Some(Leb { value: u32::try_from(value).ok()?, bytes: n + 1 });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sections(bytes: &[u8]) -> Result<(), String> {
        check(&[b"\0asm\x0d\0\x01\0", bytes].concat())
    }

    #[test]
    fn a_section_that_claims_more_than_there_is_is_refused() {
        let refused = sections(b"\x07\xff\xff\xff\xff\x0f\0").expect_err("four gibibytes");
        assert!(
            refused.ends_with("a section at byte 8 has 4294967295 bytes, of which 1 are there"),
            "{refused}"
        );
        let second = sections(b"\x07\x02ab\x00\x03ab").expect_err("the second one");
        assert!(second.ends_with("a section at byte 12 has 3 bytes, of which 2 are there"), "{second}");
    }

    #[test]
    fn sections_that_fit_and_what_is_no_length_are_left_to_the_decoder() {
        for bytes in [&b""[..], b"\x07", b"\x07\x80", b"\x07\x02ab", b"\x07\x02ab\x00\x00"] {
            assert_eq!(sections(bytes), Ok(()), "{bytes:?}");
        }
        assert_eq!(sections(b"\x07\xff\xff\xff\xff\xff\x0f"), Ok(()));
    }
}
