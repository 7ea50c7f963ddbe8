use std::time::Duration;

use wharf_call::units::show_duration_ms;
pub(super) use wharf_call::units::show_size;

const SIZE_UNITS: &[(&str, u64)] = &[
    ("B", 1),
    ("KB", 1_000),
    ("KiB", 1 << 10),
    ("MB", 1_000_000),
    ("MiB", 1 << 20),
    ("GB", 1_000_000_000),
    ("GiB", 1 << 30),
    ("TB", 1_000_000_000_000),
    ("TiB", 1 << 40),
];

const TIME_UNITS: &[(&str, u64)] = &[("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];

/// Reads `64MiB`, `10KB` or `512` (bytes). The error says what is wrong, to be read after "is".
pub(super) fn parse_size(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text);
    let factor = match unit {
        "" => 1,
        unit => factor(SIZE_UNITS, unit).ok_or_else(|| {
            format!("not a size: the unit {unit:?} is none of B, KB, KiB, MB, MiB, GB, GiB, TB, TiB")
        })?,
    };
    multiply(number, factor).ok_or_else(|| "not a size: it needs a whole number and a unit".to_owned())
}

/// Reads `50ms`, `5s`, `2m` or `1h`. The error says what is wrong, to be read after "is".
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text);
    let factor = match unit {
        "" => return Err("not a duration: it needs a unit, one of ms, s, m, h".into()),
        unit => factor(TIME_UNITS, unit)
            .ok_or_else(|| format!("not a duration: the unit {unit:?} is none of ms, s, m, h"))?,
    };
    let ms = multiply(number, factor);
    ms.map(Duration::from_millis)
        .ok_or_else(|| "not a duration: it needs a whole number and a unit".to_owned())
}

/// The shortest exact form, in milliseconds and up.
pub(super) fn show_duration(duration: Duration) -> String {
    show_duration_ms(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

fn split(text: &str) -> (&str, &str) {
    text.split_at(text.find(|char: char| char.is_ascii_alphabetic()).unwrap_or(text.len()))
}

fn factor(units: &[(&str, u64)], unit: &str) -> Option<u64> {
    units.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor)
}

fn multiply(number: &str, factor: u64) -> Option<u64> {
    let digits = number.bytes().all(|byte| byte.is_ascii_digit());
    number.parse::<u64>().ok().filter(|_| digits)?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_decimal_and_binary_units() {
        for (text, bytes) in
            [("512", 512), ("0", 0), ("10KB", 10_000), ("64MiB", 64 << 20), ("1TiB", 1 << 40)]
        {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for bad in ["", "MiB", "1.5MiB", "-1", "+1", "64 MiB", "64mib", "64M", "99999999999TiB", "٣KB"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_always_have_a_unit() {
        for (text, ms) in [("50ms", 50), ("5s", 5_000), ("2m", 120_000), ("1h", 3_600_000), ("0s", 0)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for bad in ["", "5", "s", "0.5s", "5 s", "5sec", "-1s", "1h30m", "18446744073709551615h"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_shown_reads_back_as_the_same() {
        for bytes in [0, 1, 512, 1 << 10, 1_000, (1 << 20) + 1, 64 << 20, 1 << 40] {
            assert_eq!(parse_size(&show_size(bytes)), Ok(bytes));
        }
        for ms in [0, 1, 999, 1_000, 61_000, 60_000, 7_200_000] {
            let duration = Duration::from_millis(ms);
            assert_eq!(parse_duration(&show_duration(duration)), Ok(duration));
        }
        assert_eq!(show_size(64 << 20), "64MiB");
        assert_eq!(show_duration(Duration::from_secs(600)), "10m");
    }
}
