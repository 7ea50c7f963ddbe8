//! Server-sent events (WHATWG HTML, section 9.2): what the doors that stream them have in common.

use std::time::Duration;

use futures_util::{Stream, StreamExt};
use tokio::time::timeout;

/// After so long without an event, [`COMMENT`] goes out: proxies take a connection that is silent for dead (section
/// 9.2.7, which recommends every 15 seconds or so).
pub const SILENCE: Duration = Duration::from_secs(15);

/// A line that is no event.
pub const COMMENT: &[u8] = b":\n\n";

/// The event that says that all is said, so that a browser does not ask again.
pub const COMPLETE: &[u8] = b"event: complete\ndata:\n\n";

/// What a stream of events has to say next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<T> {
    /// An item of the stream.
    Item(T),
    /// Nothing for [`SILENCE`]: a comment is due.
    Silent,
    /// The stream has ended.
    End,
}

/// Waits for the next item, but not for longer than [`SILENCE`]. The stream is polled in place, so that nothing is lost.
pub async fn next<S: Stream + Unpin>(stream: &mut S) -> Next<S::Item> {
    match timeout(SILENCE, stream.next()).await {
        Ok(Some(item)) => Next::Item(item),
        Ok(None) => Next::End,
        Err(_) => Next::Silent,
    }
}
