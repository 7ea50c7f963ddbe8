//! What a guest streams, on its way to whoever reads it.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_util::Stream;
use parking_lot::Mutex;
use tokio::task::AbortHandle;
use wharf_call::limits::Tally;
use wharf_call::{Exceeded, Failure, LimitKey, Reservation, Value};

use super::guest::Returned;
use crate::answer::Answer;
use crate::epoch::Meter;
use crate::time_limit::StreamTimes;
use crate::values::payload_bytes;

/// Makes the two ends of a stream, which is all that is still to come of `answer`.
pub(super) fn pipe(answer: &Answer<Returned>) -> (Writer, Reader) {
    let shared = Arc::new(Mutex::new(Shared::default()));
    (Writer { shared: shared.clone(), answer: answer.clone() }, Reader { shared })
}

#[derive(Default)]
struct Shared {
    items: VecDeque<Item>,
    /// How it ended: well, or with what cut it short.
    end: Option<Result<(), Failure>>,
    /// Somebody waits for an item that nobody makes yet.
    wanted: bool,
    reader_gone: bool,
    /// Functions of the guest that work on the stream, or its tasks.
    busy: u32,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

struct Item {
    value: Value,
    _held: Option<Reservation>,
}

/// What is asked of the writer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// The next item.
    Item,
    /// Nothing any more: nobody reads on.
    Nothing,
}

/// The guest's side. Dropping it is the end of the stream.
pub(super) struct Writer {
    shared: Arc<Mutex<Shared>>,
    answer: Answer<Returned>,
}

impl Writer {
    /// Waits until the reader asks for an item.
    pub(super) async fn asked(&self) -> Asked {
        poll_fn(|cx| {
            let mut shared = self.shared.lock();
            if shared.reader_gone {
                Poll::Ready(Asked::Nothing)
            } else if std::mem::take(&mut shared.wanted) {
                Poll::Ready(Asked::Item)
            } else {
                shared.writer = Some(cx.waker().clone());
                Poll::Pending
            }
        })
        .await
    }

    /// Waits until there is room for items that nobody has asked for: when all others were taken.
    pub(super) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<Asked> {
        let mut shared = self.shared.lock();
        if shared.reader_gone {
            Poll::Ready(Asked::Nothing)
        } else if shared.items.is_empty() {
            Poll::Ready(Asked::Item)
        } else {
            shared.writer = Some(cx.waker().clone());
            Poll::Pending
        }
    }

    /// Gives an item.
    pub(super) fn put(&self, value: Value, held: Option<Reservation>) {
        let mut shared = self.shared.lock();
        shared.items.push_back(Item { value, _held: held });
        shared.wake_reader();
    }

    /// From here until the value is dropped, a function of the guest works on the stream: who stops reading
    /// meanwhile ends its instance.
    pub(super) fn busy(&self) -> Busy {
        self.shared.lock().busy += 1;
        Busy(self.shared.clone())
    }

    /// Says how the stream ended; the first to say so is right.
    pub(super) fn finish(&self, end: Result<(), Failure>) {
        let mut shared = self.shared.lock();
        if shared.end.is_none() {
            shared.end = Some(end);
        }
        shared.wake_reader();
        drop(shared);
        self.answer.end();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.finish(Ok(()));
    }
}

impl Shared {
    fn wake_reader(&mut self) {
        if let Some(waker) = self.reader.take() {
            waker.wake();
        }
    }
}

/// See [`Writer::busy`].
pub(super) struct Busy(Arc<Mutex<Shared>>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.lock().busy -= 1;
    }
}

/// The other side.
pub(crate) struct Reader {
    shared: Arc<Mutex<Shared>>,
}

