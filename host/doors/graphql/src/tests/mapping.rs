//! The cells of `MAPPING.md`, one by one: what the schema says, and values both ways.

use super::*;

/// A door with `echo(value: T) -> T` as a query; `types` are what `ty` is made of.
fn echo(ty: &Type, types: Vec<TypeDef>) -> (Arc<Fake>, GraphqlDoor) {
    let schema = schema(vec![query("echo", &[("value", ty.clone())], ty.clone())], types);
    let fake = Fake::new("echo", schema, |_, mut args| reply(args.remove(0)));
    let door = door(std::slice::from_ref(&fake), &[], GraphqlConfig::default()).unwrap();
    (fake, door)
}

/// `literal` is `value` in a document, and comes back as `json`.
async fn cell(ty: Type, types: &[TypeDef], selection: &str, rows: &[(&str, Value, Json)]) -> String {
    let (fake, door) = echo(&ty, types.to_vec());
    for (literal, value, json) in rows {
        let got = ask(&door, &format!("{{ echo(value: {literal}) {selection} }}")).await;
        assert_eq!(got.get("errors"), None, "{literal}: {got}");
        assert_eq!(&got["data"]["echo"], json, "{literal}");
        match (&fake.last_args()[0], value) {
            (Value::F64(a), Value::F64(b)) => {
                assert_eq!((a.is_nan(), a.is_sign_negative()), (b.is_nan(), b.is_sign_negative()))
            }
            (got, value) => assert_eq!(got, value, "{literal}"),
        }
    }
    door.sdl()
}

async fn refused(ty: Type, types: &[TypeDef], selection: &str, rows: &[(Json, &str)]) {
    let (fake, door) = echo(&ty, types.to_vec());
    let sdl = door.sdl();
    let declared = sdl.split("echo(value: ").nth(1).unwrap().split(')').next().unwrap();
    for (json, says) in rows {
        let query = format!("query($v: {declared}) {{ echo(value: $v) {selection} }}");
        let got = ask_with(&door, &query, json!({ "v": json })).await;
        assert_eq!(first_error(&got), *says, "{json}");
    }
    assert_eq!(fake.called(), [""; 0]);
}

fn signed(number: i64) -> Value {
    Value::Signed(number)
}

fn unsigned(number: u64) -> Value {
    Value::Unsigned(number)
}

#[tokio::test]
async fn numbers() {
    let sdl =
        cell(Type::S8, &[], "", &[("-128", signed(-128), json!(-128)), ("127", signed(127), json!(127))])
            .await;
    assert!(sdl.contains("echo(value: Int!): Int!"), "{sdl}");
    cell(Type::S32, &[], "", &[("-2147483648", signed(i32::MIN.into()), json!(i32::MIN))]).await;
    cell(Type::U16, &[], "", &[("65535", unsigned(65_535), json!(65_535))]).await;
    let sdl = cell(Type::U32, &[], "", &[("4294967295", unsigned(u32::MAX.into()), json!(u32::MAX))]).await;
    assert!(sdl.contains("echo(value: UInt32!): UInt32!") && sdl.contains("scalar UInt32"), "{sdl}");
    let rows = [
        ("\"-9223372036854775808\"", signed(i64::MIN), json!("-9223372036854775808")),
        ("9223372036854775807", signed(i64::MAX), json!("9223372036854775807")),
    ];
    let sdl = cell(Type::S64, &[], "", &rows).await;
    assert!(sdl.contains("echo(value: Int64!): Int64!"), "{sdl}");
    let rows = [
        ("\"18446744073709551615\"", unsigned(u64::MAX), json!("18446744073709551615")),
        ("18446744073709551615", unsigned(u64::MAX), json!("18446744073709551615")),
    ];
    cell(Type::U64, &[], "", &rows).await;
    let says = "`echo.value` must be a whole number from 0 to 18446744073709551615.";
    let rows = ["+1", "01", "-1", "1.0", " 1", "18446744073709551616", ""].map(|text| (json!(text), says));
    refused(Type::U64, &[], "", &rows).await;
    let says = "`echo.value` must be a whole number from -128 to 127.";
    refused(Type::S8, &[], "", &[(json!(128), says), (json!(1.5), says), (json!(-129), says)]).await;
    refused(Type::S8, &[], "", &[(json!("1"), "`echo.value` must be a whole number, and is a string.")])
        .await;
    let says = "`echo.value` must be a whole number from 0 to 4294967295.";
    refused(Type::U32, &[], "", &[(json!(-1), says), (json!(4_294_967_296_u64), says)]).await;
}

