use std::future::Future;
use std::pin::pin;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use tokio::runtime::Builder;

/// Tests share it, unless they must not be disturbed.
static QUIET: RwLock<()> = RwLock::new(());

/// Runs a test, beside others, for at most four minutes: the first run compiles every guest.
pub fn run(test: impl Future<Output = ()>) {
    let _shared = QUIET.read().unwrap_or_else(PoisonError::into_inner);
    block_on(on_two_threads(), Duration::from_secs(240), test);
}

/// Runs a test while no other test of this binary runs: for what measures time, memory or open files.
pub fn run_alone(limit: Duration, test: impl Future<Output = ()>) {
    let _alone = QUIET.write().unwrap_or_else(PoisonError::into_inner);
    block_on(on_two_threads(), limit, test);
}

/// The same, with all that the test does on the thread that calls this: for what asks how long that thread has waited
/// ([`crate::process::waited_for_a_core`]).
pub fn run_alone_on_one_thread(limit: Duration, test: impl Future<Output = ()>) {
    let _alone = QUIET.write().unwrap_or_else(PoisonError::into_inner);
    block_on(Builder::new_current_thread(), limit, test);
}

fn on_two_threads() -> Builder {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2);
    builder
}

fn block_on(mut threads: Builder, limit: Duration, test: impl Future<Output = ()>) {
    let runtime = threads.enable_all().build().unwrap();
    runtime.block_on(async {
        // The test must still exist when this panics: its hosts print their logs while unwinding.
        let mut test = pin!(test);
        if tokio::time::timeout(limit, &mut test).await.is_err() {
            panic!("the test has not ended within {limit:?}");
        }
    });
    // A task that a failing test has left behind must not keep the test from ending.
    runtime.shutdown_timeout(Duration::from_secs(1));
}

/// The result of `what`, or a panic that names it when it takes longer than `limit`.
pub async fn within<T>(limit: Duration, what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(limit, future).await {
        Ok(result) => result,
        Err(_) => panic!("waited longer than {limit:?} for {what}"),
    }
}

/// What `ask` gives once it gives something, within 30 seconds.
///
/// For what the host does not announce, such as memory that it has given back: it is asked again every 10 ms.
/// Anything that shows in an answer or a log line is waited for there.
pub async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    within(Duration::from_secs(30), what, async {
        let mut again = tokio::time::interval(Duration::from_millis(10));
        loop {
            again.tick().await;
            if let Some(found) = ask().await {
                return found;
            }
        }
    })
    .await
}
