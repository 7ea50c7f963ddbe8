//! A guest's messages on their way to the client: bounded, watched for silence, and tied to what produces them.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::Stream;
use tokio::task::AbortHandle;
use wharf_call::{Exceeded, Failure, LimitKey, SocketMessage};

use super::{Heard, Opened};
use crate::answer::Answer;
use crate::epoch::Meter;
use crate::item_pipe::Reader;
use crate::time_limit::StreamTimes;

type Item = Result<SocketMessage, Failure>;

pub(super) struct Outgoing {
    reader: Reader<SocketMessage>,
    end: bool,
    times: StreamTimes,
    heard: Heard,
    meter: Arc<Meter>,
    answer: Answer<Opened>,
    driver: Option<AbortHandle>,
}

impl Outgoing {
    pub(super) fn new(
        reader: Reader<SocketMessage>,
        meter: Arc<Meter>,
        answer: Answer<Opened>,
        heard: Heard,
    ) -> Self {
        let times = StreamTimes::default();
        Outgoing { reader, end: false, times, heard, meter, answer, driver: None }
    }

    /// From now on the limits of a stream hold. Called before the guest goes on: the meter is the next call's when
    /// this one is over.
    pub(super) fn begin(&mut self) {
        self.meter.begin_stream();
        self.times.begin(self.meter.enforcer());
    }

    /// The task that drives the guest from now on.
    pub(super) fn driven_by(&mut self, driver: AbortHandle) {
        self.driver = Some(driver);
    }

    fn poll_reader(&mut self, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        match self.reader.poll_next(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Ok(message))) => {
                self.meter.progress();
                self.times.progress();
                match self.meter.enforcer().check(LimitKey::ResponseBody, message.len() as u64) {
                    Ok(()) => Poll::Ready(Some(Ok(message))),
                    Err(exceeded) => self.cut(exceeded),
                }
            }
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
    fn cut(&mut self, exceeded: Exceeded) -> Poll<Option<Item>> {
        self.end = true;
        self.reader.leave();
        self.answer.end();
        if let Some(driver) = self.driver.take() {
            driver.abort();
        }
        Poll::Ready(Some(Err(exceeded.into_failure())))
    }
}

impl Stream for Outgoing {
    type Item = Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        if self.end {
            return Poll::Ready(None);
        }
        let this = &mut *self;
        // First, because a socket that never pauses must end as well.
        if let Poll::Ready(exceeded) = this.times.poll_total(this.meter.enforcer(), cx) {
            return this.cut(exceeded);
        }
        let polled = this.poll_reader(cx);
        if polled.is_ready() {
            return polled;
        }
        this.times.heard(this.heard.at(), this.meter.enforcer());
        match this.times.poll_silence(this.meter.enforcer(), cx) {
            Poll::Ready(exceeded) => this.cut(exceeded),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// The socket is over. The guest sees the end of what comes in, and finishes; `Driven` gives it `limits.wall` for that.
impl Drop for Outgoing {
    fn drop(&mut self) {
        self.reader.leave();
        self.answer.end();
    }
}
