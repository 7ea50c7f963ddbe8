//! `demo:users/accounts@1.2.0`, as the tests of the doors have it.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::sync::Arc;

use futures_util::StreamExt;
use wharf_call::{
    Call, Case, Docs, Failure, Field, Function, Interface, Output, Package, Reply, Schema, Service, Type,
    TypeDef, TypeId, TypeKind, Value,
};

use crate::DoorConfig;
use crate::testing::{Unbounded, fake};

pub(crate) fn package(version: &str) -> Package {
    Package { namespace: "demo".into(), name: "users".into(), version: Some(version.into()) }
}

pub(crate) fn field(name: &str, ty: Type) -> Field {
    Field { name: name.into(), docs: Docs::default(), ty }
}

pub(crate) fn function(name: &str, docs: &str, params: Vec<Field>, output: Output) -> Function {
    Function {
        name: name.into(),
        docs: Docs::parse(docs),
        is_async: true,
        params,
        input: None,
        output,
        error: None,
    }
}

fn option(ty: Type) -> Type {
    Type::Option(Box::new(ty))
}

/// ```wit
/// record user { user-id: u64, name: string, nick: option<string> }
/// variant refusal { not-found, taken(string) }
/// enum order { by-name, by-age }
/// get-user: func(user-id: u64) -> result<user, refusal>;                           // @query
/// put-user: func(user: user, dry-run: option<bool>) -> result<user, refusal>;
/// delete-user: func(user-id: u64);                                                 // @deprecated
/// search: func(names: list<string>, order: option<order>, near: option<user>) -> list<string>;  // @query
/// watch: func(count: u32) -> stream<user>;                                         // @query
/// sum: func(start: u32, numbers: stream<u32>) -> u64;
/// ```
pub(crate) fn schema(version: &str) -> Arc<Schema> {
    let def = |name: &str, kind| TypeDef {
        name: name.into(),
        package: package(version),
        interface: "accounts".into(),
        docs: Docs::parse("Of a user."),
        kind,
    };
    let case = |name: &str, docs: &str, ty| Case { name: name.into(), docs: Docs::parse(docs), ty };
    let user = Type::Named(TypeId(0));
    let refusal = Some(Type::Named(TypeId(1)));
    let types = vec![
        def(
            "user",
            TypeKind::Record(vec![
                field("user-id", Type::U64),
                field("name", Type::String),
                field("nick", option(Type::String)),
            ]),
        ),
        def(
            "refusal",
            TypeKind::Variant(vec![
                case("not-found", "There is no such user.", None),
                case("taken", "@kind conflict", Some(Type::String)),
            ]),
        ),
        def("order", TypeKind::Enum(vec![case("by-name", "", None), case("by-age", "", None)])),
    ];
    let functions = vec![
        Function {
            error: refusal.clone(),
            ..function(
                "get-user",
                "Finds a user.\n@query",
                vec![field("user-id", Type::U64)],
                Output::Value(user.clone()),
            )
        },
        Function {
            error: refusal,
            ..function(
                "put-user",
                "",
                vec![field("user", user.clone()), field("dry-run", option(Type::Bool))],
                Output::Value(user.clone()),
            )
        },
        Function {
            docs: Docs {
                deprecated: Some("1.2.0".into()),
                annotations: vec![
                    ("deprecated-on".into(), "2026-11-26".into()),
                    ("sunset".into(), "2027-01-31".into()),
                ],
                ..Docs::default()
            },
            ..function("delete-user", "", vec![field("user-id", Type::U64)], Output::Nothing)
        },
        function(
            "search",
            "@query",
            vec![
                field("names", Type::List(Box::new(Type::String))),
                field("order", option(Type::Named(TypeId(2)))),
                field("near", option(user.clone())),
            ],
            Output::Value(Type::List(Box::new(Type::String))),
        ),
        function("watch", "@query", vec![field("count", Type::U32)], Output::Stream(user)),
        Function {
            input: Some(Type::U32),
            ..function("sum", "", vec![field("start", Type::U32)], Output::Value(Type::U64))
        },
    ];
    let accounts =
        Interface { package: package(version), name: "accounts".into(), docs: Docs::default(), functions };
    Arc::new(Schema { interfaces: vec![accounts], types })
}