#[tokio::test]
async fn floats_chars_strings_and_bytes() {
    let rows = [
        ("1.5", Value::F64(1.5), json!(1.5)),
        ("-0.0", Value::F64(-0.0), json!(-0.0)),
        ("\"NaN\"", Value::F64(f64::NAN), json!("NaN")),
        ("\"-Infinity\"", Value::F64(f64::NEG_INFINITY), json!("-Infinity")),
    ];
    let sdl = cell(Type::F64, &[], "", &rows).await;
    assert!(sdl.contains("echo(value: Float64!): Float64!"), "{sdl}");
    cell(Type::F32, &[], "", &[("0.1", Value::F32(0.1), json!(0.1)), ("3", Value::F32(3.0), json!(3.0))])
        .await;
    cell(Type::Bool, &[], "", &[("true", Value::Bool(true), json!(true))]).await;
    cell(Type::Char, &[], "", &[("\"é\"", Value::Char('é'), json!("é"))]).await;
    cell(Type::String, &[], "", &[("\"a\\n\\\"\\u0000\"", text("a\n\"\0"), json!("a\n\"\0"))]).await;
    let bytes = |bytes: &'static [u8]| Value::Bytes(Bytes::from_static(bytes));
    let rows =
        [("\"+/8=\"", bytes(b"\xfb\xff"), json!("+/8=")), ("\"-_8\"", bytes(b"\xfb\xff"), json!("+/8="))];
    let sdl = cell(Type::Bytes(None), &[], "", &rows).await;
    assert!(sdl.contains("echo(value: Bytes!): Bytes!"), "{sdl}");
    refused(
        Type::F32,
        &[],
        "",
        &[(json!(1e300), "`echo.value` is out of the range of 32-bit floating-point numbers.")],
    )
    .await;
    refused(Type::Char, &[], "", &[(json!("ab"), "`echo.value` must be a string of one character.")]).await;
    refused(Type::Bytes(None), &[], "", &[(json!("*"), "`echo.value` is not base64 (RFC 4648).")]).await;
    refused(Type::Bytes(Some(3)), &[], "", &[(json!("AAA="), "`echo.value` must be 3 bytes, and is 2.")])
        .await;
}

#[tokio::test]
async fn lists_tuples_and_maps() {
    let numbers = |numbers: &[u64]| Value::List(numbers.iter().map(|&n| unsigned(n)).collect());
    let rows = [
        ("[1, 2]", numbers(&[1, 2]), json!([1, 2])),
        ("7", numbers(&[7]), json!([7])),
        ("[]", numbers(&[]), json!([])),
    ];
    let sdl = cell(list(Type::U16), &[], "", &rows).await;
    assert!(sdl.contains("echo(value: [Int!]!): [Int!]!"), "{sdl}");
    let some = |n| Value::some(unsigned(n));
    let rows = [("[1, null]", Value::List(vec![some(1), Value::NONE]), json!([1, null]))];
    let sdl = cell(list(option(Type::U16)), &[], "", &rows).await;
    assert!(sdl.contains("echo(value: [Int]!): [Int]!"), "{sdl}");
    let fixed = Type::FixedList(Box::new(Type::U16), 2);
    cell(fixed.clone(), &[], "", &[("[1, 2]", numbers(&[1, 2]), json!([1, 2]))]).await;
    refused(fixed, &[], "", &[(json!([1]), "`echo.value` must have 2 items, and has 1.")]).await;
    let tuple = Type::Tuple(vec![Type::String, list(Type::U16)]);
    let value = Value::Tuple(vec![text("a"), numbers(&[1])]);
    let rows = [("{ f0: \"a\", f1: [1] }", value, json!({ "f1": [1], "f0": "a" }))];
    let sdl = cell(tuple.clone(), &[], "{ f1 f0 }", &rows).await;
    assert!(
        sdl.contains("echo(value: Tuple2OfStringAndListOfU16Input!): Tuple2OfStringAndListOfU16!"),
        "{sdl}"
    );
    let says = "`echo.value.f1[1]` must be a whole number from 0 to 65535.";
    refused(tuple, &[], "{ f0 }", &[(json!({ "f0": "a", "f1": [1, -1] }), says)]).await;
    let map = Type::Map(Box::new(Type::String), Box::new(Type::U16));
    let value = Value::Map(vec![(text("a"), unsigned(1))]);
    let rows = [("[{ key: \"a\", value: 1 }]", value, json!([{ "key": "a", "value": 1 }]))];
    let sdl = cell(map, &[], "{ key value }", &rows).await;
    assert!(sdl.contains("echo(value: [MapOfStringToU16EntryInput!]!): [MapOfStringToU16Entry!]!"), "{sdl}");
    let map = Type::Map(Box::new(Type::String), Box::new(Type::U16));
    let twice = json!([{ "key": "a", "value": 1 }, { "key": "b", "value": 1 }, { "key": "a", "value": 2 }]);
    refused(map, &[], "{ key }", &[(twice, "`echo.value[2].key` is there twice.")]).await;
}

