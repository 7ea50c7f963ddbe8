//! Reads, away from the executor.
//!
//! A read may have to wait for the disk, so it runs on a thread of tokio's blocking pool; few at a time,
//! because more would only wait for the same disk. It sees the newest view (`view.rs`) and waits for no
//! writer.

use std::sync::Arc;

use tokio::sync::Semaphore;
use wharf_call::KeyValueError;

use crate::tables::Fault;
use crate::view::{Published, Snapshot};

pub(crate) struct Reader {
    published: Arc<Published>,
    places: Arc<Semaphore>,
}

impl Reader {
    pub(crate) fn new(published: Arc<Published>, places: usize) -> Self {
        Reader { published, places: Arc::new(Semaphore::new(places.max(1))) }
    }

    /// What `work` finds in `bucket`.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        bucket: &str,
        work: impl FnOnce(&Snapshot<'_>) -> Result<Result<T, KeyValueError>, Fault> + Send + 'static,
    ) -> Result<T, KeyValueError> {
        let place = self.places.clone().acquire_owned().await.expect("the semaphore is never closed");
        let published = self.published.clone();
        let bucket = bucket.to_owned();
        let reading = tokio::task::spawn_blocking(move || {
            // Held to the end of the read, also when nobody waits for it any more.
            let _place = place;
            let view = published.view();
            let found = view.bucket(&bucket).and_then(|snapshot| work(&snapshot));
            found.map_err(|Fault(error)| KeyValueError::Unavailable(format!("a read failed: {error}")))?
        });
        reading.await.unwrap_or_else(|error| Err(KeyValueError::Unavailable(format!("a read: {error}"))))
    }
}
