//! Waiting, and what time it is.
//!
//! Waiting costs the plugin no CPU budget. In native tests the clock does not wait: see
//! [`testing`](crate::testing).
//!
//! ```
//! # use wharf_sdk as wharf;
//! use std::time::Duration;
//! use wharf::{Result, time};
//!
//! #[wharf::handler]
//! async fn slow() -> Result<&'static str> {
//!     time::sleep(Duration::from_millis(200)).await;
//!     Ok("at last\n")
//! }
//! ```
//!
//! It needs no grant.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, SystemTime};

/// Returns after `duration`.
pub async fn sleep(duration: Duration) {
    sys::sleep(duration).await;
}

/// The time of day.
pub fn now() -> SystemTime {
    sys::now()
}

/// What `future` gives, if it gives it within `duration`. Otherwise it is dropped.
///
/// # Errors
/// [`Elapsed`] after `duration`.
pub async fn timeout<T>(duration: Duration, future: impl Future<Output = T>) -> Result<T, Elapsed> {
    let mut future = pin!(future);
    let mut timer = pin!(sleep(duration));
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(value) => Poll::Ready(Ok(value)),
        Poll::Pending => timer.as_mut().poll(cx).map(|()| Err(Elapsed)),
    })
    .await
}

/// It took longer than it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it took longer than it was given")
    }
}

impl std::error::Error for Elapsed {}

#[cfg(target_family = "wasm")]
mod sys {
    use super::*;
    use crate::bindings::clocks::monotonic_clock;

    pub(super) async fn sleep(duration: Duration) {
        monotonic_clock::wait_for(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)).await;
    }

    pub(super) fn now() -> SystemTime {
        SystemTime::now()
    }
}

#[cfg(not(target_family = "wasm"))]
mod sys {
    use super::*;
    use crate::testing;

    pub(super) async fn sleep(duration: Duration) {
        testing::sleep_until(testing::now().saturating_add(duration)).await;
    }

    pub(super) fn now() -> SystemTime {
        testing::time_of_day()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::block_on;

    #[test]
    fn a_timeout_ends_what_takes_too_long_and_nothing_else() {
        block_on(async {
            let slow = async {
                sleep(Duration::from_secs(10)).await;
                "done"
            };
            assert_eq!(timeout(Duration::from_secs(1), slow).await, Err(Elapsed));
            let quick = async {
                sleep(Duration::from_millis(10)).await;
                "done"
            };
            assert_eq!(timeout(Duration::from_secs(1), quick).await, Ok("done"));
        });
    }
}
