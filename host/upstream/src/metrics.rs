use std::time::Duration;

use metrics::{Counter, Histogram, Unit, counter, describe_counter, describe_histogram, histogram};
use wharf_call::EgressCode;

const REQUESTS: &str = "wharf_egress_requests_total";
const SECONDS: &str = "wharf_egress_seconds";

const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

/// What is counted for one plugin. `outcome` is the class of the status, the code of the error, or
/// `abandoned` for a call that the plugin dropped.
pub(crate) struct EgressMetrics {
    by_class: [Counter; CLASSES.len()],
    by_code: Vec<Counter>,
    abandoned: Counter,
    seconds: Histogram,
}

impl EgressMetrics {
    pub(crate) fn register(plugin: &str) -> Self {
        describe_counter!(REQUESTS, "Outbound calls of plugins, by outcome.");
        describe_histogram!(SECONDS, Unit::Seconds, "From an outbound call to the head of its response.");
        let plugin = plugin.to_owned();
        let outcome = |name: &'static str| counter!(REQUESTS, "plugin" => plugin.clone(), "outcome" => name);
        EgressMetrics {
            by_class: CLASSES.map(outcome),
            by_code: EgressCode::ALL.iter().map(|code| outcome(code.name())).collect(),
            abandoned: outcome("abandoned"),
            seconds: histogram!(SECONDS, "plugin" => plugin.clone()),
        }
    }

    /// Counts one call: the status of its response, or its error, or neither when it was dropped.
    pub(crate) fn ended(&self, outcome: Option<Result<u16, EgressCode>>, took: Duration) {
        match outcome {
            Some(Ok(status)) => {
                let class = usize::from(status / 100).saturating_sub(2).min(CLASSES.len() - 1);
                self.by_class[class].increment(1);
            }
            Some(Err(code)) => self.by_code[code as usize].increment(1),
            None => self.abandoned.increment(1),
        }
        self.seconds.record(took.as_secs_f64());
    }
}
