//! `wharf:plugin/socket@0.1.0`.

use std::pin::Pin;
use std::task::{Context, Poll};

use wasmtime::component::{
    Destination, Source, StreamConsumer, StreamProducer, StreamReader, StreamResult, TypedFunc,
};
use wasmtime::{AsContextMut, Store, StoreContextMut};
use wharf_bindings::handler_0_1::wharf::plugin::types as wit;
use wharf_bindings::socket_0_1::SocketOnly;
use wharf_bindings::socket_0_1::exports::wharf::plugin::socket::Message;
use wharf_call::SocketMessage;

use super::handler::{lift_failure, lowered};
use super::settled;
use crate::answer::Answer;
use crate::item_pipe::{Asked as Room, pipe};
use crate::service::pay_for;
use crate::socket::{Asked, Incoming, Opened, Writer};
use crate::state::State;

type Arguments = (lowered::Request, lowered::Context, StreamReader<Message>);
type Returned = (Result<StreamReader<Message>, wit::Failure>,);

/// The export `open` of an instance.
pub(crate) type Open = TypedFunc<Arguments, Returned>;

pub(super) fn load(guest: &SocketOnly, store: &mut Store<State>) -> wasmtime::Result<Open> {
    guest.wharf_plugin_socket().func_open().func().typed(store)
}

/// Runs a socket to its very end. An error is a trap, or a [`Failure`](wharf_call::Failure) that ends the instance: the
/// store must not be used again.
pub(crate) async fn run(
    open: &Open,
    store: &mut Store<State>,
    asked: Asked,
    answer: &Answer<Opened>,
) -> wasmtime::Result<()> {
    let Asked { head, invocation, incoming } = asked;
    let _hold = incoming.hold();
    let request = lowered::Request::new(head, wit::Body::Empty);
    let incoming = StreamReader::new(&mut *store, Taken { incoming })?;
    let arguments = (request, lowered::Context::new(invocation), incoming);
    let call = open.start_call_concurrent(store.as_context_mut(), arguments)?;
    store
        .run_concurrent(async |accessor| {
            let (opened,) = open.finish_call_concurrent(accessor, call).await?;
            match opened {
                Ok(messages) => {
                    let (writer, reader) = pipe(answer);
                    accessor.with(|access| messages.pipe(access, Given { writer }))?;
                    answer.streamed(Opened(reader));
                }
                Err(failure) => answer.fail(lift_failure(failure)),
            }
            settled(accessor, answer).await;
            Ok(())
        })
        .await?
}

/// The client's messages on their way into the guest, one at a time.
struct Taken {
    incoming: Incoming,
}

impl StreamProducer<State> for Taken {
    type Item = Message;
    type Buffer = Option<Message>;

    fn poll_produce(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        _store: StoreContextMut<'_, State>,
        mut destination: Destination<'_, Message, Option<Message>>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        match self.incoming.poll_next(cx) {
            Poll::Ready(Some(Ok(message))) => {
                destination.set_buffer(Some(lower(message)));
                Poll::Ready(Ok(StreamResult::Completed))
            }
            // A stream has no way of telling the guest that it was cut short: the call ends here.
            Poll::Ready(Some(Err(failure))) => Poll::Ready(Err(wasmtime::Error::new(failure))),
            Poll::Ready(None) => Poll::Ready(Ok(StreamResult::Dropped)),
            Poll::Pending if finish => Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// The guest's messages on their way out, one at a time: each may be as large as a body.
struct Given {
    writer: Writer,
}

impl StreamConsumer<State> for Given {
    type Item = Message;

    fn poll_consume(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'_, State>,
        mut source: Source<'_, Message>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        match self.writer.poll_room(cx) {
            Poll::Ready(Room::Nothing) => Poll::Ready(Ok(StreamResult::Dropped)),
            Poll::Ready(Room::Item) => {
                let mut message = None;
                source.read(store.as_context_mut(), &mut message)?;
                let Some(message) = message.map(lift) else {
                    return Poll::Ready(Ok(StreamResult::Completed));
                };
                match pay_for(message.len() as u64, &store.data().enforcer) {
                    Ok(held) => self.writer.put(message, held),
                    Err(failure) => {
                        self.writer.finish(Err(failure));
                        return Poll::Ready(Ok(StreamResult::Dropped));
                    }
                }
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Poll::Pending if finish => Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => Poll::Pending,
        }
    }
}

fn lower(message: SocketMessage) -> Message {
    match message {
        SocketMessage::Text(text) => Message::Text(text),
        SocketMessage::Binary(bytes) => Message::Binary(bytes.into()),
    }
}

fn lift(message: Message) -> SocketMessage {
    match message {
        Message::Text(text) => SocketMessage::Text(text),
        Message::Binary(bytes) => SocketMessage::Binary(bytes.into()),
    }
}
