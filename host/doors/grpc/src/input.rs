//! What a client streams, as values.

use std::sync::{Arc, OnceLock};

use futures_util::stream;
use wharf_call::{Failure, Kind, Value, ValueStream};

use crate::door::Exchange;
use crate::frame::Frames;

struct Items {
    exchange: Arc<Exchange>,
    frames: Frames,
    /// The item that came with the parameters.
    first: Option<Value>,
    failed: Arc<OnceLock<Failure>>,
}

/// The items of the messages in `frames`, after `first`, each read when it is asked for. A message that is refused ends the
/// stream, and is left in `failed`.
pub(crate) fn items(
    exchange: Arc<Exchange>,
    frames: Frames,
    first: Option<Value>,
    failed: Arc<OnceLock<Failure>>,
) -> ValueStream {
    let items = Items { exchange, frames, first, failed };
    Box::pin(stream::unfold(Some(items), |items| async move {
        let mut items = items?;
        if let Some(first) = items.first.take() {
            return Some((Ok(first), Some(items)));
        }
        match items.next().await {
            Ok(Some(item)) => Some((Ok(item), Some(items))),
            Ok(None) => None,
            Err(failure) => {
                let _ = items.failed.set(failure.clone());
                Some((Err(failure), None))
            }
        }
    }))
}

impl Items {
    async fn next(&mut self) -> Result<Option<Value>, Failure> {
        let Some(message) = self.frames.next().await? else { return Ok(None) };
        let method = self.exchange.method();
        let item = self.exchange.read(&method.request[method.params..], &message)?.pop();
        match item {
            Some(Value::Option(Some(item))) => Ok(Some(*item)),
            _ => Err(Failure::new(
                Kind::BadRequest,
                "item: is missing. Only the first message, which has the parameters, may go without.",
            )),
        }
    }
}
