use std::collections::BTreeMap;

use ::metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};
use parking_lot::Mutex;

use super::*;

/// Keeps sums by name and labels.
#[derive(Clone, Default)]
struct Sums(Arc<Mutex<BTreeMap<String, f64>>>);

struct Sum(Sums, String);

impl Sum {
    fn add(&self, value: f64) {
        *self.0.0.lock().entry(self.1.clone()).or_default() += value;
    }
}

impl CounterFn for Sum {
    fn increment(&self, value: u64) {
        self.add(value as f64);
    }
    fn absolute(&self, _: u64) {}
}

impl GaugeFn for Sum {
    fn increment(&self, value: f64) {
        self.add(value);
    }
    fn decrement(&self, value: f64) {
        self.add(-value);
    }
    fn set(&self, _: f64) {}
}

impl HistogramFn for Sum {
    fn record(&self, _: f64) {
        self.add(1.0);
    }
}

impl Sums {
    fn sum(&self, key: &Key) -> Arc<Sum> {
        let labels: Vec<_> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        Arc::new(Sum(self.clone(), format!("{}{{{}}}", key.name(), labels.join(","))))
    }
}

impl Recorder for Sums {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.sum(key))
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.sum(key))
    }
    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.sum(key))
    }
}

#[tokio::test]
async fn requests_are_counted_by_what_the_manifest_names() {
    let sums = Sums::default();
    let _recording = ::metrics::set_default_local_recorder(&sums);
    let host = start(Config::default(), vec![route("POST", "/echo/{x}", echo)]);
    for request in [
        "POST /echo/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi",
        "POST /echo/2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nConnection: close\r\n\r\nhey",
        "GET /elsewhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET /echo/1 HTTP/1.1\r\n\r\n",
    ] {
        host.exchange(request).await;
    }
    host.gateway.drain(PATIENCE).await;
    let sums = sums.0.lock();
    let get = |key: &str| sums.get(key).copied().unwrap_or_else(|| panic!("{key} is not in {sums:#?}"));
    assert_eq!(get("wharf_http_requests_total{route=/echo/{x},plugin=fake,status=2xx}"), 2.0);
    assert_eq!(get("wharf_http_requests_total{route=,plugin=,status=4xx}"), 2.0);
    assert_eq!(get("wharf_http_request_duration_seconds{route=/echo/{x},plugin=fake}"), 2.0);
    assert_eq!(get("wharf_http_request_bytes_total{route=/echo/{x},plugin=fake}"), 5.0);
    assert_eq!(get("wharf_http_response_bytes_total{route=/echo/{x},plugin=fake}"), 5.0);
    assert_eq!(get("wharf_http_refused_total{reason=missing_host}"), 1.0);
    assert_eq!(get("wharf_http_requests_in_flight{}"), 0.0);
    assert_eq!(get("wharf_http_connections{}"), 0.0);
    assert!(!sums.keys().any(|key| key.contains("elsewhere")), "{sums:#?}");
}
