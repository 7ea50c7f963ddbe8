//! What happens to notes, as server-sent events.
//!
//! Instances share nothing but the bucket, and the change may be made by another one: so a listener looks for
//! the next number there, twice a second. It holds an instance for as long as it listens; `pool.max` bounds how
//! many may.

use std::time::Duration;

use wharf::sse::Event;
use wharf::{Result, Sse, time};

use crate::store::{CHANGES_KEPT, Store};

const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The changes after number `after`, at most `limit` of them. Events are numbered: a client that connects
/// again says in `after` what it has seen.
pub fn stream(store: Store, after: u64, limit: Option<u64>) -> Result<Sse> {
    let mut seen = after.max(store.last_change()?.saturating_sub(CHANGES_KEPT));
    let end = limit.map(|limit| seen.saturating_add(limit));
    Ok(Sse::new(move |mut events| async move {
        while end.is_none_or(|end| seen < end) {
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
                events.send(Event::json(&change)?.name(change.name()).id(seen.to_string())).await?;
            }
        }
        Ok(())
    }))
}
