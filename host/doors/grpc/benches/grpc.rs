//! What a unary call costs at the door, beside the same call at a bare tonic server: in process, without a socket.
//!
//! The record has an id, two texts, a list of numbers and a list of records: about 1 KiB on the wire.
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark")]

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use http::Request;
use http_body_util::{BodyExt, Full};
use prost::Message;
use tonic::server::{Grpc, UnaryService};
use tonic_prost::ProstCodec;
use wharf_call::{
    Body, BoxFuture, Call, Deadline, Docs, Failure, Field, Function, HttpService, Interface, Invocation,
    Metadata, Output, Package, Reply, RequestId, Schema, Service, TraceContext, Type, TypeDef, TypeId,
    TypeKind, Value,
};
use wharf_doors::testing::Unbounded;
use wharf_grpc::{GrpcConfig, GrpcDoor};

/// `EchoRequest` and `EchoResponse`.
#[derive(Clone, PartialEq, Message)]
struct Carrier {
    #[prost(message, optional, tag = "1")]
    record: Option<Record>,
}

#[derive(Clone, PartialEq, Message)]
struct Record {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(string, tag = "3")]
    notes: String,
    #[prost(uint32, repeated, tag = "4")]
    counts: Vec<u32>,
    #[prost(message, repeated, tag = "5")]
    lines: Vec<Line>,
}

#[derive(Clone, PartialEq, Message)]
struct Line {
    #[prost(string, tag = "1")]
    code: String,
    #[prost(double, tag = "2")]
    price: f64,
}

fn record() -> Carrier {
    let line = |n: u32| Line { code: format!("article-{n}"), price: f64::from(n) + 0.5 };
    let record = Record {
        id: 1 << 40,
        name: "Ada Lovelace".into(),
        notes: "n".repeat(500),
        counts: (0..64).map(|n| n * 100).collect(),
        lines: (0..12).map(line).collect(),
    };
    Carrier { record: Some(record) }
}

struct Echo(Arc<Schema>);

impl Echo {
    fn new() -> Self {
        let field = |name: &str, ty| Field { name: name.into(), docs: Docs::default(), ty };
        let package = Package { namespace: "demo".into(), name: "bench".into(), version: None };
        let record = |name: &str, fields| TypeDef {
            name: name.into(),
            package: package.clone(),
            interface: "bench".into(),
            docs: Docs::default(),
            kind: TypeKind::Record(fields),
        };
        let list = |ty| Type::List(Box::new(ty));
        let types = vec![
            record("line", vec![field("code", Type::String), field("price", Type::F64)]),
            record(
                "record",
                vec![
                    field("id", Type::U64),
                    field("name", Type::String),
                    field("notes", Type::String),
                    field("counts", list(Type::U32)),
                    field("lines", list(Type::Named(TypeId(0)))),
                ],
            ),
        ];
        let echo = Function {
            name: "echo".into(),
            docs: Docs::default(),
            is_async: false,
            params: vec![field("record", Type::Named(TypeId(1)))],
            input: None,
            output: Output::Value(Type::Named(TypeId(1))),
            error: None,
        };
        let interface =
            Interface { package, name: "bench".into(), docs: Docs::default(), functions: vec![echo] };
        Echo(Arc::new(Schema { interfaces: vec![interface], types }))
    }
}

impl Service for Echo {
    fn plugin(&self) -> &str {
        "echo"
    }

    fn generation(&self) -> u64 {
        1
    }

    fn schema(&self) -> &Arc<Schema> {
        &self.0
    }

    fn invoke<'a>(&'a self, mut call: Call, _: Invocation) -> BoxFuture<'a, Result<Reply, Failure>> {
        let value: Option<Value> = call.args.pop();
        Box::pin(ready(Ok(Reply::Value(value))))
    }
}

struct Bare;

impl UnaryService<Carrier> for Bare {
    type Response = Carrier;
    type Future = Ready<Result<tonic::Response<Carrier>, tonic::Status>>;

    fn call(&mut self, request: tonic::Request<Carrier>) -> Self::Future {
        ready(Ok(tonic::Response::new(request.into_inner())))
    }
}

fn invocation() -> Invocation {
    Invocation {
        request_id: RequestId::from_bits(7),
        trace: TraceContext::parse(b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").unwrap(),
        route: "/".into(),
        params: Vec::new(),
        caller: None,
        peer: "bench".into(),
        idempotent: false,
        deadline: Deadline::NONE,
        metadata: Metadata::default(),
    }
}

fn request<B>(body: B) -> Request<B> {
    let mut request = Request::post("/demo.bench.Bench/Echo")
        .header("content-type", "application/grpc")
        .body(body)
        .unwrap();
    *request.version_mut() = http::Version::HTTP_2;
    request
}

/// Runs a future that never waits.
fn now<F: Future>(future: F) -> F::Output {
    match std::pin::pin!(future).poll(&mut Context::from_waker(std::task::Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}

fn unary(criterion: &mut Criterion) {
    let message = record().encode_to_vec();
    let framed: Bytes = [&[0][..], &(message.len() as u32).to_be_bytes(), &message].concat().into();
    let door = GrpcDoor::new(&[Arc::new(Echo::new())], GrpcConfig::new(Arc::new(Unbounded))).unwrap();
    let mut group = criterion.benchmark_group("unary");
    group.bench_function("door", |bencher| {
        bencher.iter(|| {
            let body = Body::stream(Full::new(framed.clone()).map_err(|never: Infallible| match never {}));
            let response = now(door.call(request(body), invocation())).unwrap();
            assert_eq!(now(response.into_body().collect()).unwrap().to_bytes().len(), framed.len());
        });
    });
    group.bench_function("tonic", |bencher| {
        bencher.iter(|| {
            let mut server = Grpc::new(ProstCodec::<Carrier, Carrier>::default());
            let response = now(server.unary(Bare, request(Full::new(framed.clone()))));
            assert_eq!(now(response.into_body().collect()).unwrap().to_bytes().len(), framed.len());
        });
    });
    group.finish();
}

criterion_group!(benches, unary);
criterion_main!(benches);
