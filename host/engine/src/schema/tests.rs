#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use wasmtime::component::wit_parser::Resolve;
use wharf_call::{Schema, Type, TypeId, TypeKind};

use super::*;

/// Reads the exports of the world `w` of some WIT.
fn read_world(wit: &str) -> Result<(Schema, Plan), String> {
    let mut resolve = Resolve::default();
    resolve.push_source("test.wit", wit).unwrap();
    let world = resolve.worlds.iter().find(|(_, world)| world.name == "w").unwrap().0;
    read(&resolve, world)
}

/// Reads an interface that has this in it.
fn interface(items: &str) -> Result<(Schema, Plan), String> {
    read_world(&format!("package a:b@1.0.0;\ninterface i {{ {items} }}\nworld w {{ export i; }}"))
}

#[test]
fn what_cannot_be_served_is_refused_by_function_with_what_to_write_instead() {
    let refused = [
        ("f: func(x: future<u8>);", "parameter \"x\": a future cannot be served: make the function async"),
        ("f: func() -> option<stream<u8>>;", "a stream within another type cannot be served"),
        ("f: func(x: list<stream<u8>>);", "parameter \"x\": a stream within another type"),
        ("f: func(a: stream<u8>, b: stream<u8>);", "two stream parameters"),
        (
            "record r { a: u8 } f: func() -> stream<r>;",
            "For anything else return a resource: next: async func()",
        ),
        ("f: func() -> stream<stream<u8>>;", "a stream carries bools, numbers, chars or strings"),
        ("f: func() -> stream;", "a stream of nothing"),
        ("resource r { next: func() -> option<u8>; } f: func(x: borrow<r>);", "pass an id instead"),
        (
            "resource r { next: func() -> option<u8>; } f: func() -> list<r>;",
            "a resource can only be returned",
        ),
        ("resource r { next: func() -> u8; } f: func() -> r;", "next returns result<option<T>, E>"),
        (
            "resource r { push: func(x: u8) -> u8; finish: func(); } f: func() -> r;",
            "push returns result<_, E>, or nothing",
        ),
        (
            "resource r { push: func(x: u8); finish: func() -> u8; next: func() -> option<u8>; } f: func() -> r;",
            "beside next, finish returns result<_, E>, or nothing",
        ),
        (
            "resource r { next: func() -> result<option<u8>, char>; } f: func() -> result<r, string>;",
            "fail with different types of errors",
        ),
        (
            "resource r { push: func(x: u8); finish: func(); } f: func(x: stream<u8>) -> r;",
            "a call has one stream from its caller",
        ),
    ];
    for (items, said) in refused {
        let message = interface(items).map(|_| ()).unwrap_err();
        assert!(message.starts_with("a:b/i@1.0.0, function \"f\": "), "{items}: {message}");
        assert!(message.contains(said), "{items}: {message}");
    }
}

#[test]
fn a_resource_that_is_no_stream_is_refused_by_name() {
    for functions in [
        "",
        "constructor();",
        "push: func(x: u8);",
        "finish: func();",
        "next: func() -> option<u8>; more: func();",
        "next: static func() -> option<u8>;",
        "next: func(x: u8) -> option<u8>;",
        "push: func(x: u8, y: u8); finish: func();",
    ] {
        let message = interface(&format!("resource odd {{ {functions} }}")).map(|_| ()).unwrap_err();
        assert!(message.starts_with("a:b/i@1.0.0, resource \"odd\": it is no stream"), "{message}");
        assert!(message.contains("next: async func() -> result<option<T>, E>"), "{message}");
    }
}

