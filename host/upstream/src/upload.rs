use std::fmt;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use parking_lot::Mutex;
use tokio::time::Instant;
use wharf_call::limits::Tally;
use wharf_call::{Body, Exceeded, LimitGuard, LimitKey, hop_by_hop};

/// The body of a request on its way to the peer. It writes down when the peer last took something, for the
/// timeout that waits for the response, and holds a streamed body to the length that was announced for it.
pub(crate) struct Upload {
    body: Body,
    /// What is missing of the announced length.
    left: Option<u64>,
    tally: Tally,
    guard: Arc<dyn LimitGuard>,
    progress: Arc<Progress>,
}

impl Upload {
    /// `announced` counts for a stream that does not know its length. `bytes_max` is the limit of any.
    pub(crate) fn new(
        body: Body,
        announced: Option<u64>,
        bytes_max: u64,
        guard: Arc<dyn LimitGuard>,
    ) -> Self {
        let left = body.size_hint().exact().or(announced);
        let done = body.is_end_stream();
        let progress = Progress(Mutex::new(State { last: Instant::now(), done, broken: None, waker: None }));
        let tally = Tally::new(LimitKey::HttpRequestBody, bytes_max);
        Upload { body, left, tally, guard, progress: Arc::new(progress) }
    }

    /// The caller's hold on the upload, which ends with it.
    pub(crate) fn hold(&self) -> Hold {
        Hold(self.progress.clone())
    }

    /// The body of a request that was not sent.
    pub(crate) fn into_inner(self) -> Body {
        self.body
    }
}

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = &mut *self;
        if let Some(broken) = this.progress.poll_broken(cx) {
            return Poll::Ready(Some(Err(broken)));
        }
        let frame = ready!(Pin::new(&mut this.body).poll_frame(cx));
        this.progress.moved(false);
        Poll::Ready(match frame {
            None if this.left.unwrap_or(0) > 0 => Some(Err(this.progress.broke(Broken::Short))),
            None => {
                this.progress.moved(true);
                None
            }
            Some(Err(failure)) => Some(Err(this.progress.broke(Broken::Failed(failure.to_string())))),
            Some(Ok(mut frame)) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
                if let Err(exceeded) = this.tally.add(bytes, &*this.guard) {
                    return Poll::Ready(Some(Err(this.progress.broke(Broken::Exceeded(exceeded)))));
                }
                if let Some(left) = &mut this.left {
                    let Some(rest) = left.checked_sub(bytes) else {
                        return Poll::Ready(Some(Err(this.progress.broke(Broken::Long))));
                    };
                    *left = rest;
                }
                if let Some(trailers) = frame.trailers_mut() {
                    hop_by_hop::strip_trailers(trailers);
                }
                // hyper does not ask again once the announced length is out.
                this.progress.moved(this.is_end_stream() || this.left == Some(0));
                Some(Ok(frame))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(|| self.body.size_hint(), SizeHint::with_exact)
    }
}

/// How far the upload is.
pub(crate) struct Progress(Mutex<State>);

struct State {
    last: Instant,
    done: bool,
    broken: Option<Broken>,
    /// Wakes who sends the body.
    waker: Option<Waker>,
}

impl Progress {
    fn moved(&self, done: bool) {
        let mut state = self.0.lock();
        state.last = Instant::now();
        state.done |= done;
    }

    fn broke(&self, why: Broken) -> Broken {
        self.0.lock().broken = Some(why.clone());
        why
    }

    fn poll_broken(&self, cx: &mut Context<'_>) -> Option<Broken> {
        let mut state = self.0.lock();
        match &mut state.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            waker => *waker = Some(cx.waker().clone()),
        }
        state.broken.clone()
    }

    /// Why the upload was cut; HTTP/2 does not tell the one who waits for the response.
    pub(crate) fn broken(&self) -> Option<Broken> {
        self.0.lock().broken.clone()
    }

    /// When the peer last took something; at first, when the request was made.
    pub(crate) fn last(&self) -> Instant {
        self.0.lock().last
    }

    /// Whether the peer has taken all of it.
    pub(crate) fn is_done(&self) -> bool {
        self.0.lock().done
    }
}

/// The call that an upload belongs to. Dropping it before the upload is done cuts the upload: hyper sends the
/// body of an HTTP/2 request from a task of its own, which would go on after the response was dropped.
pub(crate) struct Hold(Arc<Progress>);

impl Deref for Hold {
    type Target = Progress;
    fn deref(&self) -> &Progress {
        &self.0
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut state = self.0.0.lock();
        if !state.done {
            state.broken.get_or_insert(Broken::Abandoned);
            if let Some(waker) = state.waker.take() {
                drop(state); // who is woken may look at it
                waker.wake();
            }
        }
    }
}

/// Why a request's body could not be sent as it was announced.
#[derive(Clone, Debug)]
pub(crate) enum Broken {
    Short,
    Long,
    Abandoned,
    Exceeded(Exceeded),
    Failed(String),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Broken::Short => f.write_str("the request's body is shorter than its content-length"),
            Broken::Long => f.write_str("the request's body is longer than its content-length"),
            Broken::Abandoned => f.write_str("the call was abandoned"),
            Broken::Exceeded(exceeded) => fmt::Display::fmt(exceeded, f),
            Broken::Failed(failure) => write!(f, "the request's body was cut: {failure}"),
        }
    }
}

impl std::error::Error for Broken {}
