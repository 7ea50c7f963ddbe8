//! Values of every WIT type on their way from a client, through a door and the guest, and back: JSON, protobuf, GraphQL.
//!
//! The guest `echo-types` has a function for every type within every other. What is sent and expected is written by the
//! doors' own encoders where those are checked against other people's in their crates (`wharf-doors`, `wharf-grpc`), and
//! by a second one for GraphQL.

use std::collections::HashMap;
use std::fs;

use serde_json::{Value as Json, json};
use wharf_call::{Schema, Type, Value};
use wharf_doors::json::{Plan, encode};
use wharf_doors::names::lower_camel;
use wharf_doors::testing::{Random, value};
use wharf_engine::inspect;
use wharf_graphql::testing::{input_type, json_of, select};
use wharf_grpc::testing::Messages;
use wharf_harness::{Client, Host, Protocol, body, components, request, run_alone};

use crate::host;

/// How many values each function is given at each door.
const VALUES: usize = 50;

const PATIENCE: std::time::Duration = std::time::Duration::from_secs(300);

const MANIFEST: &str = r#"
[doors]
batch = 50

[graphql]
batch = 50
depth = 60
complexity = 100_000
tokens = 100_000

[plugin.echo]
component = "{{echo-types}}"
"#;

/// The guest's functions, and the values for each.
struct Echoes {
    schema: std::sync::Arc<Schema>,
    functions: Vec<(String, Type, Vec<Value>)>,
}

impl Echoes {
    fn of(seed: u64) -> Self {
        let schema = inspect(&fs::read(components::ECHO_TYPES).unwrap()).unwrap().schema;
        let mut random = Random::new(seed);
        let functions = schema.functions().map(|(_, _, function)| {
            let ty = function.params[0].ty.clone();
            let values = (0..VALUES).map(|_| with_short_maps(value(&mut random, &schema, &ty)));
            let values: Vec<Value> = values.collect();
            (function.name.clone(), ty, values)
        });
        let functions: Vec<_> = functions.collect();
        let values = functions.len() * VALUES;
        assert!(functions.len() >= 200 && values >= 10_000, "{values} values of {} types", functions.len());
        Echoes { schema, functions }
    }
}

/// A guest's map has its own order: with one entry there is only one.
fn with_short_maps(value: Value) -> Value {
    let within = |value: Box<Value>| Box::new(with_short_maps(*value));
    let all = |values: Vec<Value>| values.into_iter().map(with_short_maps).collect();
    match value {
        Value::Map(entries) => {
            let first = entries.into_iter().take(1);
            Value::Map(first.map(|(key, value)| (key, with_short_maps(value))).collect())
        }
        Value::List(items) => Value::List(all(items)),
        Value::Tuple(items) => Value::Tuple(all(items)),
        Value::Record(fields) => Value::Record(all(fields)),
        Value::Variant(case, payload) => Value::Variant(case, payload.map(within)),
        Value::Option(payload) => Value::Option(payload.map(within)),
        Value::Result(Ok(payload)) => Value::Result(Ok(payload.map(within))),
        Value::Result(Err(payload)) => Value::Result(Err(payload.map(within))),
        other => other,
    }
}

async fn post(client: &mut Client, path: &str, json: &Json) -> Json {
    let mut asked = request("POST", path, body(json.to_string()));
    asked.headers_mut().insert("content-type", "application/json".parse().unwrap());
    client.answer(asked).await.expect(200).json()
}

async fn start() -> (Host, Client) {
    let host = host(MANIFEST).start().await;
    let client = host.connect(Protocol::Http2).await;
    (host, client)
}

