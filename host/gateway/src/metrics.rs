//! The metrics of the gateway. Labels come from the manifest or from lists in this crate, never from a
//! request; handles are made once per route, because a lookup by name costs more than the count.

use std::any::Any;
use std::time::Duration;

use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};
use wharf_call::{Failure, Kind};

const REQUESTS: &str = "wharf_http_requests_total";
const DURATION: &str = "wharf_http_request_duration_seconds";
const REQUEST_BYTES: &str = "wharf_http_request_bytes_total";
const RESPONSE_BYTES: &str = "wharf_http_response_bytes_total";
const IN_FLIGHT: &str = "wharf_http_requests_in_flight";
const CONNECTIONS: &str = "wharf_http_connections";
const REFUSED: &str = "wharf_http_refused_total";
const PANICS: &str = "wharf_http_panics_total";

fn describe() {
    describe_counter!(REQUESTS, "Requests by route, plugin and class of status; `cut` ended without one.");
    describe_histogram!(DURATION, Unit::Seconds, "From the request's head to the end of its response.");
    describe_counter!(REQUEST_BYTES, Unit::Bytes, "Bytes of request bodies.");
    describe_counter!(RESPONSE_BYTES, Unit::Bytes, "Bytes of response bodies.");
    describe_gauge!(IN_FLIGHT, "Requests whose response has not ended.");
    describe_gauge!(CONNECTIONS, "Open client connections.");
    describe_counter!(REFUSED, "Requests that the gateway itself refused, by reason.");
    describe_counter!(PANICS, "Panics that were contained in one request or connection.");
}

/// What is counted for the host as a whole.
pub(crate) struct GatewayMetrics {
    pub(crate) in_flight: Gauge,
    pub(crate) connections: Gauge,
    /// For requests that found no route.
    pub(crate) unrouted: RouteMetrics,
}

impl GatewayMetrics {
    /// Registers with the recorder that is installed now; without one, counts go nowhere.
    pub(crate) fn register() -> Self {
        describe();
        GatewayMetrics {
            in_flight: gauge!(IN_FLIGHT),
            connections: gauge!(CONNECTIONS),
            unrouted: RouteMetrics::register("", ""),
        }
    }
}

/// What is counted for one route.
pub(crate) struct RouteMetrics {
    by_class: [Counter; CLASSES.len()],
    duration: Histogram,
    request_bytes: Counter,
    response_bytes: Counter,
}

/// `cut` is for requests that ended before they had a status: the client went away.
const CLASSES: [&str; 5] = ["cut", "2xx", "3xx", "4xx", "5xx"];

impl RouteMetrics {
    pub(crate) fn register(route: &str, plugin: &str) -> Self {
        let (route, plugin) = (route.to_owned(), plugin.to_owned());
        let labels = [("route", route.clone()), ("plugin", plugin.clone())];
        RouteMetrics {
            by_class: CLASSES.map(|class| {
                counter!(REQUESTS, "route" => route.clone(), "plugin" => plugin.clone(), "status" => class)
            }),
            duration: histogram!(DURATION, &labels),
            request_bytes: counter!(REQUEST_BYTES, &labels),
            response_bytes: counter!(RESPONSE_BYTES, &labels),
        }
    }

    /// Counts one request; `status` is 0 when there was none.
    pub(crate) fn ended(&self, status: u16, took: Duration, request_bytes: u64, response_bytes: u64) {
        let class = usize::from(status / 100).saturating_sub(1).min(CLASSES.len() - 1);
        self.by_class[class].increment(1);
        self.duration.record(took.as_secs_f64());
        if request_bytes > 0 {
            self.request_bytes.increment(request_bytes);
        }
        if response_bytes > 0 {
            self.response_bytes.increment(response_bytes);
        }
    }
}

/// Counts a refusal of the gateway itself, and hands the failure on.
pub(crate) fn refusal(reason: &'static str, failure: Failure) -> Failure {
    counter!(REFUSED, "reason" => reason).increment(1);
    failure
}

/// Counts a panic that was caught, and makes it the failure of its request.
pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Failure {
    counter!(PANICS).increment(1);
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Failure::new(Kind::Internal, "The request could not be completed.")
        .with_private(format!("panic: {}", text.unwrap_or("without a message")))
}

/// Counts a panic that ended a whole connection.
pub(crate) fn connection_panicked() {
    counter!(PANICS).increment(1);
}
