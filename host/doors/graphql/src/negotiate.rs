//! What a client can read (RFC 9110, section 12.5.1; GraphQL over HTTP, section 4.1).

use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE};
use wharf_call::{Failure, Kind};
use wharf_doors::body::check_coding;

/// How a response is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Media {
    /// `application/graphql-response+json`: the status says what became of the request.
    Response,
    /// `application/json`: the status is 200 for everything that is a request of GraphQL.
    Json,
    /// `text/event-stream`.
    Events,
    /// `text/html`: GraphiQL.
    Html,
}

impl Media {
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Media::Response => "application/graphql-response+json; charset=utf-8",
            Media::Json => "application/json; charset=utf-8",
            Media::Events => "text/event-stream; charset=utf-8",
            Media::Html => "text/html; charset=utf-8",
        }
    }

    fn name(self) -> &'static str {
        self.content_type().split(';').next().unwrap_or_default()
    }
}

/// What a client can read, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub(crate) best: Media,
    /// Whether it can read events, too.
    pub(crate) events: bool,
}

/// Chooses by the `accept` field. Without one it is [`Media::Response`]; ranges with a star are never events or HTML.
///
/// # Errors
/// [`Kind::NotAcceptable`] when the client can read nothing that there is.
pub(crate) fn accepted(headers: &HeaderMap, html: bool) -> Result<Accepted, Failure> {
    let mut ranges = Vec::new();
    for value in headers.get_all(ACCEPT) {
        for range in
            value.to_str().unwrap_or_default().split(',').map(str::trim).filter(|range| !range.is_empty())
        {
            ranges.push(range);
        }
    }
    if ranges.is_empty() {
        return Ok(Accepted { best: Media::Response, events: false });
    }
    let quality = |media: Media, stars: bool| {
        let name = media.name();
        let mut best = (0, 0);
        for range in &ranges {
            let (range, quality) = parse(range);
            let specific = match range {
                _ if range.eq_ignore_ascii_case(name) => 3,
                "application/*" if stars => 2,
                "*/*" if stars => 1,
                _ => continue,
            };
            best = best.max((specific, quality));
        }
        best.1
    };
    let events = quality(Media::Events, false);
    let mut best = (Media::Response, quality(Media::Response, true));
    for (media, quality) in [
        (Media::Json, quality(Media::Json, true)),
        (Media::Events, events),
        (Media::Html, if html { quality(Media::Html, false) } else { 0 }),
    ] {
        if quality > best.1 {
            best = (media, quality);
        }
    }
    match best {
        (best, 1..) => Ok(Accepted { best, events: events > 0 }),
        _ => Err(Failure::new(
            Kind::NotAcceptable,
            "Accept application/graphql-response+json, application/json or text/event-stream.",
        )),
    }
}

/// A range, and its quality in thousandths. A charset other than UTF-8 is one that cannot be served.
fn parse(range: &str) -> (&str, u16) {
    let mut parts = range.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default();
    let mut quality = 1000;
    for (key, value) in parts.filter_map(|part| part.split_once('=')) {
        if key.eq_ignore_ascii_case("q") {
            let number: f32 = value.trim().parse().unwrap_or(0.0);
            quality = (number.clamp(0.0, 1.0) * 1000.0) as u16;
        } else if key.eq_ignore_ascii_case("charset") && !is_utf8(value) {
            return (name, 0);
        }
    }
    (name, quality)
}

/// Checks the type of a body. It is also what keeps pages of other origins out: a browser asks before it sends JSON.
///
/// # Errors
/// [`Kind::UnsupportedMediaType`] for anything but JSON in UTF-8, and for a body with a content coding.
pub(crate) fn is_json(headers: &HeaderMap) -> Result<(), Failure> {
    check_coding(headers)?;
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut parts = value.split(';').map(str::trim);
    let json = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("application/json"));
    let utf8 = parts
        .filter_map(|part| part.split_once('='))
        .all(|(key, value)| !key.eq_ignore_ascii_case("charset") || is_utf8(value));
    match json && utf8 {
        true => Ok(()),
        false => Err(Failure::new(
            Kind::UnsupportedMediaType,
            "The body must be JSON: send `content-type: application/json`.",
        )),
    }
}

fn is_utf8(charset: &str) -> bool {
    charset.trim_matches('"').eq_ignore_ascii_case("utf-8")
}
