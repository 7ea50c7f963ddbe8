//! Reads, away from the executor.
//!
//! A read may have to wait for the disk, so it runs on a thread of tokio's blocking pool; few at a time,
//! because more would only wait for the same disk. It sees the newest commit and waits for no writer.

use std::sync::Arc;

use redb::{Database, ReadableDatabase};
use tokio::sync::Semaphore;
use wharf_call::KeyValueError;

use crate::tables::{Fault, Snapshot};

pub(crate) struct Reader {
    database: Arc<Database>,
    places: Arc<Semaphore>,
}

impl Reader {
    pub(crate) fn new(database: Arc<Database>, places: usize) -> Self {
        Reader { database, places: Arc::new(Semaphore::new(places.max(1))) }
    }

    /// What `work` finds in `bucket`.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        bucket: &str,
        work: impl FnOnce(&Snapshot) -> Result<Result<T, KeyValueError>, Fault> + Send + 'static,
    ) -> Result<T, KeyValueError> {
        let place = self.places.clone().acquire_owned().await.expect("the semaphore is never closed");
        let database = self.database.clone();
        let bucket = bucket.to_owned();
        let reading = tokio::task::spawn_blocking(move || {
            // Held to the end of the read, also when nobody waits for it any more.
            let _place = place;
            let transaction = database.begin_read().map_err(unavailable)?;
            let snapshot =
                Snapshot::open(&transaction, &bucket).map_err(|Fault(error)| unavailable(error))?;
            work(&snapshot).map_err(|Fault(error)| unavailable(error))?
        });
        reading.await.unwrap_or_else(|error| Err(KeyValueError::Unavailable(format!("a read: {error}"))))
    }
}

fn unavailable(error: impl Into<redb::Error>) -> KeyValueError {
    KeyValueError::Unavailable(format!("a read failed: {}", error.into()))
}
