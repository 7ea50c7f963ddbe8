//! A connection that leaves HTTP/1.1 for another protocol (RFC 9110, section 7.8).
//!
//! The service that answered 101 has the rest of the connection. It runs in the connection's own task, so that the
//! connection counts as one for as long as it lasts, and is told when the gateway drains. The exchange stays open until
//! then: there is one access line for it, at its end.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use http::header::{CONNECTION, HeaderValue, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, Response, Version};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use wharf_call::upgrade::Run;
use wharf_call::{Body, Upgrade, UpgradeOffer, X_REQUEST_ID};

use crate::connection::{Conn, Drain};
use crate::exchange::Exchange;
use crate::metrics;
use crate::response::{self, ResponseBody};

/// Who takes a connection over, once its 101 is out.
pub(crate) struct Handover {
    on: OnUpgrade,
    run: Run,
    exchange: Exchange,
}

/// What the client offers to go on in. HTTP/2 has no such offer, and HTTP/1.0 must not be believed one.
pub(crate) fn offered(head: &mut Parts, exchange: &mut Exchange) -> Option<UpgradeOffer> {
    let offer = head.headers.get(UPGRADE)?;
    // hyper is content with the field alone.
    if head.version != Version::HTTP_11 || !names_upgrade(&head.headers) {
        return None;
    }
    exchange.may_upgrade(head.extensions.remove());
    Some(UpgradeOffer(offer.clone()))
}

fn names_upgrade(headers: &HeaderMap) -> bool {
    let mut named =
        headers.get_all(CONNECTION).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    named.any(|name| name.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
}

/// Sends a 101, and keeps what comes after it. A 101 that the client did not offer, or that nobody goes on from, is not
/// valid.
pub(crate) fn deliver(mut response: Response<Body>, mut exchange: Exchange) -> Response<ResponseBody> {
    let on = exchange.upgrade();
    let upgrade = response.extensions_mut().remove::<Upgrade>();
    let taken = upgrade.and_then(|upgrade| Some((upgrade.protocol().clone(), upgrade.take()?)));
    let (Some((protocol, run)), Some(on)) = (taken, on) else {
        return response::deliver(response, exchange);
    };
    exchange.answered(response.status().as_u16());
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, protocol);
    headers.insert(&X_REQUEST_ID, exchange.request_id().header_value());
    let conn = exchange.shared_conn();
    conn.hand_over(Handover { on, run, exchange });
    response.map(|_| ResponseBody::none())
}

/// Lets whoever took the connection over have it, to its end.
pub(crate) async fn run(conn: &Conn, mut drain: Drain) {
    let Some(Handover { on, run, exchange }) = conn.handed_over() else { return };
    let Ok(connection) = on.await else { return };
    let draining = Box::pin(async move {
        // An error is a gateway that is gone.
        let _ = drain.wait_for(Option::is_some).await;
    });
    let ran =
        AssertUnwindSafe(async { run(Box::new(TokioIo::new(connection)), draining).await }).catch_unwind();
    match ran.await {
        Ok(()) => exchange.complete(),
        Err(panic) => {
            let mut exchange = exchange;
            exchange.failed(&metrics::panicked(&*panic));
        }
    }
}
