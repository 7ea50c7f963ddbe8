use std::cell::RefCell;
use std::time::Duration;

thread_local! {
    /// The second of which this thread has written something last, and its text.
    static SECOND: RefCell<(u64, String)> = const { RefCell::new((0, String::new())) };
}

/// Writes the time `since` 1970-01-01 (UTC) as RFC 3339 with milliseconds: `2026-11-23T12:00:01.123Z`.
///
/// By hand, because a line is formatted for each request. Years above 9999 do not fit.
pub(crate) fn push_timestamp(out: &mut String, since: Duration) {
    SECOND.with_borrow_mut(|(second, text)| {
        if *second != since.as_secs() || text.is_empty() {
            *second = since.as_secs();
            *text = to_the_second(*second);
        }
        out.push_str(text);
    });
    let mut millis = *b"000";
    put(&mut millis, since.subsec_millis().into());
    out.extend(millis.map(char::from));
    out.push('Z');
}

/// What a time of this second begins with.
fn to_the_second(seconds: u64) -> String {
    let (year, month, day) = civil_from_days(seconds / 86_400);
    let second = seconds % 86_400;
    let mut text = *b"0000-00-00T00:00:00.";
    put(&mut text[0..4], year);
    put(&mut text[5..7], month);
    put(&mut text[8..10], day);
    put(&mut text[11..13], second / 3_600);
    put(&mut text[14..16], second / 60 % 60);
    put(&mut text[17..19], second % 60);
    text.map(char::from).into_iter().collect()
}

/// Writes `value` into `digits`, the last digit last.
fn put(digits: &mut [u8], mut value: u64) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar.
///
/// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`
/// (<https://howardhinnant.github.io/date_algorithms.html>), for days since the epoch only: years are
/// shifted to start in March, so that the leap day is the last day of one.
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468; // from 0000-03-01
    let era = days / 146_097; // 400 years
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153; // 0 is March
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + 400 * era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_rfc_3339() {
        let at = |seconds, millis: u32| {
            let mut out = String::new();
            push_timestamp(&mut out, Duration::new(seconds, millis * 1_000_000));
            out
        };
        assert_eq!(at(0, 0), "1970-01-01T00:00:00.000Z");
        assert_eq!(at(951_782_399, 999), "2000-02-28T23:59:59.999Z");
        assert_eq!(at(951_782_400, 0), "2000-02-29T00:00:00.000Z");
        assert_eq!(at(951_868_800, 0), "2000-03-01T00:00:00.000Z");
        assert_eq!(at(1_795_435_201, 123), "2026-11-23T12:00:01.123Z");
        assert_eq!(at(1_795_435_201, 9), "2026-11-23T12:00:01.009Z");
        assert_eq!(at(4_107_542_400, 7), "2100-03-01T00:00:00.007Z");
    }

    #[test]
    fn a_day_follows_the_day_before() {
        let mut before = civil_from_days(0);
        for day in 1..80_000 {
            let (year, month, date) = civil_from_days(day);
            let next = if date > 1 {
                (year, month, date - 1) == before
            } else if month > 1 {
                (year, month - 1) == (before.0, before.1) && before.2 >= 28
            } else {
                before == (year - 1, 12, 31)
            };
            assert!(next, "{before:?} is followed by {year}-{month}-{date}");
            before = (year, month, date);
        }
    }
}
