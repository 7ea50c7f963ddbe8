//! Server-sent events (WHATWG HTML, section 9.2).
//!
//! ```
//! # use wharf_sdk as wharf;
//! use std::time::Duration;
//! use wharf::{Sse, sse::Event, time};
//!
//! #[wharf::handler]
//! async fn clock() -> Sse {
//!     Sse::new(|mut events| async move {
//!         for n in 0..60_u32 {
//!             events.send(Event::data(format!("tick {n}")).id(n.to_string())).await?;
//!             time::sleep(Duration::from_secs(1)).await;
//!         }
//!         Ok(())
//!     })
//! }
//! ```
//!
//! An instance serves nobody else while its events are sent: raise `pool.max` to as many listeners as there
//! may be. A silence longer than `limits.stream_idle` ends them; comments break it.

use std::fmt::{self, Write};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

use crate::body::ReaderGone;
use crate::pipe::{Pipe, Sending};
use crate::{Body, IntoResponse, Response, Result, Writer, time};

/// How long there is silence before a comment breaks it, unless it is said otherwise.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

type Events = Pin<Box<dyn Stream<Item = Result<Event>>>>;

/// A response of events, sent while they are made.
pub struct Sse {
    events: Events,
    keep_alive: Option<Duration>,
}

impl Sse {
    /// Events that `send` sends while the client listens.
    ///
    /// It runs once the head of the response is sent. An error cuts the response short, and the client
    /// connects again.
    pub fn new<F, Fut>(send: F) -> Self
    where
        F: FnOnce(Sender) -> Fut + 'static,
        Fut: Future<Output = Result<()>> + 'static,
    {
        let pipe = Rc::new(Pipe::default());
        let sending = send(Sender { pipe: pipe.clone() });
        Sse::stream(Sending::new(pipe, sending))
    }

    /// The events of a [`Stream`].
    pub fn stream<S, E>(events: S) -> Self
    where
        S: Stream<Item = E> + 'static,
        E: IntoEvent,
    {
        struct Map<S>(Pin<Box<S>>);

        impl<S: Stream<Item: IntoEvent>> Stream for Map<S> {
            type Item = Result<Event>;

            fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
                self.0.as_mut().poll_next(cx).map(|event| event.map(IntoEvent::into_event))
            }
        }

        Sse { events: Box::pin(Map(Box::pin(events))), keep_alive: Some(KEEP_ALIVE) }
    }

    /// After so long without an event, a comment is sent, so that nobody on the way takes the connection for
    /// dead; 15 seconds unless it is said otherwise. `None` sends none.
    #[must_use]
    pub fn keep_alive(mut self, after: impl Into<Option<Duration>>) -> Self {
        self.keep_alive = after.into();
        self
    }
}

impl IntoResponse for Sse {
    fn into_response(self) -> Result<Response> {
        let Sse { events, keep_alive } = self;
        let body = Body::stream(move |writer| send_all(events, keep_alive, writer));
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(response)
    }
}

async fn send_all(mut events: Events, keep_alive: Option<Duration>, mut writer: Writer) -> Result<()> {
    loop {
        let next = poll_fn(|cx| events.as_mut().poll_next(cx));
        let next = match keep_alive {
            None => next.await,
            Some(after) => {
                let mut next = pin!(next);
                loop {
                    match time::timeout(after, next.as_mut()).await {
                        Ok(event) => break event,
                        Err(time::Elapsed) => writer.write(":\n\n").await?,
                    }
                }
            }
        };
        match next {
            Some(event) => writer.write(event?.text).await?,
            None => return Ok(()),
        }
    }
}

impl fmt::Debug for Sse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sse").field("keep_alive", &self.keep_alive).finish_non_exhaustive()
    }
}

/// Where the closure of [`Sse::new`] puts its events.
pub struct Sender {
    pipe: Rc<Pipe<Event>>,
}

impl Sender {
    /// Sends an event, and waits until the one before it is on its way.
    ///
    /// # Errors
    /// [`ReaderGone`] when nobody listens any more.
    pub async fn send(&mut self, event: impl Into<Event>) -> Result<(), ReaderGone> {
        self.pipe.put(event.into()).await.map_err(|_| ReaderGone)
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sender")
    }
}

/// An event: its data, and perhaps a name, an id, and when to connect again.
///
/// ```
/// use wharf_sdk::sse::Event;
///
/// let event = Event::data("first line\nsecond line").name("note").id("7");
/// assert_eq!(event.to_string(), "data: first line\ndata: second line\nevent: note\nid: 7\n\n");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Ready to be sent, with the empty line that ends it.
    text: String,
}

