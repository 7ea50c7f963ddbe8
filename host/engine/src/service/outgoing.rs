//! What a guest streams, on its way to whoever reads it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::Stream;
use tokio::task::AbortHandle;
use wharf_call::limits::Tally;
use wharf_call::{Exceeded, Failure, LimitKey, Value};

use super::guest::Returned;
use crate::answer::Answer;
use crate::epoch::Meter;
use crate::item_pipe;
use crate::time_limit::StreamTimes;
use crate::values::payload_bytes;

/// A guest's side of a stream of values.
pub(super) type Writer = item_pipe::Writer<Value, Returned>;

/// The other side.
pub(crate) type Reader = item_pipe::Reader<Value>;

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
