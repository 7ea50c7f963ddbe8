//! `stream<T>` of bools, numbers, chars and strings. wasmtime reads and writes a stream with a type that is known when
//! the host is built, so there is one for each.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use wasmtime::component::{
    ComponentType, Destination, Lift, Lower, Source, StreamAny, StreamConsumer, StreamProducer, StreamReader,
    StreamResult, VecBuffer,
};
use wasmtime::{AsContextMut, StoreContextMut};
use wharf_call::Value;

use super::incoming::Incoming;
use super::outgoing::Writer;
use crate::item_pipe::{Asked, Busy};
use crate::pipe::take_chunk;
use crate::schema::Scalar;
use crate::state::State;

/// The most items that are taken out of a guest at once.
const ITEMS_MAX: usize = 64;

/// What a stream may carry.
trait Item: ComponentType + Lift + Lower + Send + Sync + Sized + 'static {
    fn into_value(self) -> Value;
    fn of_value(value: Value) -> Option<Self>;
}

macro_rules! items {
    ($($ty:ty = $variant:ident;)*) => {$(
        impl Item for $ty {
            fn into_value(self) -> Value {
                Value::$variant(self.into())
            }

            fn of_value(value: Value) -> Option<Self> {
                match value {
                    Value::$variant(value) => Self::try_from(value).ok(),
                    _ => None,
                }
            }
        }
    )*};
}

items! {
    bool = Bool;
    i8 = Signed;
    i16 = Signed;
    i32 = Signed;
    i64 = Signed;
    u16 = Unsigned;
    u32 = Unsigned;
    u64 = Unsigned;
    f32 = F32;
    f64 = F64;
    char = Char;
    String = String;
}

macro_rules! by_scalar {
    ($scalar:expr, $item:ident => $do:expr, bytes => $bytes:expr) => {
        match $scalar {
            Scalar::U8 => $bytes,
            Scalar::Bool => {
                type $item = bool;
                $do
            }
            Scalar::S8 => {
                type $item = i8;
                $do
            }
            Scalar::S16 => {
                type $item = i16;
                $do
            }
            Scalar::S32 => {
                type $item = i32;
                $do
            }
            Scalar::S64 => {
                type $item = i64;
                $do
            }
            Scalar::U16 => {
                type $item = u16;
                $do
            }
            Scalar::U32 => {
                type $item = u32;
                $do
            }
            Scalar::U64 => {
                type $item = u64;
                $do
            }
            Scalar::F32 => {
                type $item = f32;
                $do
            }
            Scalar::F64 => {
                type $item = f64;
                $do
            }
            Scalar::Char => {
                type $item = char;
                $do
            }
            Scalar::String => {
                type $item = String;
                $do
            }
        }
    };
}

/// A stream for the guest to read, of what its caller sends.
pub(super) fn lower(
    mut store: StoreContextMut<'_, State>,
    scalar: Scalar,
    input: Incoming,
) -> wasmtime::Result<StreamAny> {
    by_scalar!(scalar,
        T => StreamReader::<T>::new(&mut store, Items::<T>::of(input))?.try_into_stream_any(&mut store),
        bytes => StreamReader::<u8>::new(&mut store, Chunks { input })?.try_into_stream_any(&mut store)
    )
}

/// Connects a stream that the guest writes with its reader.
pub(super) fn lift(
    store: StoreContextMut<'_, State>,
    scalar: Scalar,
    stream: StreamAny,
    writer: Writer,
) -> wasmtime::Result<()> {
    // It is a task of the guest that writes: there is no moment in which it could be let alone.
    let busy = writer.busy();
    let chunk_bytes_max = store.data().enforcer.plugin.limits.chunk_bytes;
    by_scalar!(scalar,
        T => stream.try_into_stream_reader::<T>()?.pipe(store, Taken::<T>::by(writer, busy)),
        bytes => stream.try_into_stream_reader::<u8>()?.pipe(store, TakenBytes { writer, chunk_bytes_max, _busy: busy })
    )
}

