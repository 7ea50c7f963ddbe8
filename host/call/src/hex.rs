//! Numbers in hex, by hand: ids are written for each request, and the formatter costs more than the rest of it.

/// The `N` lowest digits of `value`, in lower case.
pub(crate) fn digits<const N: usize>(value: u128) -> [u8; N] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    std::array::from_fn(|i| DIGITS[(value >> (4 * (N - 1 - i))) as usize & 0xf])
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