impl Reader {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Value, Failure>>> {
        let mut shared = self.shared.lock();
        if let Some(item) = shared.items.pop_front() {
            if shared.items.is_empty()
                && let Some(waker) = shared.writer.take()
            {
                waker.wake();
            }
            return Poll::Ready(Some(Ok(item.value)));
        }
        if let Some(end) = &mut shared.end {
            return Poll::Ready(std::mem::replace(end, Ok(())).err().map(Err));
        }
        shared.wanted = true;
        shared.reader = Some(cx.waker().clone());
        if let Some(waker) = shared.writer.take() {
            waker.wake();
        }
        Poll::Pending
    }

    /// Nobody reads on. True when the guest is not at work on the stream.
    fn leave(&self) -> bool {
        let mut shared = self.shared.lock();
        shared.reader_gone = true;
        shared.items.clear();
        if let Some(waker) = shared.writer.take() {
            waker.wake();
        }
        shared.busy == 0
    }
}

/// A stream of values: bounded, watched for silence, and tied to what produces it.
pub(super) struct ValueBody {
    reader: Reader,
    end: bool,
    tally: Tally,
    times: StreamTimes,
    meter: Arc<Meter>,
    answer: Answer<Returned>,
    driver: Option<AbortHandle>,
}

impl ValueBody {
    pub(super) fn new(reader: Reader, meter: Arc<Meter>, answer: Answer<Returned>) -> Self {
        let limit = meter.enforcer().value(LimitKey::ResponseBody);
        let tally = Tally::new(LimitKey::ResponseBody, limit);
        ValueBody { reader, end: false, tally, times: StreamTimes::default(), meter, answer, driver: None }
    }

    /// From now on the limits of a stream hold. Called before the guest goes on: the meter is the next call's when
    /// this one is over.
    pub(super) fn begin_stream(&mut self) {
        self.meter.begin_stream();
        self.times.begin(self.meter.enforcer());
    }

    /// The task that drives the guest from now on.
    pub(super) fn driven_by(&mut self, driver: AbortHandle) {
        self.driver = Some(driver);
    }

    fn poll_reader(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Value, Failure>>> {
        match self.reader.poll_next(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Ok(value))) => {
                self.meter.progress();
                self.times.progress();
                match self.tally.add(payload_bytes(&value), self.meter.enforcer()) {
                    Ok(()) => Poll::Ready(Some(Ok(value))),
                    Err(exceeded) => self.cut(exceeded),
                }
            }
            // What the function says is an answer: the guest is fine.
            Poll::Ready(Some(Err(failure))) => {
                self.end = true;
                Poll::Ready(Some(Err(failure)))
            }
            // A guest that trapped leaves its stream just as one that is done: only the verdict tells.
            Poll::Ready(None) => {
                self.end = true;
                Poll::Ready(self.answer.cut().map(Err))
            }
        }
    }

    /// A limit was exceeded: the guest is stopped, and its instance dropped.
    fn cut(&mut self, exceeded: Exceeded) -> Poll<Option<Result<Value, Failure>>> {
        self.end = true;
        self.reader.leave();
        self.answer.end();
        if let Some(driver) = self.driver.take() {
            driver.abort();
        }
        Poll::Ready(Some(Err(exceeded.into_failure())))
    }
}

impl Stream for ValueBody {
    type Item = Result<Value, Failure>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.end {
            return Poll::Ready(None);
        }
        let this = &mut *self;
        // First, because a stream that never pauses must end as well.
        if let Poll::Ready(exceeded) = this.times.poll_total(this.meter.enforcer(), cx) {
            return this.cut(exceeded);
        }
        let polled = this.poll_reader(cx);
        if polled.is_ready() {
            return polled;
        }
        match this.times.poll_silence(this.meter.enforcer(), cx) {
            Poll::Ready(exceeded) => this.cut(exceeded),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// Nobody reads on: a guest that is at work on the stream is stopped. One that is not gets to drop its resource, and
/// the instance serves on.
impl Drop for ValueBody {
    fn drop(&mut self) {
        if self.end {
            return;
        }
        let idle = self.reader.leave();
        self.answer.end();
        if !idle && let Some(driver) = self.driver.take() {
            driver.abort();
        }
    }
}
