//! `request` and `context` of `wit/types.wit`, made of what the host has already.
//!
//! The types that `bindgen!` makes own every text as a `String`: a dozen small copies for each call, made only
//! to be copied once more into the guest. These lower from the host's own types.

use std::mem::MaybeUninit;
use std::sync::Arc;
use std::time::Instant;

use http::header::HOST;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Method, request};
use wasmtime::component::__internal::{CanonicalAbiInfo, InstanceType, InterfaceType, LowerContext};
use wasmtime::component::{ComponentType, Lower};
use wharf_bindings::handler_0_1::wharf::plugin::types as wit;
use wharf_call::{Invocation, RequestId};

#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct Request {
    method: Text<Method>,
    scheme: Text<Option<Scheme>>,
    authority: Text<Name>,
    #[component(name = "path-with-query")]
    path_with_query: Text<Option<PathAndQuery>>,
    headers: Vec<(Text<HeaderName>, Octets)>,
    body: wit::Body,
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct Context {
    #[component(name = "request-id")]
    request_id: Text<RequestId>,
    traceparent: Text<[u8; 55]>,
    route: Arc<str>,
    params: Vec<(Arc<str>, String)>,
    caller: Option<wit::Caller>,
    #[component(name = "deadline-ms")]
    deadline_ms: u32,
    attributes: Vec<(Arc<str>, String)>,
}

impl Request {
    pub(in crate::worlds) fn new(head: request::Parts, body: wit::Body) -> Self {
        let uri = head.uri.into_parts();
        let (headers, host) = fields(head.headers);
        Request {
            method: Text(head.method),
            scheme: Text(uri.scheme),
            // The gateway has made sure that there is one such name.
            authority: Text(uri.authority.map_or(Name::Host(host), Name::Authority)),
            path_with_query: Text(uri.path_and_query),
            headers,
            body,
        }
    }
}

impl Context {
    pub(in crate::worlds) fn new(invocation: Invocation) -> Self {
        let left = invocation.deadline.remaining(Instant::now());
        Context {
            request_id: Text(invocation.request_id),
            traceparent: Text(invocation.trace.to_bytes()),
            route: invocation.route,
            params: invocation.params,
            caller: invocation.caller.map(|caller| wit::Caller {
                subject: caller.subject.clone(),
                issuer: caller.issuer.clone(),
                roles: caller.roles.clone(),
                scopes: caller.scopes.clone(),
            }),
            deadline_ms: left.map_or(u32::MAX, |left| u32::try_from(left.as_millis()).unwrap_or(u32::MAX)),
            attributes: Vec::new(),
        }
    }
}

/// All fields, and the value of `host`, which is found in passing.
fn fields(headers: HeaderMap) -> (Vec<(Text<HeaderName>, Octets)>, Option<HeaderValue>) {
    let mut fields = Vec::with_capacity(headers.len());
    let mut host = None;
    let mut current = None;
    for (name, value) in headers {
        // A repeated field has its name the first time only.
        current = name.or(current);
        if let Some(name) = &current {
            if *name == HOST {
                host = Some(value.clone());
            }
            fields.push((Text(name.clone()), Octets(value)));
        }
    }
    (fields, host)
}

/// What the client called us.
pub(crate) enum Name {
    Authority(Authority),
    Host(Option<HeaderValue>),
}

/// Something that is a text for the guest.
pub(crate) trait AsText {
    fn as_text(&self) -> &str;
}

impl AsText for Method {
    fn as_text(&self) -> &str {
        self.as_str()
    }
}

impl AsText for Option<Scheme> {
    fn as_text(&self) -> &str {
        self.as_ref().map_or("http", Scheme::as_str)
    }
}

impl AsText for Name {
    fn as_text(&self) -> &str {
        match self {
            Name::Authority(authority) => authority.as_str(),
            Name::Host(host) => host.as_ref().and_then(|host| host.to_str().ok()).unwrap_or_default(),
        }
    }
}

impl AsText for Option<PathAndQuery> {
    fn as_text(&self) -> &str {
        self.as_ref().map_or("/", PathAndQuery::as_str)
    }
}

impl AsText for HeaderName {
    fn as_text(&self) -> &str {
        self.as_str()
    }
}

impl AsText for RequestId {
    fn as_text(&self) -> &str {
        self.as_str()
    }
}

impl AsText for [u8; 55] {
    fn as_text(&self) -> &str {
        std::str::from_utf8(self).expect("a traceparent is ASCII")
    }
}

/// A `string`.
pub(crate) struct Text<T>(T);

/// A `list<u8>`.
pub(crate) struct Octets(HeaderValue);

/// Lowers a type as another one, as wasmtime does it for `String` and `str`.
macro_rules! lower_as {
    ($([$($generics:tt)*] $own:ty => $other:ty, $borrow:expr;)*) => {$(
        // SAFETY: every item is that of a type for which wasmtime has written them.
        unsafe impl<$($generics)*> ComponentType for $own {
            type Lower = <$other as ComponentType>::Lower;

            const ABI: CanonicalAbiInfo = <$other as ComponentType>::ABI;
            const MAY_REQUIRE_REALLOC: bool = <$other as ComponentType>::MAY_REQUIRE_REALLOC;

            fn typecheck(ty: &InterfaceType, types: &InstanceType<'_>) -> wasmtime::Result<()> {
                <$other as ComponentType>::typecheck(ty, types)
            }
        }

        // SAFETY: as above.
        unsafe impl<$($generics)*> Lower for $own {
            fn linear_lower_to_flat<S>(
                &self,
                cx: &mut LowerContext<'_, S>,
                ty: InterfaceType,
                dst: &mut MaybeUninit<Self::Lower>,
            ) -> wasmtime::Result<()> {
                $borrow(&self.0).linear_lower_to_flat(cx, ty, dst)
            }

            fn linear_lower_to_memory<S>(
                &self,
                cx: &mut LowerContext<'_, S>,
                ty: InterfaceType,
                offset: usize,
            ) -> wasmtime::Result<()> {
                $borrow(&self.0).linear_lower_to_memory(cx, ty, offset)
            }
        }
    )*};
}

lower_as! {
    [T: AsText + Send + Sync + 'static] Text<T> => str, T::as_text;
    [] Octets => [u8], HeaderValue::as_bytes;
}
