//! The body of a response of many messages, and the trailers that say how it ended.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;
use tokio::time::Sleep;
use wharf_call::{Failure, Kind, ValueStream};

use crate::door::{Exchange, Fault};
use crate::status;

/// Messages that are ready together go out together, up to about so many bytes.
const CHUNK_BYTES: usize = 16 << 10;

/// A message for each value of a stream. Dropping it drops the stream, which ends the call.
pub(crate) struct Many {
    exchange: Arc<Exchange>,
    stream: Option<ValueStream>,
    /// When the whole call is due, if the client says so.
    deadline: Option<Pin<Box<Sleep>>>,
    /// It explains a call that failed better than the plugin can.
    input: Fault,
    trailers: Option<HeaderMap>,
}

impl Many {
    pub(crate) fn new(
        exchange: Arc<Exchange>,
        stream: ValueStream,
        deadline: Option<Pin<Box<Sleep>>>,
        input: Fault,
    ) -> Self {
        Many { exchange, stream: Some(stream), deadline, input, trailers: None }
    }

    fn end(&mut self, outcome: Result<(), Failure>) {
        self.stream = None;
        self.deadline = None;
        let fault = self.input.as_ref().and_then(|input| input.get());
        let outcome = fault.map_or(outcome, |failure| Err(failure.clone()));
        self.trailers = Some(match outcome {
            Ok(()) => status::ok(),
            Err(failure) => status::fields(&failure, self.exchange.details(&failure)),
        });
    }

    /// Fills `out` with what is ready; pending only when there is nothing.
    fn fill(&mut self, out: &mut Vec<u8>, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(deadline) = &mut self.deadline
            && deadline.as_mut().poll(cx).is_ready()
        {
            self.end(Err(deadline_passed()));
            return Poll::Ready(());
        }
        while out.len() < CHUNK_BYTES {
            let Some(stream) = &mut self.stream else { break };
            match stream.as_mut().poll_next(cx) {
                Poll::Ready(Some(Ok(value))) => {
                    if let Err(failure) = self.exchange.append(Some(&value), out) {
                        self.end(Err(failure));
                    }
                }
                Poll::Ready(Some(Err(failure))) => self.end(Err(failure)),
                Poll::Ready(None) => self.end(Ok(())),
                Poll::Pending if out.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready(())
    }
}

impl http_body::Body for Many {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let mut out = Vec::new();
        if self.stream.is_some() {
            ready!(self.fill(&mut out, cx));
        }
        if !out.is_empty() {
            match self.exchange.pay(out) {
                Ok(data) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Err(failure) => self.end(Err(failure)),
            }
        }
        Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.stream.is_none() && self.trailers.is_none()
    }
}

/// The client's own deadline has passed.
pub(crate) fn deadline_passed() -> Failure {
    Failure::new(Kind::Timeout, "The call was not done by the deadline that the client gave.")
}
