#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::sync::Arc;

use bytes::Bytes;
use wharf_call::{Case, Docs, Field, Package, Schema, Type, TypeDef, TypeId, TypeKind, Value};

use super::{Limits, Plan, decode, encode};
use crate::testing::{self, Random};

fn field(name: &str, ty: Type) -> Field {
    Field { name: name.into(), docs: Docs::default(), ty }
}

fn case(name: &str, ty: Option<Type>) -> Case {
    Case { name: name.into(), docs: Docs::default(), ty }
}

fn plan() -> Plan {
    let def = |name: &str, kind| TypeDef {
        name: name.into(),
        package: Package { namespace: "demo".into(), name: "shop".into(), version: None },
        interface: "orders".into(),
        docs: Docs::default(),
        kind,
    };
    let line = TypeKind::Record(vec![
        field("product-id", Type::String),
        field("quantity", Type::U8),
        field("note", option(Type::String)),
    ]);
    let order = TypeKind::Record(vec![field("lines", list(Type::Named(TypeId(0))))]);
    let shape = TypeKind::Variant(vec![
        case("empty", None),
        case("full-circle", Some(Type::F64)),
        case("maybe", Some(option(Type::U8))),
    ]);
    let state = TypeKind::Enum(vec![case("in-progress", None), case("done", None)]);
    let rights = TypeKind::Flags(vec![case("read", None), case("write-all", None)]);
    let collide = TypeKind::Record(vec![field("foo1", Type::U8), field("foo-1", Type::U8)]);
    Plan::new(&Arc::new(Schema {
        interfaces: Vec::new(),
        types: vec![
            def("line", line),
            def("order", order),
            def("shape", shape),
            def("state", state),
            def("rights", rights),
            def("collide", collide),
        ],
    }))
}

const LINE: Type = Type::Named(TypeId(0));
const ORDER: Type = Type::Named(TypeId(1));
const SHAPE: Type = Type::Named(TypeId(2));
const STATE: Type = Type::Named(TypeId(3));
const RIGHTS: Type = Type::Named(TypeId(4));
const COLLIDE: Type = Type::Named(TypeId(5));

fn option(ty: Type) -> Type {
    Type::Option(Box::new(ty))
}

fn list(ty: Type) -> Type {
    Type::List(Box::new(ty))
}

fn map(key: Type, ty: Type) -> Type {
    Type::Map(Box::new(key), Box::new(ty))
}

fn text(text: &str) -> Value {
    Value::String(text.into())
}

fn bytes(bytes: &'static [u8]) -> Value {
    Value::Bytes(Bytes::from_static(bytes))
}

fn ok(value: Option<Value>) -> Value {
    Value::Result(Ok(value.map(Box::new)))
}

fn error(value: Option<Value>) -> Value {
    Value::Result(Err(value.map(Box::new)))
}

fn variant(case: u32, value: Option<Value>) -> Value {
    Value::Variant(case, value.map(Box::new))
}

fn read(plan: &Plan, ty: &Type, json: &str) -> Result<Value, String> {
    decode(plan, ty, json.as_bytes(), Limits::default()).map_err(|error| error.to_string())
}

