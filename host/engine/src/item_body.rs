//! What a guest gives one by one, on its way to whoever reads it: bounded, watched for silence, and tied to what
//! produces it.

use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::task::AbortHandle;
use tokio::time::Instant;
use wharf_call::{Exceeded, Failure};

use crate::answer::Answer;
use crate::enforcer::Enforcer;
use crate::epoch::Meter;
use crate::item_pipe::Reader;
use crate::time_limit::StreamTimes;

/// The items of a call that gave `R` as its answer.
pub(crate) struct ItemBody<T, R> {
    reader: Reader<T>,
    end: bool,
    times: StreamTimes,
    meter: Arc<Meter>,
    answer: Answer<R>,
    driver: Option<AbortHandle>,
}

impl<T, R: Send + 'static> ItemBody<T, R> {
    pub(crate) fn new(reader: Reader<T>, meter: Arc<Meter>, answer: Answer<R>) -> Self {
        ItemBody { reader, end: false, times: StreamTimes::default(), meter, answer, driver: None }
    }

    /// From now on the limits of a stream hold. Called before the guest goes on: the meter is the next call's when
    /// this one is over.
    pub(crate) fn begin_stream(&mut self) {
        self.meter.begin_stream();
        self.times.begin(self.meter.enforcer());
    }

    /// The task that drives the guest from now on.
    pub(crate) fn driven_by(&mut self, driver: AbortHandle) {
        self.driver = Some(driver);
    }

    /// The next item, which `check` may refuse. Who was `heard`, then, of the other side breaks the silence as well.
    pub(crate) fn poll_next(
        &mut self,
        check: impl FnOnce(&T, &Enforcer) -> Result<(), Exceeded>,
        heard: Option<Instant>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<T, Failure>>> {
        if self.end {
            return Poll::Ready(None);
        }
        // First, because a stream that never pauses must end as well.
        if let Poll::Ready(exceeded) = self.times.poll_total(self.meter.enforcer(), cx) {
            return self.cut(exceeded);
        }
        match self.reader.poll_next(cx) {
            Poll::Ready(Some(Ok(item))) => {
                self.meter.progress();
                self.times.progress();
                match check(&item, self.meter.enforcer()) {
                    Ok(()) => Poll::Ready(Some(Ok(item))),
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
            Poll::Pending => {
                if let Some(at) = heard {
                    self.times.heard(at, self.meter.enforcer());
                }
                match self.times.poll_silence(self.meter.enforcer(), cx) {
                    Poll::Ready(exceeded) => self.cut(exceeded),
                    Poll::Pending => Poll::Pending,
                }
            }
        }
    }

    /// A limit was exceeded: the guest is stopped, and its instance dropped.
    fn cut(&mut self, exceeded: Exceeded) -> Poll<Option<Result<T, Failure>>> {
        self.end = true;
        self.reader.leave();
        self.answer.end();
        self.stop();
        Poll::Ready(Some(Err(exceeded.into_failure())))
    }

    /// Nobody reads on, and the guest may finish what it does.
    pub(crate) fn leave(&mut self) {
        self.reader.leave();
        self.answer.end();
    }

    /// Nobody reads on: a guest that is at work on the stream is stopped. One that is not gets to drop its resource,
    /// and the instance serves on.
    pub(crate) fn abandon(&mut self) {
        if self.end {
            return;
        }
        let idle = self.reader.leave();
        self.answer.end();
        if !idle {
            self.stop();
        }
    }

    fn stop(&mut self) {
        if let Some(driver) = self.driver.take() {
            driver.abort();
        }
    }
}