impl Event {
    /// An event with this data. Line breaks in it arrive as they are.
    pub fn data(data: impl AsRef<str>) -> Self {
        let mut event = Event { text: String::new() };
        for line in lines(data.as_ref()) {
            event.field("data", line);
        }
        event.text.push('\n');
        event
    }

    /// An event whose data is JSON.
    ///
    /// # Errors
    /// When it does not serialise.
    #[cfg(feature = "json")]
    pub fn json(data: &impl serde::Serialize) -> Result<Self> {
        Ok(Event::data(serde_json::to_string(data)?))
    }

    /// Names the kind of event, for `addEventListener`. A line break in it ends it.
    #[must_use]
    pub fn name(self, name: impl AsRef<str>) -> Self {
        self.with("event", name.as_ref())
    }

    /// What the client sends as `last-event-id` when it connects again. A line break or NUL in it ends it,
    /// since a client would not take it.
    #[must_use]
    pub fn id(self, id: impl AsRef<str>) -> Self {
        let id = id.as_ref();
        self.with("id", id.split('\0').next().unwrap_or_default())
    }

    /// How long the client waits before it connects again.
    #[must_use]
    pub fn retry(self, after: Duration) -> Self {
        self.with("retry", &after.as_millis().to_string())
    }

    fn with(mut self, field: &str, value: &str) -> Self {
        self.text.pop();
        self.field(field, lines(value).next().unwrap_or_default());
        self.text.push('\n');
        self
    }

    fn field(&mut self, name: &str, value: &str) {
        // Writing into a text does not fail. The space is not part of the value, and keeps one that begins
        // with a space as it is.
        let _ = writeln!(self.text, "{name}: {value}");
    }
}

/// A line ends with CR, LF, or both: a client takes all three for an end.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        match text.find(['\r', '\n']) {
            None => rest.take(),
            Some(at) => {
                let (line, after) = text.split_at(at);
                rest = Some(after.strip_prefix("\r\n").unwrap_or(&after[1..]));
                Some(line)
            }
        }
    })
}

/// As it is sent.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<&str> for Event {
    fn from(data: &str) -> Self {
        Event::data(data)
    }
}

impl From<String> for Event {
    fn from(data: String) -> Self {
        Event::data(data)
    }
}

/// What a stream of events may give: an [`Event`], or a [`Result`] of one.
pub trait IntoEvent {
    /// The event, or what cuts the response short.
    fn into_event(self) -> Result<Event>;
}

impl IntoEvent for Event {
    fn into_event(self) -> Result<Event> {
        Ok(self)
    }
}

impl IntoEvent for Result<Event> {
    fn into_event(self) -> Result<Event> {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Failure;
    use crate::testing::block_on;

    #[test]
    fn an_event_arrives_as_it_was_meant() {
        for (event, text) in [
            (Event::data("a"), "data: a\n\n"),
            (Event::data(""), "data: \n\n"),
            (Event::data(" a"), "data:  a\n\n"),
            (Event::data("a\nb\r\nc\rd\n"), "data: a\ndata: b\ndata: c\ndata: d\ndata: \n\n"),
            (Event::data("a").name("x\ndata: forged"), "data: a\nevent: x\n\n"),
            (Event::data("a").id("1\x002"), "data: a\nid: 1\n\n"),
            (Event::data("a").retry(Duration::from_millis(1500)), "data: a\nretry: 1500\n\n"),
        ] {
            assert_eq!(event.to_string(), text);
        }
    }

    #[test]
    fn silence_is_broken_by_comments() {
        let sse = Sse::new(|mut events| async move {
            events.send("one").await?;
            time::sleep(Duration::from_secs(40)).await;
            events.send("two").await?;
            Ok(())
        });
        let mut response = sse.into_response().expect("a response");
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let text = block_on(response.body_mut().text()).expect("text");
        assert_eq!(text, "data: one\n\n:\n\n:\n\ndata: two\n\n");
    }

    #[test]
    fn a_failure_cuts_the_events_short() {
        let sse = Sse::new(|mut events| async move {
            events.send("one").await?;
            Err(Failure::unavailable("no more"))
        });
        let mut body = sse.keep_alive(None).into_response().expect("a response").into_body();
        block_on(async {
            assert_eq!(body.read().await.expect("one"), Some(b"data: one\n\n".as_slice()));
            assert_eq!(body.read().await.expect_err("a cut").kind(), "unavailable");
        });
    }
}
