//! Typed calls, and the values in them.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput};
use wharf_call::{
    Call, Docs, Door, Field, FunctionId, Package, Reply, Schema, Service, Type, TypeDef, TypeId, TypeKind, Value,
};
use wharf_engine::{Conversion, Isolation};
use wharf_harness::components;

use super::{Bench, invocation};

pub(crate) fn calls(criterion: &mut Criterion) {
    let bench = Bench::new();
    let streams = bench.plugin(components::STREAMS, Isolation::Plugin).service().unwrap();
    let types = bench.plugin(components::ECHO_TYPES, Isolation::Plugin).service().unwrap();
    let mut group = criterion.benchmark_group("typed");
    for (name, service, function, args) in [
        ("nothing", &streams, "ping", vec![]),
        ("two numbers", &streams, "add", vec![Value::Unsigned(1), Value::Unsigned(2)]),
        ("a text, async", &streams, "greet", vec![Value::String("you".into())]),
        ("a record", &types, "echo-person", vec![person()]),
        ("a list of 100 numbers", &types, "echo-list-u32", vec![Value::List(vec![Value::Unsigned(7); 100])]),
    ] {
        let id = find(&**service, function);
        bench.measure(&mut group, name, async || {
            let call = Call { function: id, args: args.clone(), input: None, door: Door::Rest };
            assert!(matches!(service.invoke(call, invocation()).await.unwrap(), Reply::Value(_)));
        });
    }
}

fn find(service: &dyn Service, name: &str) -> FunctionId {
    service.schema().functions().find(|(_, _, function)| function.name == name).unwrap().0
}

/// `person` of `echo-types`.
fn person() -> Value {
    Value::Record(vec![
        Value::String("Ada".into()),
        Value::Unsigned(36),
        Value::NONE,
        Value::Bytes(vec![1; 16].into()),
        Value::Record(vec![Value::Signed(1), Value::Signed(-1)]),
        Value::List(vec![Value::String("first".into()), Value::String("programmer".into())]),
        Value::F64(0.5),
    ])
}

/// A record of a kibibyte: eight texts of 96 bytes, 16 numbers, and a list of 8 records of two.
pub(crate) fn conversion(criterion: &mut Criterion) {
    let field = |name: String, ty| Field { name, docs: Docs::default(), ty };
    let def = |name: &str, fields| TypeDef {
        name: name.into(),
        package: Package { namespace: "a".into(), name: "b".into(), version: None },
        interface: "i".into(),
        docs: Docs::default(),
        kind: TypeKind::Record(fields),
    };
    let point = def("point", vec![field("x".into(), Type::S32), field("y".into(), Type::S32)]);
    let mut fields: Vec<Field> = (0..8).map(|n| field(format!("text-{n}"), Type::String)).collect();
    fields.extend((0..16).map(|n| field(format!("number-{n}"), Type::U64)));
    fields.push(field("points".into(), Type::List(Box::new(Type::Named(TypeId(0))))));
    let schema = Schema { interfaces: Vec::new(), types: vec![point, def("large", fields)] };
    let mut values: Vec<Value> = (0..8).map(|_| Value::String("x".repeat(96))).collect();
    values.extend((0..16).map(Value::Unsigned));
    let point = Value::Record(vec![Value::Signed(1), Value::Signed(2)]);
    values.push(Value::List(vec![point; 8]));
    let value = Value::Record(values);

    let conversion = Conversion::new(Arc::new(schema));
    let ty = Type::Named(TypeId(1));
    let mut group = criterion.benchmark_group("convert");
    group.throughput(Throughput::Bytes(1024));
    group.bench_function("a record of 1 KiB, there and back", |bencher| {
        bencher.iter_batched(
            || value.clone(),
            |value| black_box(conversion.there_and_back(&ty, value)).unwrap(),
            BatchSize::SmallInput,
        );
    });
}