#[test]
fn every_value_of_every_type_is_itself_again_as_json() {
    run_alone(PATIENCE, async {
        let echoes = Echoes::of(0x5eed_0001);
        let plan = Plan::new(&echoes.schema);
        let (_host, mut client) = start().await;
        for (name, ty, values) in &echoes.functions {
            let json = |value| {
                let mut json = Vec::new();
                encode(&plan, ty, value, &mut json);
                serde_json::from_slice::<Json>(&json).unwrap()
            };
            let sent: Vec<Json> = values.iter().map(json).collect();
            let calls = sent.iter().enumerate().map(|(id, value)| {
                json!({ "jsonrpc": "2.0", "id": id, "method": format!("echo.{}", lower_camel(name)), "params": [value] })
            });
            let answers = post(&mut client, "/jsonrpc", &calls.collect()).await;
            let answers: HashMap<u64, &Json> = answers
                .as_array()
                .unwrap()
                .iter()
                .map(|answer| (answer["id"].as_u64().unwrap(), answer))
                .collect();
            for (id, sent) in sent.iter().enumerate() {
                let answer = answers[&(id as u64)];
                // As text: minus zero is equal to zero, and is not the same.
                assert_eq!(answer["result"].to_string(), sent.to_string(), "{name} {ty:?}: {answer}");
            }
        }
    });
}

#[test]
fn every_value_of_every_type_is_itself_again_in_protobuf() {
    run_alone(PATIENCE, async {
        let echoes = Echoes::of(0x5eed_0002);
        let messages = Messages::new(&echoes.schema).unwrap();
        let (_host, mut client) = start().await;
        for (at, (name, ty, values)) in echoes.functions.iter().enumerate() {
            for value in values {
                let sent = messages.request(at, std::slice::from_ref(value)).unwrap();
                let mut asked = request("POST", messages.path(at), body(sent));
                asked.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
                asked.headers_mut().insert("te", "trailers".parse().unwrap());
                let answer = client.answer(asked).await;
                let trailers = answer.trailers.as_ref();
                let status = trailers.and_then(|trailers| trailers.get("grpc-status"));
                assert_eq!(
                    status.map(|status| status.as_bytes()),
                    Some(&b"0"[..]),
                    "{name}: {value:?}: {answer:?}"
                );
                assert_eq!(&answer.body[..], messages.answer(at, value).unwrap(), "{name} {ty:?}: {value:?}");
            }
        }
    });
}

#[test]
fn every_value_of_every_type_is_itself_again_in_graphql() {
    run_alone(PATIENCE, async {
        let echoes = Echoes::of(0x5eed_0003);
        let (_host, mut client) = start().await;
        let introspection = include_str!("../../host/doors/graphql/src/tests/introspection.graphql");
        let introspected = post(&mut client, "/graphql", &json!({ "query": introspection })).await;
        let introspected = &introspected["data"]["__schema"];
        let types: HashMap<String, Json> = introspected["types"]
            .as_array()
            .unwrap()
            .iter()
            .map(|ty| (ty["name"].as_str().unwrap().to_owned(), ty.clone()))
            .collect();
        // None of them says `@query`.
        let fields =
            types[introspected["mutationType"]["name"].as_str().unwrap()]["fields"].as_array().unwrap();
        for (name, ty, values) in &echoes.functions {
            let name = lower_camel(name);
            let field = fields.iter().find(|field| field["name"] == name).unwrap_or_else(|| panic!("{name}"));
            let declared = input_type(&field["args"][0]["type"]);
            let argument = field["args"][0]["name"].as_str().unwrap();
            let selected = select(&types, &field["type"]);
            let query = format!("mutation($v: {declared}) {{ {name}({argument}: $v) {selected} }}");
            let operation = |value| {
                let variables = json!({ "v": json_of(&echoes.schema, ty, value, true) });
                json!({ "query": query, "variables": variables })
            };
            let answers = post(&mut client, "/graphql", &values.iter().map(operation).collect()).await;
            for (value, answer) in values.iter().zip(answers.as_array().unwrap()) {
                let expected = json_of(&echoes.schema, ty, value, false);
                let found = &answer["data"][&name];
                assert_eq!(found.to_string(), expected.to_string(), "{name} {ty:?} {value:?}: {answer}");
            }
        }
    });
}
