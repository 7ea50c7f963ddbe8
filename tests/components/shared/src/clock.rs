//! Waiting without computing, through `wasi:clocks` 0.3.

use std::time::Duration;

wit_bindgen::generate!({
    inline: "
        package wasi:clocks@0.3.0;

        interface monotonic-clock {
            type duration = u64;
            wait-for: async func(how-long: duration);
        }

        world waiting {
            import monotonic-clock;
        }
    ",
});

/// Resumes after `duration`, to the nanosecond, at most 584 years.
pub async fn wait(duration: Duration) {
    let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    wasi::clocks::monotonic_clock::wait_for(nanoseconds).await;
}

/// Waits longer than any test: a year.
pub async fn wait_forever() {
    wait(Duration::from_secs(365 * 24 * 60 * 60)).await;
}