#[test]
fn names_of_other_types_are_seen_through_and_named_types_stand_before_their_users() {
    let (schema, _) = read_world(
        "package a:b;
         interface t { record inner { a: bytes } type bytes = list<u8>; type alias = inner; }
         interface i {
             use t.{alias};
             record outer { first: alias, second: list<alias> }
             type both = tuple<outer, alias>;
             f: func(x: both) -> result<outer>;
         }
         world w { export i; }",
    )
    .unwrap();
    let names: Vec<&str> = schema.types.iter().map(|def| def.name.as_str()).collect();
    assert_eq!(names, ["inner", "outer"]);
    assert_eq!(schema.types[0].interface, "t");
    let TypeKind::Record(fields) = &schema.types[0].kind else { panic!("a record") };
    assert_eq!(fields[0].ty, Type::Bytes(None));
    let function = &schema.interfaces[0].functions[0];
    assert_eq!(schema.show(&function.params[0].ty).to_string(), "tuple<outer, inner>");
    assert_eq!(
        (&function.output, &function.error),
        (&wharf_call::Output::Value(Type::Named(TypeId(1))), &None)
    );
}

#[test]
fn a_types_only_interface_and_what_is_not_the_plugins_own_are_no_services() {
    let (schema, plan) =
        read_world("package a:b; interface i { record r { a: u8 } } world w { export i; export f: func(); }")
            .unwrap();
    assert!(schema.is_empty() && plan.interfaces.is_empty());
    assert!(!is_service("wasi:http/handler@0.3.0"));
    assert!(!is_service("wharf:plugin/handler@0.1.0"));
    assert!(is_service("wharf:plugins/x"));
}

#[test]
fn a_hostile_component_meets_a_bound() {
    let functions: String = (0..=FUNCTIONS_MAX).map(|n| format!("g{n}: func();\n")).collect();
    assert!(interface(&functions).map(|_| ()).unwrap_err().contains("more than 4096 functions"));

    let cases: Vec<String> = (0..=MEMBERS_MAX).map(|n| format!("c{n}")).collect();
    let message =
        interface(&format!("enum e {{ {} }} f: func(x: e);", cases.join(","))).map(|_| ()).unwrap_err();
    assert!(message.contains("an enum has 4097 cases"), "{message}");

    let flags: Vec<String> = (0..33).map(|n| format!("c{n}")).collect();
    let message =
        interface(&format!("flags e {{ {} }} f: func(x: e);", flags.join(","))).map(|_| ()).unwrap_err();
    assert!(message.contains("flags has 33 names"), "{message}");

    let deep = format!(
        "type t0 = u16; {}",
        (1..80).map(|n| format!("type t{n} = list<t{}>;", n - 1)).collect::<String>()
    );
    let message = interface(&format!("{deep} f: func(x: t79);")).map(|_| ()).unwrap_err();
    assert!(message.contains("nested deeper than 64"), "{message}");

    let records: String = (1..80).map(|n| format!("record r{n} {{ a: r{} }}\n", n - 1)).collect();
    let records = format!(
        "record r0 {{ a: u8 }} {records} {}",
        (0..80).map(|n| format!("g{n}: func(x: r{n});\n")).collect::<String>()
    );
    let message = interface(&records).map(|_| ()).unwrap_err();
    assert!(message.contains("nested deeper than 64"), "{message}");

    // Written out, it doubles with each name.
    let wide: String = (1..40).map(|n| format!("type t{n} = tuple<t{0}, t{0}>;", n - 1)).collect();
    let message = interface(&format!("type t0 = u16; {wide} f: func(x: t39);")).map(|_| ()).unwrap_err();
    assert!(message.contains("when they are written out"), "{message}");

    let long = "x".repeat(200);
    let message = interface(&format!("{long}: func();")).map(|_| ()).unwrap_err();
    assert!(message.contains("is longer than 128 bytes") && message.len() < 600, "{message}");
}