#[tokio::test]
async fn options_and_results() {
    let rows = [("1", Value::some(unsigned(1)), json!(1)), ("null", Value::NONE, json!(null))];
    let sdl = cell(option(Type::U16), &[], "", &rows).await;
    assert!(sdl.contains("echo(value: Int): Int\n"), "{sdl}");
    let rows = [
        ("null", Value::NONE, json!(null)),
        ("{ value: null }", Value::some(Value::NONE), json!({ "value": null })),
        ("{}", Value::some(Value::NONE), json!({ "value": null })),
        ("{ value: 1 }", Value::some(Value::some(unsigned(1))), json!({ "value": 1 })),
    ];
    let sdl = cell(option(option(Type::U16)), &[], "{ value }", &rows).await;
    assert!(sdl.contains("echo(value: OptionOfU16Input): OptionOfU16\n"), "{sdl}");
    let result = Type::Result(Some(Box::new(Type::U16)), None);
    let rows = [
        ("{ ok: 1 }", Value::Result(Ok(Some(Box::new(unsigned(1))))), json!({ "ok": 1 })),
        ("{ error: true }", Value::Result(Err(None)), json!({ "error": true })),
    ];
    let selection = "{ ... on ResultOfU16OrNothingOk { ok } ... on ResultOfU16OrNothingError { error } }";
    let sdl = cell(
        list(result.clone()),
        &[],
        selection,
        &rows.clone().map(|(literal, value, json)| (literal, Value::List(vec![value]), json!([json]))),
    )
    .await;
    assert!(
        sdl.contains("union ResultOfU16OrNothing = ResultOfU16OrNothingOk | ResultOfU16OrNothingError"),
        "{sdl}"
    );
    let both = "`echo.value` must have exactly one of ok, error.";
    let rows = [
        (json!({}), both),
        (json!({ "ok": 1, "error": true }), both),
        (json!({ "error": false }), "`echo.value.error` must be true: this case has no value."),
    ];
    refused(result, &[], "{ __typename }", &rows).await;
}

