//! Tests of the whole door against plugins that are functions of the test.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod attacks;
mod http;
mod links;
mod mapping;
mod merging;
mod random;
mod streams;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use ::http::{HeaderMap, Method, Request, Response, StatusCode};
use bytes::Bytes;
use http_body_util::BodyExt;
use serde_json::{Value as Json, json};
use wharf_call::{
    Body, BoxFuture, Call, Case, Deadline, Docs, Failure, Field, Function, HttpService, Interface,
    Invocation, Kind, Metadata, Output, Package, Reply, RequestId, Schema, Service, TraceContext, Type,
    TypeDef, TypeId, TypeKind, Value,
};
use wharf_doors::testing::{Room, Unbounded};

use crate::{GraphqlConfig, GraphqlDoor, LinkSpec};

type Answer = Box<dyn Fn(&str, Vec<Value>) -> Result<Reply, Failure> + Send + Sync>;

/// A plugin whose functions are the test's.
struct Fake {
    plugin: String,
    schema: Arc<Schema>,
    answer: Answer,
    calls: Mutex<Vec<(String, Vec<Value>)>>,
}

impl Fake {
    fn new(
        plugin: &str,
        schema: Schema,
        answer: impl Fn(&str, Vec<Value>) -> Result<Reply, Failure> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Fake {
            plugin: plugin.into(),
            schema: Arc::new(schema),
            answer: Box::new(answer),
            calls: Mutex::default(),
        })
    }

    /// The names of the functions that were called.
    fn called(&self) -> Vec<String> {
        self.calls.lock().unwrap().iter().map(|(name, _)| name.clone()).collect()
    }

    /// The arguments of the last call.
    fn last_args(&self) -> Vec<Value> {
        self.calls.lock().unwrap().last().unwrap().1.clone()
    }
}

impl Service for Fake {
    fn plugin(&self) -> &str {
        &self.plugin
    }

    fn generation(&self) -> u64 {
        1
    }

    fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    fn invoke<'a>(&'a self, call: Call, _: Invocation) -> BoxFuture<'a, Result<Reply, Failure>> {
        let (_, function) = self.schema.function(call.function);
        for (param, arg) in function.params.iter().zip(&call.args) {
            assert!(self.schema.admits(&param.ty, arg), "{arg:?} is not a {:?}", param.ty);
        }
        self.calls.lock().unwrap().push((function.name.clone(), call.args.clone()));
        let reply = (self.answer)(&function.name, call.args);
        Box::pin(async move {
            // Every other call gets its turn first, as on a real pool.
            tokio::task::yield_now().await;
            reply
        })
    }
}

fn door(
    services: &[Arc<Fake>],
    links: &[LinkSpec],
    config: GraphqlConfig,
) -> Result<GraphqlDoor, Vec<String>> {
    let services: Vec<Arc<dyn Service>> =
        services.iter().map(|fake| fake.clone() as Arc<dyn Service>).collect();
    GraphqlDoor::new(&services, links, config, Arc::new(Unbounded))
}

fn invocation() -> Invocation {
    Invocation {
        request_id: RequestId::accept(b"test-1").unwrap(),
        trace: TraceContext { trace_id: 1, span_id: 2, flags: 0 },
        route: "/graphql".into(),
        params: Vec::new(),
        caller: None,
        peer: "127.0.0.1".into(),
        idempotent: false,
        deadline: Deadline::NONE,
        metadata: Metadata::default(),
    }
}

async fn send(door: &GraphqlDoor, request: Request<Body>) -> Response<Body> {
    match door.call(request, invocation()).await {
        Ok(response) => response,
        Err(failure) => door.refuse(&failure, "test-1").unwrap(),
    }
}

async fn read(response: Response<Body>) -> (StatusCode, HeaderMap, Bytes) {
    let (parts, body) = response.into_parts();
    (parts.status, parts.headers, body.collect().await.unwrap().to_bytes())
}

fn request(method: Method, uri: &str, headers: &[(&str, &str)], body: &str) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::whole(body.to_owned())).unwrap()
}

/// Sends a query and gives the response's JSON.
async fn ask(door: &GraphqlDoor, query: &str) -> Json {
    ask_with(door, query, json!({})).await
}

async fn ask_with(door: &GraphqlDoor, query: &str, variables: Json) -> Json {
    let body = json!({ "query": query, "variables": variables }).to_string();
    let request = request(Method::POST, "/graphql", &[("content-type", "application/json")], &body);
    let (_, _, body) = read(send(door, request).await).await;
    serde_json::from_slice(&body).unwrap()
}

