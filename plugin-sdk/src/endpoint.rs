use std::any::Any;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;

use crate::call::Call;
use crate::extract::{Extract, Takes, fill};
use crate::{IntoResponse, Response, Result};

/// A function that answers calls: `async`, with up to eight arguments that implement
/// [`Extract`], and a result that implements [`IntoResponse`].
///
/// Functions and closures of this form implement it; nothing else needs to. When the compiler says that a
/// function does not, put [`#[wharf::endpoint]`](crate::endpoint) on it: that names the argument or the
/// result that is not right.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot answer calls",
    label = "not an `async fn` from extractors to a response",
    note = "it must be an `async fn` with at most 8 arguments that implement `wharf::Extract` (`Path<T>`, \
            `Json<T>`, `Request` …), and a result that implements `wharf::IntoResponse`",
    note = "put `#[wharf::endpoint]` on the function to see which part of it is not right"
)]
pub trait Endpoint<Arguments>: 'static {
    /// Takes the arguments from the call, and answers it.
    fn call(&self, call: Call) -> impl Future<Output = Result<Response>>;

    /// A state that the function asks for and `states` lack, by the name of its type.
    #[doc(hidden)]
    fn missing(states: &[&'static dyn Any]) -> Option<&'static str>;
}

macro_rules! endpoint {
    ($($argument:ident $place:ident)*) => {
        impl<Function, Answer, $($argument),*> Endpoint<($($argument,)*)> for Function
        where
            Function: Fn($($argument),*) -> Answer + 'static,
            Answer: Future<Output: IntoResponse>,
            $($argument: Extract,)*
        {
            #[allow(unused_mut, unused_variables, reason = "there may be no arguments")]
            async fn call(&self, mut call: Call) -> Result<Response> {
                const { Takes::check(&[$($argument::TAKES),*]) };
                $(let mut $place = None;)*
                $(fill::<$argument, 0>(&mut $place, &mut call).await?;)*
                $(fill::<$argument, 1>(&mut $place, &mut call).await?;)*
                $(fill::<$argument, 2>(&mut $place, &mut call).await?;)*
                match ($($place,)*) {
                    ($(Some($place),)*) => self($($place),*).await.into_response(),
                    #[allow(unreachable_patterns, reason = "there may be no arguments")]
                    _ => unreachable!("each extractor has a turn"),
                }
            }

            #[allow(unused_variables, reason = "there may be no arguments")]
            fn missing(states: &[&'static dyn Any]) -> Option<&'static str> {
                None$(.or_else(|| $argument::missing(states)))*
            }
        }
    };
}

endpoint!();
endpoint!(A a);
endpoint!(A a B b);
endpoint!(A a B b C c);
endpoint!(A a B b C c D d);
endpoint!(A a B b C c D d E e);
endpoint!(A a B b C c D d E e F f);
endpoint!(A a B b C c D d E e F f G g);
endpoint!(A a B b C c D d E e F f G g H h);

/// An endpoint without its type.
pub(crate) trait AnyEndpoint {
    fn call<'a>(&'a self, call: Call) -> Pin<Box<dyn Future<Output = Result<Response>> + 'a>>;
    fn missing(&self, states: &[&'static dyn Any]) -> Option<&'static str>;
}

pub(crate) struct Erased<E, Arguments>(E, PhantomData<fn() -> Arguments>);

impl<E, Arguments> Erased<E, Arguments> {
    pub(crate) fn new(endpoint: E) -> Self {
        Erased(endpoint, PhantomData)
    }
}

impl<E: Endpoint<Arguments>, Arguments> AnyEndpoint for Erased<E, Arguments> {
    fn call<'a>(&'a self, call: Call) -> Pin<Box<dyn Future<Output = Result<Response>> + 'a>> {
        Box::pin(self.0.call(call))
    }

    fn missing(&self, states: &[&'static dyn Any]) -> Option<&'static str> {
        E::missing(states)
    }
}