#[tokio::test]
async fn named_types() {
    let types = [
        def("order-state", TypeKind::Enum(names(&["open", "in-progress"]))),
        def("access", TypeKind::Flags(names(&["read-only", "admin"]))),
        def(
            "line",
            TypeKind::Record(vec![
                field("quantity", Type::U8),
                field("foo-1", Type::Bool),
                field("foo1", option(Type::Bool)),
            ]),
        ),
        def(
            "shape",
            TypeKind::Variant(cases(&[
                ("circle", Some(Type::F64)),
                ("no-thing", None),
                ("perhaps", Some(option(Type::U8))),
                ("line", Some(id(2))),
            ])),
        ),
    ];
    let rows = [("IN_PROGRESS", Value::Enum(1), json!("IN_PROGRESS"))];
    let sdl = cell(id(0), &types, "", &rows).await;
    assert!(sdl.contains("echo(value: OrderState!): OrderState!"), "{sdl}");
    let rows = [
        ("[ADMIN]", Value::Flags(2), json!(["ADMIN"])),
        ("[]", Value::Flags(0), json!([])),
        ("[ADMIN, READ_ONLY]", Value::Flags(3), json!(["READ_ONLY", "ADMIN"])),
    ];
    let sdl = cell(id(1), &types, "", &rows).await;
    assert!(sdl.contains("echo(value: [Access!]!): [Access!]!"), "{sdl}");
    let twice = json!(["ADMIN", "ADMIN"]);
    refused(id(1), &types, "", &[(twice, "`echo.value[1]` is there twice.")]).await;
    let line = Value::Record(vec![unsigned(7), Value::Bool(true), Value::NONE]);
    let rows =
        [("{ foo1: true, quantity: 7 }", line.clone(), json!({ "a": 7, "foo1": true, "foo1_": null }))];
    let sdl = cell(id(2), &types, "{ a: quantity foo1 foo1_ }", &rows).await;
    assert!(sdl.contains("echo(value: LineInput!): Line!"), "{sdl}");
    let shape = |case, payload: Option<Value>| Value::Variant(case, payload.map(Box::new));
    let rows = [
        (
            "{ circle: 1.5 }",
            shape(0, Some(Value::F64(1.5))),
            json!({ "__typename": "ShapeCircle", "circle": 1.5 }),
        ),
        ("{ noThing: true }", shape(1, None), json!({ "__typename": "ShapeNoThing", "noThing": true })),
        (
            "{ perhaps: {} }",
            shape(2, Some(Value::NONE)),
            json!({ "__typename": "ShapePerhaps", "perhaps": null }),
        ),
        (
            "{ perhaps: { value: 1 } }",
            shape(2, Some(Value::some(unsigned(1)))),
            json!({ "__typename": "ShapePerhaps", "perhaps": 1 }),
        ),
        (
            "{ line: { foo1: true, quantity: 7 } }",
            shape(3, Some(line)),
            json!({ "__typename": "ShapeLine", "line": { "quantity": 7 } }),
        ),
    ];
    let selection = "{ __typename ... on ShapeCircle { circle } ... on ShapeNoThing { noThing } ... on ShapePerhaps { perhaps } ...L } \
                     } fragment L on Shape { ... on ShapeLine { line { quantity } }";
    let sdl = cell(id(3), &types, selection, &rows).await;
    assert!(sdl.contains("union Shape = ShapeCircle | ShapeNoThing | ShapePerhaps | ShapeLine"), "{sdl}");
    assert!(sdl.contains("input ShapeInput @oneOf {"), "{sdl}");
    refused(
        id(0),
        &types,
        "",
        &[(json!("SHUT"), "`echo.value` must be one of OPEN, IN_PROGRESS, and is SHUT.")],
    )
    .await;
    let rows = [
        (json!({ "quantity": 7 }), "`echo.value.foo1` is missing."),
        (json!({ "quantity": 7, "foo1": null }), "`echo.value.foo1` must not be null."),
        (
            json!({ "quantity": 7, "foo1": true, "x": 1 }),
            "`echo.value.x` is not known here; there are quantity, foo1, foo1_.",
        ),
        (json!(7), "`echo.value` must be an object, and is a number."),
    ];
    refused(id(2), &types, "{ quantity }", &rows).await;
}

#[tokio::test]
async fn one_key_has_one_type_in_all_cases() {
    let shape = def(
        "shape",
        TypeKind::Variant(cases(&[
            ("circle", Some(Type::F64)),
            ("square", Some(Type::F64)),
            ("label", Some(Type::String)),
            ("a", Some(id(1))),
            ("b", Some(id(2))),
        ])),
    );
    let a = def("point", TypeKind::Record(vec![field("x", Type::U8), field("y", Type::U8)]));
    let b = def("text", TypeKind::Record(vec![field("x", Type::U8), field("y", Type::String)]));
    let (_, door) = echo(&list(id(0)), vec![shape, a, b]);
    let ask =
        async |cases: &str| ask(&door, &format!("{{ echo(value: [{{ circle: 1 }}]) {{ {cases} }} }}")).await;
    for same in [
        "... on ShapeCircle { v: circle } ... on ShapeSquare { v: square }",
        "... on ShapeA { v: a { x } } ... on ShapeB { v: b { x t: y } }",
    ] {
        let got = ask(same).await;
        assert_eq!(got.get("errors"), None, "{got}");
    }
    for (differ, key) in [
        ("... on ShapeCircle { v: circle } ... on ShapeLabel { v: label }", "v"),
        ("... on ShapeCircle { v: circle } ... on ShapeLabel { v: __typename }", "v"),
        ("... on ShapeCircle { v: circle } ... on ShapeA { v: a { x } }", "v"),
        ("... on ShapeA { v: a { y } } ... on ShapeB { v: b { y } }", "y"),
    ] {
        let says = format!("\"{key}\" is of different types in different cases: give one of them an alias.");
        assert_eq!(first_error(&ask(differ).await), says, "{differ}");
    }
}

