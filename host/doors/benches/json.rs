//! What the JSON doors add to a call: a record of 1 KiB read and written, and a whole unary call through a door.
//! `cargo bench -p wharf-doors --features testing`.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use http::Request;
use http::header::CONTENT_TYPE;
use wharf_call::{
    Body, Call, Docs, Field, Function, HttpService, Interface, Output, Package, Reply, Schema, Type, TypeDef,
    TypeId, TypeKind, Value,
};
use wharf_doors::DoorConfig;
use wharf_doors::json::{Limits, Plan, decode, encode};
use wharf_doors::jsonrpc::{JsonRpcConfig, JsonRpcDoor};
use wharf_doors::rest::RestDoor;
use wharf_doors::testing::{Unbounded, fake, invocation};

fn field(name: &str, ty: Type) -> Field {
    Field { name: name.into(), docs: Docs::default(), ty }
}

const ORDER: Type = Type::Named(TypeId(1));

fn schema() -> Arc<Schema> {
    let package = Package { namespace: "demo".into(), name: "shop".into(), version: Some("1.0.0".into()) };
    let def = |name: &str, fields| TypeDef {
        name: name.into(),
        package: package.clone(),
        interface: "orders".into(),
        docs: Docs::default(),
        kind: TypeKind::Record(fields),
    };
    let line = vec![
        field("product-id", Type::String),
        field("quantity", Type::U32),
        field("unit-price", Type::F64),
        field("note", Type::Option(Box::new(Type::String))),
    ];
    let order = vec![
        field("order-id", Type::U64),
        field("customer", Type::String),
        field("paid", Type::Bool),
        field("lines", Type::List(Box::new(Type::Named(TypeId(0))))),
    ];
    let echo = Function {
        name: "echo".into(),
        docs: Docs::default(),
        is_async: false,
        params: vec![field("order", ORDER)],
        input: None,
        output: Output::Value(ORDER),
        error: None,
    };
    let types = vec![def("line", line), def("order", order)];
    let orders = Interface {
        package: package.clone(),
        name: "orders".into(),
        docs: Docs::default(),
        functions: vec![echo],
    };
    Arc::new(Schema { interfaces: vec![orders], types })
}

/// An order of a little more than 1 KiB in JSON.
fn order() -> Value {
    let line = |at: u64| {
        Value::Record(vec![
            Value::String(format!("product-{at:08}")),
            Value::Unsigned(at),
            Value::F64(19.99),
            Value::some(Value::String("a note on this line".into())),
        ])
    };
    Value::Record(vec![
        Value::Unsigned(1 << 60),
        Value::String("Ada Lovelace".into()),
        Value::Bool(true),
        Value::List((0..10).map(line).collect()),
    ])
}

fn values(c: &mut Criterion) {
    let plan = Plan::new(&schema());
    let (order, mut json) = (order(), Vec::new());
    encode(&plan, &ORDER, &order, &mut json);
    let mut group = c.benchmark_group("record of 1 KiB");
    group.throughput(Throughput::Bytes(json.len() as u64));
    group.bench_function("decode", |b| {
        b.iter(|| decode(&plan, &ORDER, black_box(&json), Limits::default()));
    });
    // A parser that makes a tree of the same text, to compare with.
    group.bench_function("serde_json tree", |b| {
        b.iter(|| serde_json::from_slice::<serde_json::Value>(black_box(&json)));
    });
    group.bench_function("encode", |b| {
        let mut out = Vec::with_capacity(2048);
        b.iter(|| {
            out.clear();
            encode(&plan, &ORDER, black_box(&order), &mut out);
        });
    });
    group.finish();
}

fn calls(c: &mut Criterion) {
    let service = fake("shop", schema(), |mut call: Call| async move { Ok(Reply::Value(call.args.pop())) });
    let config = DoorConfig::new(Arc::new(Unbounded));
    let rest = RestDoor::new(std::slice::from_ref(&service), config.clone()).expect("nothing is there twice");
    let rpc = JsonRpcDoor::new(&[service], JsonRpcConfig::new(config)).expect("nothing is there twice");
    let plan = Plan::new(&schema());
    let mut order_json = Vec::new();
    encode(&plan, &ORDER, &order(), &mut order_json);
    let order_json = String::from_utf8(order_json).expect("it is JSON");
    let small = r#"{"orderId":"1","customer":"a","paid":true,"lines":[]}"#;
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("there is room for it");
    let mut group = c.benchmark_group("unary call");
    for (size, order) in [("small", small), ("1 KiB", order_json.as_str())] {
        let doors: [(&str, &dyn HttpService, &str, String); 2] = [
            ("rest", &rest, "/rpc/demo:shop@1/orders/echo", format!(r#"{{"order":{order}}}"#)),
            (
                "jsonrpc",
                &rpc,
                "/jsonrpc",
                format!(r#"{{"jsonrpc":"2.0","method":"orders.echo","params":{{"order":{order}}},"id":1}}"#),
            ),
        ];
        for (name, door, path, body) in doors {
            let body = bytes::Bytes::from(body);
            let invocation = invocation(&[]);
            group.bench_function(format!("{name}, {size}"), |b| {
                b.iter(|| {
                    let request = Request::builder().method("POST").uri(path);
                    let request = request.header(CONTENT_TYPE, "application/json");
                    let request = request.body(Body::Whole(body.clone())).expect("it is one");
                    runtime.block_on(door.call(request, invocation.clone()))
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, values, calls);
criterion_main!(benches);
