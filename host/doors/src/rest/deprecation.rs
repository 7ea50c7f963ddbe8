//! `Deprecation` (RFC 9745) and `Sunset` (RFC 8594) of what the WIT says is on its way out.

use std::time::{Duration, UNIX_EPOCH};

use http::{HeaderMap, HeaderName, HeaderValue};
use wharf_call::{Docs, Function, Interface};

static DEPRECATION: HeaderName = HeaderName::from_static("deprecation");
static SUNSET: HeaderName = HeaderName::from_static("sunset");

/// The fields for one function, made once.
#[derive(Clone, Default)]
pub(super) struct Deprecation {
    since: Option<HeaderValue>,
    sunset: Option<HeaderValue>,
}

impl Deprecation {
    /// Of a function, or the interface that it is in, with `@deprecated(version = …)`.
    ///
    /// WIT says since which version, not since when: the date is that of the annotation `@deprecated-on 2026-01-31` in the
    /// docs, or the beginning of 1970, which says no more than that it is over. `@sunset 2027-01-31` adds the day from which
    /// it may be gone.
    pub(super) fn of(interface: &Interface, function: &Function) -> Self {
        let both = [&function.docs, &interface.docs];
        if !both.iter().any(|docs| is_deprecated(docs)) {
            return Deprecation::default();
        }
        let day = |name| both.iter().find_map(|docs| docs.annotation(name)).and_then(days);
        let since = i64::try_from(day("deprecated-on").unwrap_or(0) * SECONDS).unwrap_or(0);
        let sunset = day("sunset").map(|day| UNIX_EPOCH + Duration::from_secs(day * SECONDS));
        Deprecation {
            since: HeaderValue::from_str(&format!("@{since}")).ok(),
            sunset: sunset.and_then(|at| HeaderValue::from_str(&httpdate::fmt_http_date(at)).ok()),
        }
    }

    pub(super) fn write(&self, headers: &mut HeaderMap) {
        if let Some(since) = &self.since {
            headers.insert(&DEPRECATION, since.clone());
        }
        if let Some(sunset) = &self.sunset {
            headers.insert(&SUNSET, sunset.clone());
        }
    }
}

const SECONDS: u64 = 24 * 60 * 60;

fn is_deprecated(docs: &Docs) -> bool {
    docs.deprecated.is_some()
}

/// Days since 1970 of a date such as `2026-01-31` (Hinnant, "chrono-compatible low-level date algorithms").
fn days(date: &str) -> Option<u64> {
    let mut parts = date.split('-').map(|part| part.parse::<u64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    if !(1970..10_000).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    (era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year).checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_since_1970() {
        for (date, expected) in [
            ("1970-01-01", Some(0)),
            ("2000-03-01", Some(11_017)),
            ("2026-11-26", Some(20_783)),
            ("2026-13-01", None),
            ("soon", None),
            ("1969-12-31", None),
        ] {
            assert_eq!(days(date), expected, "{date}");
        }
    }
}
