//! Numbers in hex, by hand: ids are written for each request, and the formatter costs more than the rest of it.

/// The `N` lowest digits of `value`, in lower case; `N` is at most 32.
pub(crate) fn digits<const N: usize>(value: u128) -> [u8; N] {
    let all = [(value >> 64) as u64, value as u64].map(|half| sixteen(half).map(u64::to_be_bytes));
    let [[a, b], [c, d]] = all;
    let mut digits = [0; 32];
    for (to, from) in digits.chunks_exact_mut(8).zip([a, b, c, d]) {
        to.copy_from_slice(&from);
    }
    std::array::from_fn(|i| digits[32 - N + i])
}

/// All digits of `value`, the first in the highest byte: eight at a time, a nibble in each byte of a number.
fn sixteen(value: u64) -> [u64; 2] {
    const EACH: u64 = u64::MAX / 0xff;
    [(value >> 32) as u32, value as u32].map(|half| {
        let mut spread = u64::from(half);
        spread = (spread | spread << 16) & 0x0000_ffff_0000_ffff;
        spread = (spread | spread << 8) & 0x00ff_00ff_00ff_00ff;
        spread = (spread | spread << 4) & 0x0f0f_0f0f_0f0f_0f0f;
        // 1 in each byte that has ten or more, which are letters.
        let letters = ((spread + EACH * 6) >> 4) & EACH;
        spread + EACH * u64::from(b'0') + letters * u64::from(b'a' - b'0' - 10)
    })
}

/// The number that `digits` are; `None` when one of them is not a digit in lower case.
pub(crate) fn read(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0u128, |value, digit| {
        let nibble = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u128::from(nibble))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_those_of_the_formatter() {
        let mut value = 0x0123_4567_89ab_cdef_u128;
        for _ in 0..200 {
            value = value.wrapping_mul(0x2d99_787f_e3b9_a1f5_da94_2042_e4dd_58b5).rotate_left(41);
            assert_eq!(digits::<32>(value), *format!("{value:032x}").as_bytes());
            assert_eq!(digits::<16>(value), *format!("{:016x}", value as u64).as_bytes());
            assert_eq!(digits::<2>(value), *format!("{:02x}", value as u8).as_bytes());
            assert_eq!(read(&digits::<32>(value)), Some(value));
        }
        assert_eq!(read(b"0G"), None);
    }
}
