//! `wharf call`: one function of a plugin, called by the operator.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response};
use wharf_call::ports::{Refusal, Stage};
use wharf_call::{
    Body, BoxFuture, Call, Deadline, Failure, HttpService, Invocation, Metadata, Reply, RequestId, Schema,
    Service, TraceContext, problem,
};
use wharf_doors::rest::{BindingSpec, RestDoor};
use wharf_engine::Plugin;

/// Calls INTERFACE.FUNCTION of `plugin` with named parameters in JSON, in the way of the REST door.
///
/// # Errors
/// [`Stage::Find`] when there is no such function. What the function itself refuses is a response.
pub(crate) async fn call(
    plugin: &Plugin,
    function: &str,
    arguments: Bytes,
    config: wharf_doors::DoorConfig,
) -> Result<Response<Body>, Refusal> {
    let find = |message: String| Refusal::new(Stage::Find, message);
    let name = plugin.name();
    let service = plugin.service().ok_or_else(|| {
        find(format!("plugin {name:?} exports no interface of its own: there is nothing to call"))
    })?;
    let service: Arc<dyn Service> = Arc::new(ByOperator(service));
    let door = RestDoor::new(&[service], config).map_err(|wrong| find(wrong.join("\n")))?;
    let spec =
        BindingSpec { function: function.to_owned(), methods: vec![Method::POST], ..BindingSpec::default() };
    let spec = BindingSpec { plugin: name.to_owned(), path: "/".to_owned(), ..spec };
    let bound = door.bind(spec).map_err(find)?;
    let mut request = Request::new(Body::whole(arguments));
    *request.method_mut() = Method::POST;
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("*/*"));
    let invocation = invocation(function)?;
    let id = invocation.request_id.clone();
    let answered = bound.call(request, invocation).await;
    Ok(answered.unwrap_or_else(|failure| problem::response(&failure, id.as_str(), None)))
}

/// A plugin's functions for the operator, whose calls have no metadata: what a plugin sets has no place in a response of
/// the admin API.
struct ByOperator(Arc<dyn Service>);

impl Service for ByOperator {
    fn plugin(&self) -> &str {
        self.0.plugin()
    }

    fn generation(&self) -> u64 {
        self.0.generation()
    }

    fn schema(&self) -> &Arc<Schema> {
        self.0.schema()
    }

    fn invoke<'a>(&'a self, call: Call, mut invocation: Invocation) -> BoxFuture<'a, Result<Reply, Failure>> {
        invocation.metadata = Metadata::default();
        self.0.invoke(call, invocation)
    }
}

/// What the host knows of a call that came in by no route.
fn invocation(function: &str) -> Result<Invocation, Refusal> {
    let mut random = [0; 24];
    aws_lc_rs::rand::fill(&mut random)
        .map_err(|_| Refusal::new(Stage::Find, "the system has no random numbers"))?;
    let (id, span) = random.split_at(16);
    let wide = id.iter().fold(0, |wide, byte| wide << 8 | u128::from(*byte));
    let span_id = span.iter().fold(0, |wide, byte| wide << 8 | u64::from(*byte));
    Ok(Invocation {
        request_id: RequestId::from_bits(wide),
        trace: TraceContext { trace_id: wide.max(1), span_id: span_id.max(1), flags: 0 },
        route: function.into(),
        params: Vec::new(),
        caller: None,
        peer: "admin".into(),
        idempotent: false,
        deadline: Deadline::NONE,
        metadata: Metadata::default(),
    })
}
