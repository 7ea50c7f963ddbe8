//! What happens in the directory, as it happens.
//!
//! Instances share nothing but the bucket, and the change may be made by another one: so whoever watches looks for
//! the next number there, twice a second. A watch holds an instance for as long as it lasts; `pool.max` bounds how
//! many may.

use std::time::Duration;

use wharf::service::{Items, Stream};
use wharf::time;

use crate::accounts::{Change, Failure};
use crate::store::{CHANGES_KEPT, Store};

const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The changes after number `after`, as far as they are kept, and those to come.
pub fn changes(
    store: Store,
    after: u64,
) -> Result<impl Stream<Item = Result<Change, Failure>> + use<>, Failure> {
    let mut seen = after.max(store.last_change()?.saturating_sub(CHANGES_KEPT));
    Ok(Items::new(async move |changes| {
        loop {
            if seen >= store.last_change()? {
                time::sleep(LOOK_EVERY).await;
                continue;
            }
            seen += 1;
            let mut change = store.change(seen)?;
            if change.is_none() {
                // Whoever took the number may not have written yet, or may have ended before it could.
                time::sleep(LOOK_EVERY).await;
                change = store.change(seen)?;
            }
            if let Some(change) = change {
                changes.send(change).await;
            }
        }
    }))
}
