//! What is read of a component.

use wharf_call::{Flow, Output, Type};
use wharf_engine::inspect;
use wharf_harness::components;

fn schema(component: &str) -> std::sync::Arc<wharf_call::Schema> {
    inspect(&std::fs::read(component).unwrap()).unwrap().schema
}

#[test]
fn streams_are_folded_into_the_functions_that_begin_them() {
    let schema = schema(components::STREAMS);
    let [api] = schema.interfaces.as_slice() else { panic!("one interface") };
    assert_eq!(api.full_name(), "test:streams/api@1.0.0");
    let found = |name: &str| {
        let function = api.functions.iter().find(|function| function.name == name).unwrap();
        let output = match &function.output {
            Output::Nothing => "nothing".to_owned(),
            Output::Value(ty) => schema.show(ty).to_string(),
            Output::Stream(ty) => format!("stream of {}", schema.show(ty)),
        };
        let show = |ty: &Option<Type>| ty.as_ref().map_or("-".to_owned(), |ty| schema.show(ty).to_string());
        (function.flow(), show(&function.input), output, show(&function.error))
    };
    let expected = |flow, input: &str, output: &str, error: &str| {
        (flow, input.to_owned(), output.to_owned(), error.to_owned())
    };
    assert_eq!(found("add"), expected(Flow::Unary, "-", "u32", "-"));
    assert_eq!(found("ping"), expected(Flow::Unary, "-", "nothing", "-"));
    assert_eq!(found("either"), expected(Flow::Unary, "-", "nothing", "-"));
    assert_eq!(found("greet"), expected(Flow::Unary, "-", "string", "failure"));
    assert_eq!(found("count"), expected(Flow::ServerStream, "-", "stream of u32", "-"));
    assert_eq!(found("words"), expected(Flow::ServerStream, "-", "stream of string", "failure"));
    assert_eq!(found("download"), expected(Flow::ServerStream, "-", "stream of list<u8>", "-"));
    assert_eq!(found("list-rows"), expected(Flow::ServerStream, "-", "stream of row", "failure"));
    assert_eq!(found("sum"), expected(Flow::ClientStream, "u32", "u64", "-"));
    assert_eq!(found("start-upload"), expected(Flow::ClientStream, "row", "u32", "failure"));
    assert_eq!(found("double"), expected(Flow::Bidirectional, "u32", "stream of u64", "-"));
    assert_eq!(found("start-chat"), expected(Flow::Bidirectional, "string", "stream of string", "failure"));
    assert!(!api.functions.iter().any(|function| function.name.contains("next")));
}

#[test]
fn the_wit_that_a_component_carries_gives_its_comments() {
    let schema = schema(components::STREAMS);
    let api = &schema.interfaces[0];
    assert_eq!(api.docs.text, "Every kind of call.");
    let add = &api.functions[0];
    assert_eq!((add.name.as_str(), add.docs.text.as_str()), ("add", "Adds two numbers."));
    assert!(add.is_query());
    assert_eq!(add.docs.annotation("since"), Some("0.9.0"));
    assert_eq!(add.docs.deprecated.as_deref(), Some("1.0.0"));
    let failure = schema.types.iter().find(|def| def.name == "failure").unwrap();
    let wharf_call::TypeKind::Variant(cases) = &failure.kind else { panic!("a variant") };
    assert_eq!(cases[1].docs.annotation("kind"), Some("conflict"));
    assert_eq!(failure.docs.text, "Why a call fails.");
}

#[test]
fn the_schema_of_every_type_is_read() {
    let schema = schema(components::ECHO_TYPES);
    let functions = schema.functions().count();
    assert!(functions >= 200, "{functions} functions");
    let names: Vec<&str> = schema.types.iter().map(|def| def.name.as_str()).collect();
    assert_eq!(names, ["point", "person", "color", "shape", "rights", "order"]);
}
