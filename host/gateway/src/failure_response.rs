//! How a failure looks on the wire: the document of [`wharf_call::problem`], and what the log gets.
//!
//! The private text goes to the log: at `warn` for a 5xx, at `info` when a plugin explained a 4xx.

use http::Response;
use wharf_call::{Failure, problem};

use crate::exchange::Exchange;
use crate::response::{self, ResponseBody};

/// Answers with `failure` and logs what the client is not told.
pub(crate) fn deliver(failure: Failure, mut exchange: Exchange) -> Response<ResponseBody> {
    exchange.failed(&failure);
    let response = problem::response(&failure, exchange.request_id().as_str(), None);
    response::deliver_checked(response, exchange)
}