/// Items on their way into a guest.
struct Items<T> {
    input: Incoming,
    _item: std::marker::PhantomData<fn() -> T>,
}

impl<T> Items<T> {
    fn of(input: Incoming) -> Self {
        Items { input, _item: std::marker::PhantomData }
    }
}

impl<T: Item> StreamProducer<State> for Items<T> {
    type Item = T;
    type Buffer = VecBuffer<T>;

    fn poll_produce(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        _store: StoreContextMut<'_, State>,
        mut destination: Destination<'_, T, VecBuffer<T>>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        match self.input.poll_next(cx) {
            Poll::Ready(Some(Ok(item))) => match T::of_value(item) {
                Some(item) => {
                    destination.set_buffer(vec![item].into());
                    Poll::Ready(Ok(StreamResult::Completed))
                }
                None => Poll::Ready(Err(wasmtime::Error::new(self.input.mismatch()))),
            },
            // A stream has no way of telling the guest that it was cut short: the call ends here.
            Poll::Ready(Some(Err(failure))) => Poll::Ready(Err(wasmtime::Error::new(failure))),
            Poll::Ready(None) => Poll::Ready(Ok(StreamResult::Dropped)),
            Poll::Pending if finish => Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// Bytes on their way into a guest.
struct Chunks {
    input: Incoming,
}

impl StreamProducer<State> for Chunks {
    type Item = u8;
    type Buffer = Bytes;

    fn poll_produce(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        _store: StoreContextMut<'_, State>,
        mut destination: Destination<'_, u8, Bytes>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        loop {
            match self.input.poll_next(cx) {
                Poll::Ready(Some(Ok(Value::Bytes(bytes)))) if bytes.is_empty() => {}
                Poll::Ready(Some(Ok(Value::Bytes(bytes)))) => {
                    // What does not fit is kept by wasmtime and given to the next read.
                    destination.set_buffer(bytes);
                    return Poll::Ready(Ok(StreamResult::Completed));
                }
                Poll::Ready(Some(Ok(_))) => {
                    return Poll::Ready(Err(wasmtime::Error::new(self.input.mismatch())));
                }
                Poll::Ready(Some(Err(failure))) => return Poll::Ready(Err(wasmtime::Error::new(failure))),
                Poll::Ready(None) => return Poll::Ready(Ok(StreamResult::Dropped)),
                Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// Items on their way out of a guest.
struct Taken<T> {
    writer: Writer,
    _busy: Busy,
    _item: std::marker::PhantomData<fn() -> T>,
}

impl<T> Taken<T> {
    fn by(writer: Writer, busy: Busy) -> Self {
        Taken { writer, _busy: busy, _item: std::marker::PhantomData }
    }
}

impl<T: Item> StreamConsumer<State> for Taken<T> {
    type Item = T;

    fn poll_consume(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'_, State>,
        mut source: Source<'_, T>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        match self.writer.poll_room(cx) {
            Poll::Ready(Asked::Nothing) => Poll::Ready(Ok(StreamResult::Dropped)),
            Poll::Ready(Asked::Item) => {
                let mut items: Vec<T> = Vec::with_capacity(source.remaining(&mut store).min(ITEMS_MAX));
                source.read(store.as_context_mut(), &mut items)?;
                items.into_iter().for_each(|item| self.writer.put(item.into_value(), None));
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Poll::Pending if finish => Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// Bytes on their way out of a guest.
struct TakenBytes {
    writer: Writer,
    /// The most that is copied out at a time.
    chunk_bytes_max: usize,
    _busy: Busy,
}

impl StreamConsumer<State> for TakenBytes {
    type Item = u8;

    fn poll_consume(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, State>,
        source: Source<'_, u8>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        match self.writer.poll_room(cx) {
            Poll::Ready(Asked::Nothing) => Poll::Ready(Ok(StreamResult::Dropped)),
            Poll::Ready(Asked::Item) => {
                if let Some(chunk) = take_chunk(store, source, self.chunk_bytes_max) {
                    self.writer.put(Value::Bytes(chunk), None);
                }
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Poll::Pending if finish => Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => Poll::Pending,
        }
    }
}
