use std::any::Any;
use std::rc::Rc;

use http::{HeaderMap, Method, Uri};

use crate::{Body, Context, Failure, Request, Result};

/// One call on its way to a function: the request, its context, and the states of the router.
///
/// It is what an [`Extract`](crate::Extract) takes its value from.
pub struct Call {
    request: Request,
    context: Context,
    states: Option<States>,
}

/// The states that a router's functions can ask for.
pub(crate) type States = Rc<[&'static dyn Any]>;

impl Call {
    /// A call that reached the plugin.
    pub fn new(request: Request, context: Context) -> Self {
        Call { request, context, states: None }
    }

    pub(crate) fn with_states(mut self, states: States) -> Self {
        self.states = Some(states);
        self
    }

    /// The request's method.
    pub fn method(&self) -> &Method {
        self.request.method()
    }

    /// The request's URI.
    pub fn uri(&self) -> &Uri {
        self.request.uri()
    }

    /// The request's header fields.
    pub fn headers(&self) -> &HeaderMap {
        self.request.headers()
    }

    /// The whole request. Its body is empty once an extractor has taken it.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// What the host knows of the call.
    pub fn context(&self) -> &Context {
        &self.context
    }

    pub(crate) fn context_mut(&mut self) -> &mut Context {
        &mut self.context
    }

    /// Takes the body, for an extractor whose [`TAKES`](crate::Extract::TAKES) says so. An empty one is left.
    pub fn take_body(&mut self) -> Body {
        std::mem::take(self.request.body_mut())
    }

    pub(crate) fn take_request(&mut self) -> Request {
        std::mem::take(&mut self.request)
    }

    pub(crate) fn take_context(&mut self) -> Context {
        std::mem::replace(&mut self.context, Context::empty())
    }

    /// Takes it apart.
    pub fn into_parts(self) -> (Request, Context) {
        (self.request, self.context)
    }

    /// A state that was given to the [`Router`](crate::Router) by its type.
    ///
    /// # Errors
    /// `internal` when the router has none of this type.
    pub fn state<T: 'static>(&self) -> Result<&'static T> {
        self.states.iter().flat_map(|states| states.iter()).find_map(|state| state.downcast_ref()).ok_or_else(
            || {
                let name = std::any::type_name::<T>();
                Failure::internal("internal error").with_details(format!(
                    "a function takes State<&{name}>, and its router has no such state: add `.with_state(...)`"
                ))
            },
        )
    }
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call")
            .field("request", &self.request)
            .field("context", &self.context)
            .finish_non_exhaustive()
    }
}