#[tokio::test]
async fn variables_stand_where_their_types_allow_it() {
    let shape = def("shape", TypeKind::Variant(cases(&[("circle", Some(Type::F64)), ("empty", None)])));
    let entry =
        def("entry", TypeKind::Record(vec![field("ids", list(Type::U32)), field("shape", option(id(0)))]));
    let (_, door) = echo(&option(list(id(1))), vec![shape, entry]);
    let allowed = [
        ("[EntryInput!]!", "$v"),
        ("[EntryInput!]", "$v"),
        ("EntryInput!", "[$v]"),
        ("EntryInput = { ids: [] }", "[$v]"),
        ("[UInt32!]!", "{ ids: $v }"),
        ("UInt32!", "{ ids: [1, $v] }"),
        ("UInt32! = 1", "{ ids: [1, $v] }"),
        ("ShapeInput", "{ ids: [], shape: $v }"),
        ("Float64!", "{ ids: [], shape: { circle: $v } }"),
        (
            "Boolean = true",
            "{ ids: [], shape: { empty: true } }) @skip(if: $v) { __typename } e: echo(value: []",
        ),
    ];
    let refused = [
        ("[EntryInput]", "$v", "[EntryInput!]"),
        ("EntryInput", "$v", "[EntryInput!]"),
        ("EntryInput", "[$v]", "EntryInput!"),
        ("EntryInput = null", "[$v]", "EntryInput!"),
        ("UInt32!", "{ ids: $v }", "[UInt32!]!"),
        ("Int!", "{ ids: [1, $v] }", "UInt32!"),
        ("[UInt32!]!", "{ ids: [1, $v] }", "UInt32!"),
        ("Float64", "{ ids: [], shape: { circle: $v } }", "Float64!"),
        ("Boolean", "[]) @skip(if: $v) { __typename } e: echo(value: []", "Boolean!"),
    ];
    let ask = async |ty: &str, value: &str| {
        let query = format!(
            "query($v: {ty}) {{ ... {{ ...F }} }} fragment F on Query {{ echo(value: {value}) {{ ids }} }}"
        );
        ask(&door, &query).await
    };
    for (ty, value) in allowed {
        let got = ask(ty, value).await;
        let code = got["errors"][0]["extensions"]["code"].as_str();
        assert!(matches!(code, None | Some("BAD_USER_INPUT")), "{ty} {value}: {got}");
    }
    for (ty, value, expected) in refused {
        let got = ask(ty, value).await;
        let of = ty.split(" = ").next().unwrap();
        let says = format!("The variable `$v` of type {of} is used where {expected} is expected.");
        assert_eq!(first_error(&got), says, "{ty} {value}");
        assert_eq!(got["errors"][0]["extensions"]["code"], "GRAPHQL_VALIDATION_FAILED");
    }
}

#[tokio::test]
async fn variables_stand_anywhere_and_their_defaults_where_they_are_not_given() {
    let (fake, door) = echo(&list(option(Type::String)), vec![]);
    let query = "query($a: String, $b: String = \"b\", $c: [String] = [\"c\"]) { echo(value: [$a, $b]) c: echo(value: $c) }";
    let got = ask_with(&door, query, json!({ "unknown": 1 })).await;
    assert_eq!(got["data"], json!({ "echo": [null, "b"], "c": ["c"] }), "{got}");
    let got = ask_with(&door, query, json!({ "a": "x", "b": null, "c": "y" })).await;
    assert_eq!(got["data"], json!({ "echo": ["x", null], "c": ["y"] }), "{got}");
    assert_eq!(fake.called().len(), 4);
    let got = ask_with(&door, "query($c: [String]!) { echo(value: $c) }", json!({})).await;
    assert_eq!(first_error(&got), "The variable `$c` of type [String]! is missing.");
}
