//! GraphiQL, from the binary: no other server is asked for anything.
//!
//! A door has one path, so the page's files are told by the query: `?graphiql=app.js`.

use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use wharf_call::{Body, Failure, Kind};

use crate::negotiate::Media;

/// Scripts only from here. The editor sets styles of its own, and its fonts and pictures are in the style sheet.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                      font-src 'self' data:; img-src 'self' data:; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

const PAGE: &str = include_str!("../assets/index.html");

/// A file of the page, compressed with gzip.
pub(crate) struct Asset {
    content_type: &'static str,
    bytes: &'static [u8],
    etag: &'static str,
}

const SCRIPT: Asset = Asset {
    content_type: "text/javascript; charset=utf-8",
    bytes: include_bytes!("../assets/app.js.gz"),
    etag: "\"graphiql-3.8.3-1\"",
};
const STYLE: Asset = Asset {
    content_type: "text/css; charset=utf-8",
    bytes: include_bytes!("../assets/app.css.gz"),
    etag: "\"graphiql-3.8.3-1\"",
};

/// The file that a URL's query asks for.
pub(crate) fn asset(query: &str) -> Option<&'static Asset> {
    match query {
        "graphiql=app.js" => Some(&SCRIPT),
        "graphiql=app.css" => Some(&STYLE),
        _ => None,
    }
}

/// Answers with a file.
///
/// # Errors
/// [`Kind::NotAcceptable`] for a client that does not take gzip: it is kept in no other form.
pub(crate) fn serve(asset: &'static Asset, request: &HeaderMap) -> Result<Response<Body>, Failure> {
    let mut response = Response::new(Body::Empty);
    if request.get(IF_NONE_MATCH).is_some_and(|has| has.as_bytes() == asset.etag.as_bytes()) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else if takes_gzip(request) {
        *response.body_mut() = Body::whole(asset.bytes);
    } else {
        let text = "This file is kept compressed: send `accept-encoding: gzip`.";
        return Err(Failure::new(Kind::NotAcceptable, text));
    }
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(asset.content_type));
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(ETAG, HeaderValue::from_static(asset.etag));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}

fn takes_gzip(request: &HeaderMap) -> bool {
    let values = request.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|coding| {
        let (name, parameters) = coding.split_once(';').unwrap_or((coding, ""));
        let refused = matches!(parameters.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000");
        matches!(name.trim(), "gzip" | "x-gzip" | "*") && !refused
    })
}

/// The page.
pub(crate) fn page() -> Response<Body> {
    let mut response = Response::new(Body::whole(PAGE));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(Media::Html.content_type()));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(VARY, HeaderValue::from_static("accept"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
