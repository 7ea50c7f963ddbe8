//! How a failure looks on the wire: the document of [`wharf_call::problem`], and what the log gets.
//!
//! A service may have a form of its own (`HttpService::refuse`), as gRPC and GraphQL do.
//!
//! The private text goes to the log: at `warn` for a 5xx, at `info` when a plugin explained a 4xx.

use http::Response;
use wharf_call::{Failure, Refused, problem};

use crate::exchange::Exchange;
use crate::response::{self, ResponseBody};

/// Answers with `failure` and logs what the client is not told.
pub(crate) fn deliver(failure: Failure, mut exchange: Exchange) -> Response<ResponseBody> {
    exchange.failed(&failure);
    let id = exchange.request_id().clone();
    let shaped = exchange.target().and_then(|target| target.refuse(&failure, id.as_str()));
    let mut response = shaped.unwrap_or_else(|| problem::response(&failure, id.as_str(), None));
    response.extensions_mut().remove::<Refused>(); // it has been logged
    response::deliver_checked(response, exchange)
}