/// A component with nothing but this WIT in its section.
fn carrying(wit: &str) -> Vec<u8> {
    let mut bytes = b"\0asm\x0d\0\x01\0\0".to_vec();
    let content = [b"\x09wharf:wit", wit.as_bytes()].concat();
    let mut length = content.len();
    while length >= 0x80 {
        bytes.push(length as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend(content);
    bytes
}

const TYPES: &str = "record r { a: u8 } variant e { x, y(string) } f: func(p: r) -> result<list<r>, e>;";

fn with_docs(wit: &str) -> Result<Schema, String> {
    let (mut schema, _) = interface(TYPES).unwrap();
    add_docs(&mut schema, &carrying(wit))?;
    Ok(schema)
}

#[test]
fn comments_are_taken_from_text_with_the_same_types() {
    let schema = with_docs(
        "package a:b@1.0.0;
         /// What i does.
         interface i {
             /// One r.
             record r {
                 /// Its a.
                 a: u8 }
             variant e {
                 x,
                 /// Why.
                 /// @kind conflict
                 y(string) }
             /// Does f.
             /// @query
             f: func(p: r) -> result<list<r>, e>;
         }
         /// What it imports is not there. }
         world w { import wasi:io/poll@0.2.0; export i; }",
    )
    .unwrap();
    let i = &schema.interfaces[0];
    assert_eq!((i.docs.text.as_str(), i.functions[0].docs.text.as_str()), ("What i does.", "Does f."));
    assert!(i.functions[0].is_query());
    let TypeKind::Record(fields) = &schema.types[0].kind else { panic!("a record") };
    assert_eq!((schema.types[0].docs.text.as_str(), fields[0].docs.text.as_str()), ("One r.", "Its a."));
    let TypeKind::Variant(cases) = &schema.types[1].kind else { panic!("a variant") };
    assert_eq!(cases[1].docs.annotation("kind"), Some("conflict"));
}

#[test]
fn text_may_nest_its_packages() {
    let nested = format!(
        "package c:d {{ interface x {{ g: func(); }} }}\npackage a:b@1.0.0 {{ /// I.\ninterface i {{ {TYPES} }} @since(version = 1.0.0) world w {{ export i; }} }}"
    );
    assert_eq!(with_docs(&nested).unwrap().interfaces[0].docs.text, "I.");
    assert_eq!(
        with_docs(&format!(
            "package a:b@1.0.0; interface i {{ {TYPES} }}\n{}",
            "package c:d { interface x { g: func(); } }"
        ))
        .unwrap()
        .types
        .len(),
        2
    );
    assert!(with_docs("").unwrap().interfaces[0].docs.text.is_empty());
}

#[test]
fn text_with_other_types_is_refused_with_what_differs() {
    let of = |items: &str| format!("package a:b@1.0.0; interface i {{ {items} }}");
    let refused = [
        (
            of("record r { a: u16 } variant e { x, y(string) } f: func(p: r) -> result<list<r>, e>;"),
            "type r: a: the text has u16 there",
        ),
        (
            of("record r { b: u8 } variant e { x, y(string) } f: func(p: r) -> result<list<r>, e>;"),
            "a is called b in the text",
        ),
        (of("record r { a: u8 } variant e { x, y } f: func(p: r) -> result<list<r>, e>;"), "one has a type"),
        (
            of("record r { a: u8 } variant e { x } f: func(p: r) -> result<list<r>, e>;"),
            "2 cases in the component and 1 in the text",
        ),
        (
            of("record r { a: u8 } variant e { x, y(string) } f: async func(p: r) -> result<list<r>, e>;"),
            "one is async",
        ),
        (of("record r { a: u8 } variant e { x, y(string) } f: func(p: r) -> list<r>;"), "one has a type"),
        (of(&format!("{TYPES} g: func();")), "a function \"g\", which the component has not"),
        (of("g: func();"), "a function \"g\""),
        (of("record r { a: u8 }"), "no functions in a:b/i@1.0.0"),
        ("package a:b@1.0.1; interface i { f: func(); }".to_owned(), "has no interface a:b/i@1.0.0"),
        ("this is no WIT".to_owned(), "cannot be read"),
        (of(&format!("f: func(x: {});", "list<".repeat(300))), "nests types deeper than 256"),
    ];
    for (wit, said) in refused {
        let message = with_docs(&wit).map(|_| ()).unwrap_err();
        assert!(message.contains(said), "{wit}: {message}");
        assert!(message.ends_with("with the WIT that it is built from"), "{message}");
    }
    let large = with_docs(&" ".repeat(2 << 20)).map(|_| ()).unwrap_err();
    assert!(large.contains("larger than 1048576 bytes"), "{large}");
}