fn first_error(response: &Json) -> &str {
    response["errors"][0]["message"].as_str().unwrap_or_else(|| panic!("no error in {response}"))
}

fn package() -> Package {
    Package { namespace: "demo".into(), name: "test".into(), version: Some("1.0.0".into()) }
}

fn field(name: &str, ty: Type) -> Field {
    Field { name: name.into(), docs: Docs::default(), ty }
}

fn cases(cases: &[(&str, Option<Type>)]) -> Vec<Case> {
    cases
        .iter()
        .map(|(name, ty)| Case { name: (*name).into(), docs: Docs::default(), ty: ty.clone() })
        .collect()
}

fn names(names: &[&str]) -> Vec<Case> {
    cases(&names.iter().map(|&name| (name, None)).collect::<Vec<_>>())
}

fn def(name: &str, kind: TypeKind) -> TypeDef {
    TypeDef { name: name.into(), package: package(), interface: "things".into(), docs: Docs::default(), kind }
}

fn id(at: u32) -> Type {
    Type::Named(TypeId(at))
}

fn option(ty: Type) -> Type {
    Type::Option(Box::new(ty))
}

fn list(ty: Type) -> Type {
    Type::List(Box::new(ty))
}

fn function(name: &str, params: &[(&str, Type)], output: Output) -> Function {
    Function {
        name: name.into(),
        docs: Docs::default(),
        is_async: true,
        params: params.iter().map(|(name, ty)| field(name, ty.clone())).collect(),
        input: None,
        output,
        error: None,
    }
}

fn query(name: &str, params: &[(&str, Type)], output: Type) -> Function {
    Function { docs: Docs::parse("@query"), ..function(name, params, Output::Value(output)) }
}

fn schema(functions: Vec<Function>, types: Vec<TypeDef>) -> Schema {
    let interface = Interface { package: package(), name: "things".into(), docs: Docs::default(), functions };
    Schema { interfaces: vec![interface], types }
}

fn text(value: &str) -> Value {
    Value::String(value.into())
}

fn reply(value: Value) -> Result<Reply, Failure> {
    Ok(Reply::Value(Some(value)))
}

/// A plugin with one thing of each kind, for tests of everything but types.
fn things() -> Arc<Fake> {
    let error =
        def("problem", TypeKind::Variant(cases(&[("not-found", Some(Type::String)), ("tired", None)])));
    let thing = def("thing", TypeKind::Record(vec![field("id", Type::U32), field("name", Type::String)]));
    let get = Function { error: Some(id(0)), ..query("get", &[("id", Type::U32)], id(1)) };
    let functions = vec![
        get,
        query("hello", &[("name", option(Type::String))], Type::String),
        query("all", &[], list(id(1))),
        function("rename", &[("id", Type::U32), ("name", Type::String)], Output::Value(id(1))),
        function("reset", &[], Output::Nothing),
        function("watch", &[("count", Type::U32)], Output::Stream(id(1))),
        query("break", &[], Type::String),
    ];
    let schema = schema(functions, vec![error, thing]);
    let shared = Arc::new(schema.clone());
    Fake::new("things", schema, move |name, args| {
        let thing = |id: u64, name: &str| Value::Record(vec![Value::Unsigned(id), text(name)]);
        match (name, args.as_slice()) {
            ("get", [Value::Unsigned(404)]) => {
                let error = Value::Variant(0, Some(Box::new(text("There is no thing 404."))));
                Err(shared.failure(Some(&id(0)), Some(error)))
            }
            ("get", [Value::Unsigned(id)]) => reply(thing(*id, "got")),
            ("hello", [Value::Option(Some(name))]) => match &**name {
                Value::String(name) => reply(text(&format!("Hello, {name}"))),
                _ => unreachable!(),
            },
            ("hello", _) => reply(text("Hello")),
            ("all", _) => reply(Value::List((0..3).map(|id| thing(id, "one")).collect())),
            ("rename", [Value::Unsigned(id), Value::String(name)]) => reply(thing(*id, name)),
            ("reset", _) => Ok(Reply::Value(None)),
            ("watch", [Value::Unsigned(count)]) => {
                let things = (0..*count).map(move |id| Ok(thing(id, "seen"))).collect::<Vec<_>>();
                Ok(Reply::Stream(Box::pin(futures_util::stream::iter(things))))
            }
            ("break", _) => {
                Err(Failure::new(wharf_call::Kind::GuestTrapped, "The plugin failed.").with_private("secret"))
            }
            _ => unreachable!("{name}"),
        }
    })
}
