//! Waiting without computing, through `wasi:clocks` 0.3.

use std::time::Duration;

/// Resumes after `duration`, to the nanosecond, at most 584 years.
pub async fn wait(duration: Duration) {
    wharf::time::sleep(duration).await;
}

/// Waits longer than any test: a year.
pub async fn wait_forever() {
    wait(Duration::from_secs(365 * 24 * 60 * 60)).await;
}
