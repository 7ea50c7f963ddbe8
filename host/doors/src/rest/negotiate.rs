//! What a request is, and what its client takes (RFC 9110, sections 8.3 and 12.5.1).

use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE};
use wharf_call::{Failure, Kind};

use crate::body::check_coding;

/// One value as JSON.
pub(crate) const JSON: &str = "application/json";
/// A line of JSON for each value.
pub(crate) const LINES: [&str; 2] = ["application/jsonl", "application/x-ndjson"];
/// Server-sent events.
pub(crate) const EVENTS: &str = "text/event-stream";

/// The one of `offers` that the client likes best; the first of those that it likes equally.
///
/// # Errors
/// [`Kind::NotAcceptable`] when it takes none of them.
pub(crate) fn choose<'a>(headers: &HeaderMap, offers: &[&'a str]) -> Result<&'a str, Failure> {
    let mut ranges = Vec::new();
    for value in headers.get_all(ACCEPT) {
        let Ok(value) = value.to_str() else { continue };
        ranges.extend(value.split(',').filter_map(range));
    }
    if ranges.is_empty() {
        return offers.first().copied().ok_or_else(|| not_acceptable(offers));
    }
    let liked = offers.iter().map(|offer| (*offer, quality(&ranges, offer))).filter(|(_, q)| *q > 0);
    let best = liked.fold(None, |best: Option<(&str, u16)>, liked| match best {
        Some(best) if best.1 >= liked.1 => Some(best),
        _ => Some(liked),
    });
    best.map(|(offer, _)| offer).ok_or_else(|| not_acceptable(offers))
}

/// A media range, and how much it is liked: 0 to 1000.
fn range(text: &str) -> Option<(&str, u16)> {
    let mut parts = text.split(';').map(str::trim);
    let range = parts.next().filter(|range| !range.is_empty())?;
    let q = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    let q = q.map_or(Some(1.0), |q| q.parse::<f32>().ok());
    q.filter(|q| (0.0..=1.0).contains(q)).map(|q| (range, (q * 1000.0) as u16))
}

/// The most specific range that matches decides.
fn quality(ranges: &[(&str, u16)], offer: &str) -> u16 {
    let group = offer.split('/').next().unwrap_or_default();
    let specific = |range: &str| {
        if range.eq_ignore_ascii_case(offer) {
            Some(2)
        } else if range.strip_suffix("/*").is_some_and(|of| of.eq_ignore_ascii_case(group)) {
            Some(1)
        } else {
            (range == "*/*").then_some(0)
        }
    };
    let matching = ranges.iter().filter_map(|(range, q)| Some((specific(range)?, *q)));
    matching.max_by_key(|(specific, _)| *specific).map_or(0, |(_, q)| q)
}

fn not_acceptable(offers: &[&str]) -> Failure {
    Failure::new(Kind::NotAcceptable, format!("The answer is {}: put it in `accept`.", offers.join(" or ")))
}

/// Checks that the body of a request is one of `types`, in UTF-8 where it says, and as it is.
///
/// # Errors
/// [`Kind::UnsupportedMediaType`].
pub(crate) fn check_type(headers: &HeaderMap, types: &[&str]) -> Result<(), Failure> {
    check_coding(headers)?;
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut parts = value.split(';').map(str::trim);
    let media = parts.next().unwrap_or_default();
    let mut charset = parts.filter_map(|part| part.split_once('='));
    let utf8 = charset.all(|(name, value)| {
        !name.eq_ignore_ascii_case("charset") || value.trim_matches('"').eq_ignore_ascii_case("utf-8")
    });
    if utf8 && types.iter().any(|ty| ty.eq_ignore_ascii_case(media)) {
        return Ok(());
    }
    let text = format!("The body has to be {}, in UTF-8: say so in `content-type`.", types.join(" or "));
    Err(Failure::new(Kind::UnsupportedMediaType, text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn accept(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(value))])
    }

    #[test]
    fn the_most_specific_range_decides_and_then_the_order_of_the_offers() {
        let offers = [LINES[0], LINES[1], EVENTS];
        for (value, chosen) in [
            ("*/*", Some(LINES[0])),
            ("text/event-stream", Some(EVENTS)),
            ("TEXT/*", Some(EVENTS)),
            ("text/event-stream;q=0.5, application/x-ndjson; q=0.9", Some(LINES[1])),
            ("*/*;q=0.1, text/*;q=0.2", Some(EVENTS)),
            ("application/json", None),
            ("*/*, application/*;q=0, text/event-stream;q=0", None),
        ] {
            assert_eq!(choose(&accept(value), &offers).ok(), chosen, "{value}");
        }
        assert_eq!(choose(&HeaderMap::new(), &offers).ok(), Some(LINES[0]));
    }

    #[test]
    fn a_body_says_what_it_is() {
        for (value, fits) in [
            ("application/json", true),
            ("Application/JSON; charset=UTF-8", true),
            ("application/json; charset=\"utf-8\"", true),
            ("application/json; charset=latin1", false),
            ("text/plain", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(value))]);
            assert_eq!(check_type(&headers, &[JSON]).is_ok(), fits, "{value}");
        }
    }
}
