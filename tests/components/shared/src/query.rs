//! Numbers from query strings.

use wharf::{OrFail, Request, Result};

/// The value of `name` in the query, or `default`.
pub fn number(request: &Request, name: &str, default: u64) -> Result<u64> {
    value(request, name).map_or(Ok(default), |text| text.parse().or_bad_request("not a number"))
}

/// Whether `name` occurs in the query.
pub fn flag(request: &Request, name: &str) -> bool {
    value(request, name).is_some()
}

fn value<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    let pairs = request.uri().query()?.split('&');
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).find(|(own, _)| *own == name).map(|(_, v)| v)
}
