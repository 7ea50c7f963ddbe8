//! What the door serves for people: the document, and Swagger UI, which reads it. All of it is in the binary.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Read;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use flate2::read::GzDecoder;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, LOCATION, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use wharf_call::{Body, Failure, Kind};

/// Where the document is.
pub const DOCUMENT: &str = "/openapi.json";
/// Where Swagger UI is.
pub const UI: &str = "/docs";

/// The door's pages.
#[derive(Default)]
pub(crate) struct Pages(Mutex<Option<(Bytes, HeaderValue)>>);

struct Asset {
    path: &'static str,
    media: &'static str,
    gzip: &'static [u8],
}

macro_rules! gzip {
    ($name:literal) => {
        include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".gz"))
    };
}

const SCRIPT: &str = "text/javascript; charset=utf-8";

const ASSETS: [Asset; 3] = [
    Asset { path: "/docs/swagger-ui-bundle.js", media: SCRIPT, gzip: gzip!("swagger-ui-bundle.js") },
    Asset { path: "/docs/swagger-ui.css", media: "text/css; charset=utf-8", gzip: gzip!("swagger-ui.css") },
    Asset { path: "/docs/LICENSE", media: "text/plain; charset=utf-8", gzip: gzip!("LICENSE") },
];

const PAGE: &str = include_str!("index.html");
const START: &str = include_str!("start.js");

/// Nothing from elsewhere, no script in the page, no frame around it. Swagger UI puts styles on its elements, and has icons as
/// `data:` addresses.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

impl Pages {
    /// The next request for the document makes it anew.
    pub(crate) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The page at `path`, if there is one.
    pub(crate) fn answer(
        &self,
        path: &str,
        request: &Request<Body>,
        document: impl FnOnce() -> serde_json::Value,
    ) -> Option<Result<Response<Body>, Failure>> {
        let asset = ASSETS.iter().find(|asset| asset.path == path);
        if asset.is_none() && ![DOCUMENT, UI, "/docs/start.js"].contains(&path) {
            return None;
        }
        if ![Method::GET, Method::HEAD].contains(request.method()) {
            let text = "This address does not serve the method.";
            return Some(Err(Failure::new(Kind::MethodNotAllowed, text).with_allow("GET, HEAD")));
        }
        let headers = request.headers();
        Some(match (path, asset) {
            (_, Some(asset)) => asset.answer(headers),
            (DOCUMENT, _) => {
                let (json, tag) = self.document(document);
                Ok(page(headers, "application/json", json, tag))
            }
            // The page's addresses are relative: without the slash they would be beside it.
            (UI, _) if !request.uri().path().ends_with('/') => Ok(moved()),
            (UI, _) => {
                let mut response = text(headers, "text/html; charset=utf-8", PAGE);
                let fields = response.headers_mut();
                fields.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
                fields.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
                Ok(response)
            }
            _ => Ok(text(headers, SCRIPT, START)),
        })
    }

    fn document(&self, make: impl FnOnce() -> serde_json::Value) -> (Bytes, HeaderValue) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get_or_insert_with(|| {
            let json = Bytes::from(make().to_string());
            let tag = tag(&json, "");
            (json, tag)
        })
        .clone()
    }
}

impl Asset {
    fn answer(&self, headers: &HeaderMap) -> Result<Response<Body>, Failure> {
        let zipped = takes_gzip(headers);
        // The checksum at the end of a gzip is of what it holds.
        let tag = tag(&self.gzip[self.gzip.len() - 8..], if zipped { "-gzip" } else { "" });
        let mut response = if zipped {
            page(headers, self.media, Bytes::from_static(self.gzip), tag)
        } else {
            let mut inflated = Vec::new();
            GzDecoder::new(self.gzip).read_to_end(&mut inflated).map_err(|error| {
                let failure = Failure::new(Kind::Internal, "The page could not be read.");
                failure.with_private(error.to_string())
            })?;
            page(headers, self.media, inflated.into(), tag)
        };
        if zipped && response.status() == StatusCode::OK {
            response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response.headers_mut().insert(VARY, HeaderValue::from_static("accept-encoding"));
        Ok(response)
    }
}

fn text(headers: &HeaderMap, media: &'static str, text: &'static str) -> Response<Body> {
    page(headers, media, Bytes::from_static(text.as_bytes()), tag(text.as_bytes(), ""))
}

/// A page, or 304 where the client has it already (RFC 9110, section 13.1.2).
fn page(headers: &HeaderMap, media: &'static str, bytes: Bytes, tag: HeaderValue) -> Response<Body> {
    let known = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut known = known.flat_map(|value| value.split(',').map(str::trim));
    let is_known = known
        .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known).as_bytes() == tag.as_bytes());
    let mut response = Response::new(if is_known { Body::Empty } else { Body::whole(bytes) });
    let fields = response.headers_mut();
    fields.insert(ETAG, tag);
    // It changes with a swap: asked for each time, sent only when it is another.
    fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        fields.insert(CONTENT_TYPE, HeaderValue::from_static(media));
        fields.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    }
    response
}

fn moved() -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    response.headers_mut().insert(LOCATION, HeaderValue::from_static("/docs/"));
    response
}

/// A strong tag: the same bytes have the same, and others another, as far as 64 bits tell them apart.
fn tag(bytes: &[u8], suffix: &str) -> HeaderValue {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    let tag = HeaderValue::from_str(&format!("\"{:016x}{suffix}\"", hasher.finish()));
    tag.unwrap_or_else(|_| HeaderValue::from_static("\"0\""))
}

fn takes_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let mut codings = values.flat_map(|value| value.split(','));
    codings.any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let is_gzip = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        is_gzip && !parts.any(|part| part.strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0)))
    })
}
