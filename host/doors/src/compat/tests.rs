use std::sync::Arc;

use super::*;
use crate::tests_demo::{field, function, package, schema};

fn changed(change: impl FnOnce(&mut Schema)) -> Vec<String> {
    let old = schema("1.2.0");
    let mut new = Arc::unwrap_or_clone(schema("1.3.0"));
    change(&mut new);
    breaking_changes(&old, &new)
}

fn functions(schema: &mut Schema) -> &mut Vec<Function> {
    &mut schema.interfaces[0].functions
}

fn fields(schema: &mut Schema) -> &mut Vec<Field> {
    match &mut schema.types[0].kind {
        TypeKind::Record(fields) => fields,
        _ => unreachable!("it is a record"),
    }
}

fn cases(schema: &mut Schema, at: usize) -> &mut Vec<Case> {
    match &mut schema.types[at].kind {
        TypeKind::Variant(cases) | TypeKind::Enum(cases) => cases,
        _ => unreachable!("it has cases"),
    }
}

fn optional() -> Type {
    Type::Option(Box::new(Type::U8))
}

#[test]
fn what_may_be_done_breaks_nothing() {
    let none: Vec<String> = Vec::new();
    assert_eq!(changed(|_| {}), none);
    assert_eq!(changed(|new| functions(new).push(function("new", "", vec![], Output::Nothing))), none);
    assert_eq!(changed(|new| functions(new)[0].params.push(field("more", optional()))), none);
    assert_eq!(changed(|new| fields(new).push(field("more", optional()))), none);
    // `order` is only ever sent.
    let case = |name: &str| Case { name: name.into(), docs: Default::default(), ty: None };
    assert_eq!(changed(|new| cases(new, 2).push(case("by-size"))), none);
}

#[test]
fn every_change_that_breaks_is_named() {
    type Change = fn(&mut Schema);
    let at = "demo:users@1/accounts";
    let rows: Vec<(Change, String)> = vec![
        (|new| new.interfaces[0].package = package("2.0.0"), format!("interface {at} is gone")),
        (|new| functions(new)[0].name = "find".into(), format!("function {at}.get-user is gone")),
        (|new| functions(new)[0].params.clear(), format!("parameter user-id of {at}.get-user is gone")),
        (
            |new| functions(new)[0].params.push(field("more", Type::U8)),
            format!("parameter more of {at}.get-user is new and required: make it an option"),
        ),
        (
            |new| functions(new)[0].params[0].ty = Type::U32,
            format!("parameter user-id of {at}.get-user is u32 now, and was u64"),
        ),
        (
            |new| functions(new)[1].params[1].ty = Type::Bool,
            format!("parameter dry-run of {at}.put-user is required now, and was an option"),
        ),
        (
            |new| functions(new)[0].output = Output::Nothing,
            format!("{at}.get-user returns nothing now, and returned a value"),
        ),
        (
            |new| functions(new)[3].output = Output::Value(Type::List(Box::new(Type::Char))),
            format!("the result of {at}.search is char now, and was string"),
        ),
        (|new| functions(new)[5].input = None, format!("{at}.sum does not take a stream any more")),
        (
            |new| functions(new)[0].error = None,
            format!("{at}.get-user does not return its declared error any more"),
        ),
        (
            |new| functions(new)[0].docs = Default::default(),
            format!(
                "{at}.get-user is no @query any more: GET does not reach it, and in GraphQL it is a mutation"
            ),
        ),
        (|new| fields(new)[0].name = "id".into(), "field user-id of user is gone".into()),
        (
            |new| fields(new).insert(2, field("more", optional())),
            "field nick of user is number 4 now, and was number 3: add new ones at the end".into(),
        ),
        (
            |new| fields(new)[1].ty = Type::Option(Box::new(Type::String)),
            "field name of user is an option now, and clients expect it always".into(),
        ),
        (|new| cases(new, 1)[0].ty = Some(Type::U8), "case not-found of refusal has a value now".into()),
        (
            |new| {
                let more = Case { name: "more".into(), docs: Default::default(), ty: None };
                cases(new, 1).push(more);
            },
            "case more of refusal is new, and clients that receive it do not know it".into(),
        ),
        (
            |new| cases(new, 2).swap(0, 1),
            "case by-name of order is number 2 now, and was number 1: add new ones at the end".into(),
        ),
        (|new| cases(new, 2).truncate(1), "case by-age of order is gone".into()),
        (|new| new.types[2].kind = TypeKind::Flags(Vec::new()), "order is flags now, and was an enum".into()),
        (
            |new| new.types[0].name = "person".into(),
            format!(
                "the result of {at}.get-user is person now, and was user: types have names in gRPC and GraphQL"
            ),
        ),
    ];
    for (change, said) in rows {
        let all = changed(change);
        assert!(all.contains(&said), "{said}: {all:?}");
    }
}