pub(crate) fn user(id: u64) -> Value {
    Value::Record(vec![Value::Unsigned(id), Value::String("Ada".into()), Value::NONE])
}

pub(crate) fn plugin(name: &str) -> Arc<dyn Service> {
    versioned(name, "1.2.0")
}

/// A plugin whose functions all give one user whose name has 20,000 letters.
pub(crate) fn talkative() -> Arc<dyn Service> {
    let schema = schema("1.2.0");
    let known = schema.clone();
    fake("users", schema, move |call| {
        let streams = matches!(known.function(call.function).1.output, Output::Stream(_));
        async move {
            let user =
                Value::Record(vec![Value::Unsigned(7), Value::String("x".repeat(20_000)), Value::NONE]);
            Ok(match streams {
                true => Reply::Stream(Box::pin(futures_util::stream::iter([Ok(user)]))),
                false => Reply::Value(Some(user)),
            })
        }
    })
}

pub(crate) fn versioned(name: &str, version: &str) -> Arc<dyn Service> {
    let schema = schema(version);
    let known = schema.clone();
    fake(name, schema, move |call| answer(known.clone(), call))
}

async fn answer(schema: Arc<Schema>, call: Call) -> Result<Reply, Failure> {
    let (_, function) = schema.function(call.function);
    assert_eq!(call.args.len(), function.params.len());
    assert!(function.params.iter().zip(&call.args).all(|(param, arg)| schema.admits(&param.ty, arg)));
    let refuse = |error| schema.failure(function.error.as_ref(), Some(error));
    match (function.name.as_str(), call.args.as_slice()) {
        ("get-user", [Value::Unsigned(404)]) => Err(refuse(Value::Variant(0, None))),
        ("get-user", [Value::Unsigned(500)]) => {
            Err(Failure::new(wharf_call::Kind::GuestTrapped, "The plugin failed.").with_private("secret"))
        }
        ("get-user", [Value::Unsigned(id)]) => Ok(Reply::Value(Some(user(*id)))),
        ("put-user", [_, Value::Option(Some(_))]) => {
            let name = Box::new(Value::String("Ada".into()));
            Err(refuse(Value::Variant(1, Some(name))))
        }
        ("put-user", [user, _]) => Ok(Reply::Value(Some(user.clone()))),
        ("delete-user", _) => Ok(Reply::Value(None)),
        ("search", [Value::List(names), order, near]) => {
            let mut names = names.clone();
            names.push(Value::String(format!("{order:?} {}", matches!(near, Value::Option(Some(_))))));
            Ok(Reply::Value(Some(Value::List(names))))
        }
        // One more than there are ends with a failure.
        ("watch", [Value::Unsigned(count)]) => {
            let fails = *count > 2;
            let failed = Failure::new(wharf_call::Kind::Timeout, "Too late.").with_private("secret");
            let items = (0..(*count).min(2)).map(|id| Ok(user(id))).chain(fails.then_some(Err(failed)));
            Ok(Reply::Stream(Box::pin(futures_util::stream::iter(items.collect::<Vec<_>>()))))
        }
        ("sum", [Value::Unsigned(start)]) => {
            let (mut sum, mut input) = (*start, call.input.unwrap());
            while let Some(item) = input.next().await {
                let Value::Unsigned(n) = item? else { panic!("not of the type") };
                sum += n;
            }
            Ok(Reply::Value(Some(Value::Unsigned(sum))))
        }
        (other, args) => panic!("{other} {args:?}"),
    }
}

pub(crate) fn config() -> DoorConfig {
    DoorConfig { body_bytes_max: 4096, value_bytes_max: 64 << 10, ..DoorConfig::new(Arc::new(Unbounded)) }
}
