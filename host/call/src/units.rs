//! Sizes and durations, shown as the manifest has them.

/// The units of sizes.
const SIZE_UNITS: &[(&str, u64)] =
    &[("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];
/// The units of durations, in milliseconds.
const TIME_UNITS: &[(&str, u64)] = &[("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];

/// The shortest exact form: `64MiB`, `1000B`, and `0` for nothing.
pub fn show_size(bytes: u64) -> String {
    show(bytes, SIZE_UNITS)
}

/// The shortest exact form: `5s`, `1500ms`, and `0s` for nothing.
pub fn show_duration_ms(ms: u64) -> String {
    if ms == 0 { "0s".into() } else { show(ms, TIME_UNITS) }
}

fn show(value: u64, units: &[(&str, u64)]) -> String {
    let exact = units.iter().rev().find(|(_, factor)| value.is_multiple_of(*factor) && value >= *factor);
    exact.map_or_else(|| value.to_string(), |(name, factor)| format!("{}{name}", value / factor))
}