fn written(plan: &Plan, ty: &Type, value: &Value) -> String {
    let mut out = Vec::new();
    encode(plan, ty, value, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn every_cell_of_the_mapping_is_read_and_written() {
    use Value::{F32, F64, Flags, List, Map, Record, Signed, Tuple, Unsigned};
    const NONE: Value = Value::NONE;
    let plan = plan();
    let result = |ok: Option<Type>, error: Option<Type>| Type::Result(ok.map(Box::new), error.map(Box::new));
    let rows = [
        (Type::Bool, Value::Bool(true), "true"),
        (Type::Bool, Value::Bool(false), "false"),
        (Type::S8, Signed(-128), "-128"),
        (Type::S16, Signed(32767), "32767"),
        (Type::S32, Signed(i64::from(i32::MIN)), "-2147483648"),
        (Type::S64, Signed(i64::MIN), r#""-9223372036854775808""#),
        (Type::U8, Unsigned(255), "255"),
        (Type::U16, Unsigned(65535), "65535"),
        (Type::U32, Unsigned(4294967295), "4294967295"),
        (Type::U64, Unsigned(u64::MAX), r#""18446744073709551615""#),
        (Type::F32, F32(0.1), "0.1"),
        (Type::F32, F32(f32::INFINITY), r#""Infinity""#),
        (Type::F64, F64(-0.0), "-0.0"),
        (Type::F64, F64(1e300), "1e+300"),
        (Type::F64, F64(f64::NEG_INFINITY), r#""-Infinity""#),
        (Type::Char, Value::Char('😀'), r#""😀""#),
        (Type::String, text("a\"\\\n\u{1}é"), r#""a\"\\\n\u0001é""#),
        (Type::Bytes(None), bytes(b"\xfb\xff"), r#""+/8=""#),
        (Type::Bytes(None), bytes(b""), r#""""#),
        (Type::Bytes(Some(3)), bytes(b"abc"), r#""YWJj""#),
        (list(Type::U16), List(vec![Unsigned(1), Unsigned(2)]), "[1,2]"),
        (list(Type::String), List(vec![]), "[]"),
        (
            Type::FixedList(Box::new(Type::Bool), 2),
            List(vec![Value::Bool(true), Value::Bool(false)]),
            "[true,false]",
        ),
        (map(Type::String, Type::U8), Map(vec![(text("a b"), Unsigned(1))]), r#"{"a b":1}"#),
        (map(Type::S64, Type::Bool), Map(vec![(Signed(-7), Value::Bool(true))]), r#"{"-7":true}"#),
        (map(Type::Bool, Type::U8), Map(vec![(Value::Bool(false), Unsigned(1))]), r#"{"false":1}"#),
        (map(Type::Char, Type::U8), Map(vec![(Value::Char('"'), Unsigned(1))]), r#"{"\"":1}"#),
        (Type::Tuple(vec![Type::U8, Type::String]), Tuple(vec![Unsigned(1), text("x")]), r#"[1,"x"]"#),
        (option(Type::U8), NONE, "null"),
        (option(Type::U8), Value::some(Unsigned(7)), "7"),
        (option(option(Type::U8)), NONE, "null"),
        (option(option(Type::U8)), Value::some(NONE), r#"{"some":null}"#),
        (option(option(Type::U8)), Value::some(Value::some(Unsigned(1))), r#"{"some":1}"#),
        (option(option(option(Type::U8))), Value::some(Value::some(NONE)), r#"{"some":{"some":null}}"#),
        (result(Some(Type::U8), Some(Type::String)), ok(Some(Unsigned(1))), r#"{"ok":1}"#),
        (result(Some(Type::U8), Some(Type::String)), error(Some(text("e"))), r#"{"error":"e"}"#),
        (result(None, None), ok(None), r#"{"ok":null}"#),
        (result(None, None), error(None), r#"{"error":null}"#),
        (
            result(Some(result(None, Some(Type::U8))), None),
            ok(Some(error(Some(Unsigned(2))))),
            r#"{"ok":{"error":2}}"#,
        ),
        (
            ORDER,
            Record(vec![List(vec![Record(vec![text("p"), Unsigned(2), NONE])])]),
            r#"{"lines":[{"productId":"p","quantity":2,"note":null}]}"#,
        ),
        (SHAPE, variant(0, None), r#""empty""#),
        (SHAPE, variant(1, Some(F64(1.5))), r#"{"fullCircle":1.5}"#),
        (SHAPE, variant(2, Some(NONE)), r#"{"maybe":null}"#),
        (STATE, Value::Enum(0), r#""in-progress""#),
        (RIGHTS, Flags(0), "[]"),
        (RIGHTS, Flags(3), r#"["read","write-all"]"#),
        (COLLIDE, Record(vec![Unsigned(1), Unsigned(2)]), r#"{"foo1":1,"foo1_":2}"#),
    ];
    for (ty, value, json) in rows {
        assert!(plan.schema().admits(&ty, &value), "{json}");
        assert_eq!(written(&plan, &ty, &value), json);
        assert_eq!(read(&plan, &ty, json).as_ref(), Ok(&value), "{json}");
    }
    let nan = read(&plan, &Type::F64, r#""NaN""#).unwrap();
    assert!(matches!(nan, F64(n) if n.is_nan()));
    assert_eq!(written(&plan, &Type::F64, &nan), r#""NaN""#);
}

#[test]
fn other_spellings_of_the_same_value_are_taken() {
    let plan = plan();
    let rows = [
        (Type::S64, "-5", Value::Signed(-5)),
        (Type::U64, "18446744073709551615", Value::Unsigned(u64::MAX)),
        (Type::U8, "1.0", Value::Unsigned(1)),
        (Type::S16, "-2e2", Value::Signed(-200)),
        (Type::S8, "-0", Value::Signed(0)),
        (Type::F64, "3", Value::F64(3.0)),
        (Type::F32, "-3", Value::F32(-3.0)),
        (Type::Bytes(None), r#""-_8""#, bytes(b"\xfb\xff")),
        (Type::Bytes(None), r#""+/8""#, bytes(b"\xfb\xff")),
        (
            LINE,
            r#"{"quantity":1,"productId":"p"}"#,
            Value::Record(vec![text("p"), Value::Unsigned(1), Value::NONE]),
        ),
    ];
    for (ty, json, value) in rows {
        assert_eq!(read(&plan, &ty, json), Ok(value), "{json}");
    }
}

#[test]
fn what_is_not_of_the_type_is_refused_with_its_path() {
    let plan = plan();
    let tuple = Type::Tuple(vec![Type::U8, Type::U8]);
    let fixed = Type::FixedList(Box::new(Type::U16), 2);
    let result = Type::Result(Some(Box::new(Type::U8)), None);
    let rows = [
        (Type::Bool, "1", "expected true or false, got the number 1"),
        (Type::U8, "256", "expected a whole number from 0 to 255, got the number 256"),
        (Type::U8, "-1", "expected a whole number from 0 to 255, got the number -1"),
        (Type::S8, "1.5", "expected a whole number from -128 to 127, got the number 1.5"),
        (Type::U8, r#""1""#, r#"expected a whole number from 0 to 255, got the string "1""#),
        (Type::S64, r#""+1""#, r#"expected a string with a whole number of 64 bits, got the string "+1""#),
        (Type::S64, r#""01""#, r#"expected a string with a whole number of 64 bits, got the string "01""#),
        (Type::F32, "1e39", r#"expected a number, "NaN", "Infinity" or "-Infinity", got the number 1e39"#),
        (
            Type::F64,
            r#""nan""#,
            r#"expected a number, "NaN", "Infinity" or "-Infinity", got the string "nan""#,
        ),
        (Type::Char, r#""ab""#, r#"expected a string of one character, got the string "ab""#),
        (Type::Char, r#""""#, r#"expected a string of one character, got the string """#),
        (Type::String, "null", "expected a string, got null"),
        (Type::String, "{}", "expected a string, got an object"),
        (Type::Bytes(None), r#""a b""#, r#"expected a string of base64, got the string "a b""#),
        (
            Type::Bytes(Some(2)),
            r#""YWJj""#,
            r#"expected a string of base64 for 2 bytes, got the string "YWJj""#,
        ),
        (fixed.clone(), "[1]", "expected an array of 2, got one of 1"),
        (fixed, "[1,2,3]", "expected an array of 2, got a longer one"),
        (tuple.clone(), "[1]", "expected an array of 2, got one of 1"),
        (tuple, "[1,2,3]", "expected an array of 2, got a longer one"),
        (
            map(Type::U8, Type::U8),
            r#"{"x":1}"#,
            r#"expected a key that is a whole number from 0 to 255, got "x""#,
        ),
        (map(Type::String, Type::U8), r#"{"x":1,"x":2}"#, r#"["x"]: is there twice"#),
        (
            map(Type::String, Type::U8),
            r#"{"x":256}"#,
            r#"["x"]: expected a whole number from 0 to 255, got the number 256"#,
        ),
        (option(option(Type::U8)), "1", r#"expected null or {"some": …}, got the number 1"#),
        (option(option(Type::U8)), r#"{"non":1}"#, r#"expected null or {"some": …}, got the member "non""#),
        (
            result.clone(),
            r#"{"ok":1,"error":null}"#,
            r#"expected {"ok": …} or {"error": …}, got an object with more than one member"#,
        ),
        (result.clone(), r#"{"error":1}"#, "error: expected null"),
        (result, "{}", r#"expected {"ok": …} or {"error": …}, got an empty object"#),
        (
            ORDER,
            r#"{"lines":[{"productId":"a","quantity":1},{"productId":"b","quantity":300}]}"#,
            "lines[1].quantity: expected a whole number from 0 to 255, got the number 300",
        ),
        (
            ORDER,
            r#"{"lines":[{"productId":"a"}]}"#,
            "lines[0].quantity: is missing; expected a whole number from 0 to 255",
        ),
        (
            ORDER,
            r#"{"lines":[{"productID":"a"}]}"#,
            r#"lines[0].productID: is not known here; did you mean "productId"?"#,
        ),
        (ORDER, r#"{"zebra":[[[[]]]]}"#, "zebra: is not known here"),
        (LINE, r#"{"quantity":1,"quantity":1}"#, "quantity: is there twice"),
        (LINE, "[]", "expected an object (line), got an array"),
        (SHAPE, r#""full-circle""#, r#"shape has no "full-circle"; did you mean "fullCircle"?"#),
        (SHAPE, r#""fullCircle""#, r#"the case "fullCircle" has a value: write {"fullCircle": …}"#),
        (SHAPE, r#"{"empty":5}"#, r#"the case "empty" has no value: write "empty" alone"#),
        (SHAPE, r#"{"empty":null}"#, r#"the case "empty" has no value: write "empty" alone"#),
        (
            SHAPE,
            r#"{"maybe":1,"empty":null}"#,
            "expected a case of shape, got an object with more than one member",
        ),
        (STATE, r#""inProgress""#, r#"state has no "inProgress"; did you mean "in-progress"?"#),
        (STATE, r#""x""#, r#"state has no "x"; there are "in-progress", "done""#),
        (RIGHTS, r#"["read","read"]"#, r#"[1]: "read" is there twice"#),
        (RIGHTS, r#"["reed"]"#, r#"[0]: rights has no "reed"; did you mean "read"?"#),
        (RIGHTS, "[1]", "[0]: expected the name of a flag, got the number 1"),
        (Type::U8, "1 2", "this is not JSON: trailing characters at line 1 column 3"),
        (Type::U8, "", "this is not JSON: EOF while parsing a value at line 1 column 0"),
        (list(Type::U16), "[1,", "[1]: this is not JSON: EOF while parsing a value at line 1 column 3"),
    ];
    for (ty, json, message) in rows {
        assert_eq!(read(&plan, &ty, json).unwrap_err(), message, "{json}");
    }
}

#[test]
fn broken_utf8_is_refused() {
    let error = decode(&plan(), &Type::String, b"\"\xff\"", Limits::default()).unwrap_err();
    assert_eq!(error.text, "this is not JSON: invalid unicode code point at line 1 column 2");
}

#[test]
fn a_hundred_thousand_nested_arrays_are_refused_where_they_leave_the_type() {
    let plan = plan();
    let nested = "[".repeat(100_000);
    let refused = read(&plan, &list(list(Type::String)), &nested).unwrap_err();
    assert_eq!(refused, "[0][0]: expected a string, got an array");
    let refused = read(&plan, &ORDER, &format!(r#"{{"x":{nested}"#)).unwrap_err();
    assert_eq!(refused, "x: is not known here");
    let nested = r#"{"some":"#.repeat(100_000);
    let deep = (0..500).fold(Type::U8, |ty, _| option(ty));
    assert!(read(&plan, &deep, &nested).unwrap_err().contains("recursion limit exceeded"));
}

#[test]
fn what_values_take_is_bounded_before_it_is_taken() {
    let plan = plan();
    let limits = Limits { value_bytes_max: 64 << 10 };
    let many = format!("[{}]", vec!["[]"; 2_000].join(","));
    let refused = decode(&plan, &list(list(Type::String)), many.as_bytes(), limits).unwrap_err();
    assert!(refused.text.starts_with("takes more than 64KiB in memory"), "{refused}");
    let long = format!("\"{}\"", "x".repeat(100_000));
    assert!(decode(&plan, &Type::String, long.as_bytes(), limits).is_err());
    let few = decode(&plan, &list(list(Type::String)), b"[[],[]]", limits).unwrap();
    assert!(few.footprint() <= 64 << 10);
}

#[test]
fn ten_thousand_random_values_survive() {
    let mut random = Random::new(5);
    for _ in 0..100 {
        let schema = testing::schema(&mut random, 8);
        let plan = Plan::new(&schema);
        for _ in 0..100 {
            let ty = testing::ty(&mut random, &schema, testing::DEPTH);
            let value = testing::value(&mut random, &schema, &ty);
            assert!(schema.admits(&ty, &value), "{ty:?} {value:?}");
            let mut json = Vec::new();
            encode(&plan, &ty, &value, &mut json);
            let limits = Limits { value_bytes_max: 64 << 20 };
            let text = String::from_utf8_lossy(&json);
            let back = decode(&plan, &ty, &json, limits).unwrap_or_else(|error| panic!("{error}: {text}"));
            assert_eq!(back, value, "{text}");
            assert!(back.footprint() <= 64 << 20);
            // -0.0 equals 0.0: the second text shows it.
            let mut again = Vec::new();
            encode(&plan, &ty, &back, &mut again);
            assert_eq!(json, again);
        }
    }
}

#[test]
fn examples_are_of_their_type_and_endless_ones_are_left_out() {
    let mut random = Random::new(6);
    let schema = testing::schema(&mut random, 40);
    let plan = Plan::new(&schema);
    for at in 0..40 {
        let ty = Type::Named(TypeId(at));
        if let Some(example) = super::example(&plan, &ty) {
            assert!(schema.admits(&ty, &example));
        }
    }
    let mut types = vec![TypeDef { kind: TypeKind::Enum(vec![case("a", None)]), ..schema.types[0].clone() }];
    for at in 0..60 {
        let twice = vec![field("a", Type::Named(TypeId(at))), field("b", Type::Named(TypeId(at)))];
        types.push(TypeDef { kind: TypeKind::Record(twice), ..schema.types[0].clone() });
    }
    let plan = Plan::new(&Arc::new(Schema { interfaces: Vec::new(), types }));
    assert_eq!(super::example(&plan, &Type::Named(TypeId(60))), None);
}
