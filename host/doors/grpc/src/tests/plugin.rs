//! A plugin without a guest, and a door to it that a stock client reaches over a socket.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use futures_util::{FutureExt, StreamExt, stream};
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use wharf_call::{
    Body, BoxFuture, Call, Case, Deadline, Docs, Failure, HttpService, Invocation, Kind, Metadata, Output,
    Reply, RequestId, Schema, Service, TraceContext, Type, TypeDef, TypeId, TypeKind, Value,
};
use wharf_doors::testing::Unbounded;

use super::{field, function, interface, package};
use crate::{GrpcConfig, GrpcDoor};

/// The plugin.
pub(super) struct Demo {
    schema: Arc<Schema>,
    /// Calls and streams that were dropped before their end.
    pub(super) dropped: Arc<AtomicUsize>,
}

/// Counts itself as dropped.
struct Guard(Arc<AtomicUsize>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Demo {
    pub(super) fn new() -> Self {
        let case = |name: &str, ty| Case { name: name.into(), docs: Docs::default(), ty };
        let failure = TypeDef {
            name: "failure".into(),
            package: package("demo:talk@2.0.0"),
            interface: "chat".into(),
            docs: Docs::default(),
            kind: TypeKind::Variant(vec![case("not-found", None), case("invalid", Some(Type::String))]),
        };
        let text = || vec![field("text", Type::String)];
        let mut fail = function("fail", text(), Output::Value(Type::String));
        fail.error = Some(Type::Named(TypeId(0)));
        let mut sum = function("sum", vec![field("start", Type::U32)], Output::Value(Type::U64));
        sum.input = Some(Type::U32);
        let mut chat = function("chat", vec![], Output::Stream(Type::String));
        chat.input = Some(Type::String);
        let functions = vec![
            function("echo", text(), Output::Value(Type::String)),
            fail,
            function("slow", vec![], Output::Nothing),
            function("count", vec![field("n", Type::U32)], Output::Stream(Type::U32)),
            sum,
            chat,
        ];
        let schema = Schema {
            interfaces: vec![interface("demo:talk@2.0.0", "chat", functions)],
            types: vec![failure],
        };
        Demo { schema: Arc::new(schema), dropped: Arc::default() }
    }
}

impl Service for Demo {
    fn plugin(&self) -> &str {
        "demo"
    }

    fn generation(&self) -> u64 {
        1
    }

    fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    fn invoke<'a>(&'a self, call: Call, _: Invocation) -> BoxFuture<'a, Result<Reply, Failure>> {
        let function = call.function.function;
        let arg = call.args.into_iter().next();
        let guard = Guard(self.dropped.clone());
        async move {
            let value = |value| Ok(Reply::Value(Some(value)));
            match (function, arg) {
                (0, Some(Value::String(text))) => value(Value::String(text)),
                (1, Some(Value::String(text))) => {
                    let error = match text.as_str() {
                        "busy" => return Err(Failure::new(Kind::Overloaded, "é 100%").with_retry_after_s(3)),
                        "missing" => Value::Variant(0, None),
                        _ => Value::Variant(1, Some(Box::new(Value::String(text)))),
                    };
                    Err(self.schema.failure(Some(&Type::Named(TypeId(0))), Some(error)))
                }
                (2, None) => {
                    let _guard = guard;
                    pending().await
                }
                (3, Some(Value::Unsigned(n))) => {
                    let counted = stream::iter(0..n).map(move |n| {
                        let _ = &guard;
                        Ok(Value::Unsigned(n))
                    });
                    // Slowly, when it is without end: nobody has to read so much.
                    let slow = n == u64::from(u32::MAX);
                    let counted = counted.then(move |item| async move {
                        if slow {
                            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                        }
                        item
                    });
                    Ok(Reply::Stream(Box::pin(counted)))
                }
                (4, Some(Value::Unsigned(mut sum))) => {
                    let mut items = call.input.unwrap();
                    while let Some(item) = items.next().await {
                        let Value::Unsigned(n) = item? else { panic!() };
                        sum += n;
                    }
                    value(Value::Unsigned(sum))
                }
                (5, None) => Ok(Reply::Stream(call.input.unwrap())),
                other => panic!("{other:?}"),
            }
        }
        .boxed()
    }
}

pub(super) fn door(demo: Demo) -> GrpcDoor {
    let config = GrpcConfig { message_in_bytes_max: 64 << 10, ..GrpcConfig::new(Arc::new(Unbounded)) };
    GrpcDoor::new(&[Arc::new(demo)], config).unwrap()
}

pub(super) fn invocation() -> Invocation {
    Invocation {
        request_id: RequestId::from_bits(7),
        trace: TraceContext::parse(b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").unwrap(),
        route: "/".into(),
        params: Vec::new(),
        caller: None,
        peer: "test".into(),
        idempotent: false,
        deadline: Deadline::NONE,
        metadata: Metadata::default(),
    }
}

/// A connection of a stock HTTP/2 client, for a stock gRPC client.
#[derive(Clone)]
pub(super) struct Channel(SendRequest<tonic::body::Body>);

impl tower_service::Service<Request<tonic::body::Body>> for Channel {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = BoxFuture<'static, Result<Response<Incoming>, hyper::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<tonic::body::Body>) -> Self::Future {
        // A client's channel knows the authority; this one is the channel.
        let path = request.uri().path_and_query().unwrap().as_str();
        *request.uri_mut() = format!("http://localhost{path}").parse().unwrap();
        self.0.send_request(request).boxed()
    }
}

/// Serves `door` on a socket, and connects to it.
pub(super) async fn connect(door: GrpcDoor) -> Channel {
    let door = Arc::new(door);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        let service = service_fn(move |request: Request<Incoming>| {
            let door = door.clone();
            async move {
                let request = request.map(|body| {
                    Body::stream(body.map_err(|error| Failure::new(Kind::BadRequest, error.to_string())))
                });
                match door.call(request, invocation()).await {
                    Ok(response) => Ok::<_, std::convert::Infallible>(response),
                    Err(failure) => Ok(door.refuse(&failure, "refused").unwrap()),
                }
            }
        });
        let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        let _ = server.serve_connection(TokioIo::new(socket), service).await;
    });
    let socket = TcpStream::connect(address).await.unwrap();
    let (sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .handshake(TokioIo::new(socket))
        .await
        .unwrap();
    tokio::spawn(connection);
    Channel(sender)
}
