use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::Version;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};
use wharf_call::{Body, Failure, Kind, MemoryUse, Reservation, hop_by_hop};

use crate::connection::STREAM_WINDOW;
use crate::exchange::{Exchange, Intake};
use crate::metrics::refusal;

/// Takes a request's body for the plugin.
///
/// One whose length is known and within `whole_body_bytes` is read whole before the call, and paid for from
/// the host's memory budget until the response has ended. Every other is a stream: the client is read when the plugin reads.
pub(crate) async fn take(exchange: &mut Exchange, incoming: Incoming) -> Result<Body, Failure> {
    if incoming.is_end_stream() {
        return Ok(Body::Empty);
    }
    let config = &exchange.front().config;
    let (most, silence) = (config.body_bytes_max, config.body_progress_timeout);
    match incoming.size_hint().exact() {
        Some(length) if length > most => {
            exchange.body_is_lost();
            Err(refusal("body_bytes", too_large(most)))
        }
        Some(length) if length <= config.whole_body_bytes as u64 => {
            let Some(reservation) = exchange.front().memory.reserve(MemoryUse::Bodies, length) else {
                exchange.body_is_lost();
                return Err(refusal("memory", overloaded()));
            };
            exchange.has_whole_body(length, Some(reservation));
            let collected = collect(Paced::new(incoming, most, silence, None), length as usize).await;
            if collected.is_err() {
                exchange.body_is_lost();
            }
            collected
        }
        _ => {
            // What is sent ahead of the plugin is buffered: by HTTP/1 what its head has room for anyway, by HTTP/2 a window.
            let window = match exchange.version() {
                Version::HTTP_2 => {
                    let window = exchange.front().memory.reserve(MemoryUse::Bodies, STREAM_WINDOW.into());
                    Some(window.ok_or_else(|| refusal("memory", overloaded()))?)
                }
                _ => None,
            };
            let intake = exchange.has_streamed_body();
            Ok(Body::stream(Paced { _window: window, ..Paced::new(incoming, most, silence, Some(intake)) }))
        }
    }
}

async fn collect(mut body: Paced, length: usize) -> Result<Body, Failure> {
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        match frame?.into_data() {
            Ok(data) if first.is_empty() => first = data, // nearly always all of it: no copy
            Ok(data) => {
                if rest.is_empty() {
                    rest.reserve(length);
                    rest.extend_from_slice(&first);
                }
                rest.extend_from_slice(&data);
            }
            Err(frame) => {
                let Ok(trailers) = frame.into_trailers() else { continue };
                // HTTP/2 may announce a length and send trailers all the same.
                let data = if rest.is_empty() { first } else { rest.freeze() };
                return Ok(Body::Trailed(data, Box::new(trailers)));
            }
        }
    }
    Ok(Body::whole(if rest.is_empty() { first } else { rest.freeze() }))
}

fn too_large(most: u64) -> Failure {
    Failure::new(Kind::PayloadTooLarge, format!("The body is larger than {most} bytes."))
}

fn overloaded() -> Failure {
    Failure::new(Kind::Overloaded, "There is no room for this request now.").with_retry_after_s(1)
}

/// A body that may not be too long, nor silent for too long while somebody waits for it.
struct Paced {
    incoming: Incoming,
    /// How many bytes may still come.
    left: u64,
    most: u64,
    silence_max: Duration,
    /// Made with the first silence, because most bodies have none.
    silence: Option<Pin<Box<Sleep>>>,
    silent: bool,
    intake: Option<Arc<Intake>>,
    ended: bool,
    /// What may be buffered of it.
    _window: Option<Reservation>,
}

impl Paced {
    fn new(incoming: Incoming, most: u64, silence_max: Duration, intake: Option<Arc<Intake>>) -> Self {
        Paced {
            incoming,
            left: most,
            most,
            silence_max,
            silence: None,
            silent: false,
            intake,
            ended: false,
            _window: None,
        }
    }

    /// Ends the body with `failure`, and lets the exchange know why.
    fn cut(&mut self, failure: Failure) -> Failure {
        self.ended = true;
        if let Some(intake) = &self.intake {
            *intake.cut.lock() = Some(failure.clone());
        }
        failure
    }

    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<Failure> {
        let silence = self.silence.get_or_insert_with(|| {
            self.silent = true;
            Box::pin(tokio::time::sleep(self.silence_max))
        });
        if !self.silent {
            self.silent = true;
            silence.as_mut().reset(Instant::now() + self.silence_max);
        }
        silence.as_mut().poll(cx).map(|()| {
            let text = "The rest of the request's body did not come in time.";
            refusal("body_silence", Failure::new(Kind::RequestTimeout, text))
        })
    }
}

impl HttpBody for Paced {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        let polled = match Pin::new(&mut this.incoming).poll_frame(cx) {
            Poll::Ready(polled) => polled,
            Poll::Pending => {
                return this.poll_silence(cx).map(|failure| Some(Err(this.cut(failure))));
            }
        };
        this.silent = false;
        Poll::Ready(match polled {
            None => {
                this.ended = true;
                None
            }
            Some(Err(error)) => {
                let failure =
                    Failure::new(Kind::BadRequest, "The request's body is malformed or ended early.");
                Some(Err(this.cut(refusal("body", failure.with_private(format!("{error:?}"))))))
            }
            Some(Ok(mut frame)) => {
                if let Some(data) = frame.data_ref() {
                    let Some(left) = this.left.checked_sub(data.len() as u64) else {
                        let failure = refusal("body_bytes", too_large(this.most));
                        return Poll::Ready(Some(Err(this.cut(failure))));
                    };
                    this.left = left;
                    if let Some(intake) = &this.intake {
                        intake.bytes.fetch_add(data.len() as u64, Ordering::Relaxed);
                    }
                } else if let Some(trailers) = frame.trailers_mut() {
                    hop_by_hop::strip_trailers(trailers);
                }
                Some(Ok(frame))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
