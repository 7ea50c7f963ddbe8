//! What is no message is refused with the path of the field, and costs no more than it is long.

use bytes::Bytes;
use wharf_call::{Case, Docs, Output, Schema, Type, TypeId, TypeKind, Value};

use super::random::{Dice, schema, value};
use super::{field, function, interface, package, plan_of};
use crate::decode::decode;
use crate::encode::encode_fields;
use crate::plan::Plan;

fn order() -> (Schema, Plan) {
    let def = |name: &str, kind| wharf_call::TypeDef {
        name: name.into(),
        package: package("demo:shop"),
        interface: "orders".into(),
        docs: Docs::default(),
        kind,
    };
    let case = |name: &str, ty| Case { name: name.into(), docs: Docs::default(), ty };
    let line = TypeKind::Record(vec![field("quantity", Type::U8), field("code", Type::Char)]);
    let pay = TypeKind::Variant(vec![case("cash", None), case("card", Some(Type::String))]);
    let order = TypeKind::Record(vec![
        field("lines", Type::List(Box::new(Type::Named(TypeId(0))))),
        field("pay", Type::Named(TypeId(1))),
        field("counts", Type::List(Box::new(Type::U16))),
        field("exact", Type::FixedList(Box::new(Type::Bool), 2)),
    ]);
    let place = function("place", vec![field("order", Type::Named(TypeId(2)))], Output::Nothing);
    let schema = Schema {
        interfaces: vec![interface("demo:shop", "orders", vec![place])],
        types: vec![def("line", line), def("pay", pay), def("order", order)],
    };
    let plan = plan_of(&schema);
    (schema, plan)
}

fn read(wire: &[u8]) -> Result<Vec<Value>, String> {
    read_within(wire, 1 << 20)
}

fn read_within(wire: &[u8], allowance: u64) -> Result<Vec<Value>, String> {
    let (_, plan) = order();
    decode(&plan, &plan.methods[0].request, &Bytes::copy_from_slice(wire), allowance)
        .map_err(|error| error.to_string())
}

/// A field with bytes in it.
fn with(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, bytes.len() as u8], bytes].concat()
}

const PAID: [u8; 2] = [1 << 3 | 2, 0];
const EXACT: [u8; 4] = [4 << 3 | 2, 2, 1, 0];

#[test]
fn an_error_names_the_field() {
    let line = [1 << 3, 200, 2, 2 << 3 | 2, 1, b'x'];
    let good = [1 << 3, 7, 2 << 3 | 2, 1, b'x'];
    let orders = [
        (
            [with(1, &good), with(1, &line)].concat(),
            "order.lines[1].quantity: 328 is no u8, which is 0 to 255",
        ),
        (with(1, &[]), "order.lines[0].code: has to be exactly one character, and is missing"),
        (with(1, &with(2, b"ab")), "order.lines[0].code: has to be exactly one character"),
        (with(1, &with(2, &[0xff])), "order.lines[0].code: is not valid UTF-8"),
        (EXACT.to_vec(), "order.pay: is missing"),
        ([with(2, &[]), EXACT.to_vec()].concat(), "order.pay: no case of Pay is set, such as cash, card"),
        (with(2, &[2 << 3, 1]), ""),
        (with(2, &PAID), "order.exact: has 0 items and needs exactly 2"),
        (with(3, &[1, 2, 0x80, 0x80, 4]), "order.counts[2]: 65536 is no u16, which is 0 to 65535"),
        (vec![1 << 3 | 2, 100, 0], "order.lines: is said to be 100 bytes long, and the message ends after 1"),
        (
            vec![3 << 3 | 1, 0, 0, 0, 0, 0, 0, 0, 0],
            "order.counts[0]: has the wire type SixtyFourBit and needs Varint: the client was built for another contract",
        ),
    ];
    for (bytes, needed) in orders {
        let error = read(&with(1, &bytes)).unwrap_err();
        assert!(
            if needed.is_empty() { error.contains("wire type") } else { error == needed },
            "{error} / {needed}"
        );
    }
    assert_eq!(read(&[]).unwrap_err(), "order: is missing");
}

#[test]
fn the_rules_of_proto3_hold_for_what_comes_twice_packed_and_unknown() {
    // Counts unpacked, then packed; the order in two parts; the variant twice, of which the last counts; an unknown field.
    let one = [&[3 << 3, 1][..], &with(2, &PAID), &EXACT].concat();
    let other = [&with(3, &[2, 3])[..], &with(2, &with(2, b"4711")), &with(9, b"?")].concat();
    let values = read(&[with(1, &one), with(1, &other)].concat()).unwrap();
    let Value::Record(fields) = &values[0] else { panic!("{values:?}") };
    assert_eq!(fields[1], Value::Variant(1, Some(Box::new(Value::String("4711".into())))));
    assert_eq!(fields[2], Value::List(vec![Value::Unsigned(1), Value::Unsigned(2), Value::Unsigned(3)]));
    assert_eq!(fields[3], Value::List(vec![Value::Bool(true), Value::Bool(false)]));
}

#[test]
fn a_message_that_unfolds_is_stopped_by_its_allowance() {
    let counts = [&[3 << 3 | 2, 100][..], &[0; 100]].concat();
    let order = [&with(2, &PAID)[..], &EXACT, &counts].concat();
    assert!(read(&with(1, &order)).is_ok());
    let error = read_within(&with(1, &order), 64 * size_of::<Value>() as u64).unwrap_err();
    assert!(error.starts_with("order.counts: the values of this message take more than"), "{error}");
}

#[test]
fn groups_within_groups_end_somewhere() {
    let error = read(&[9 << 3 | 3; 100_000]).unwrap_err();
    assert!(error.contains("is not valid protobuf"), "{error}");
}

#[test]
fn no_truncated_or_damaged_message_does_harm() {
    let mut dice = Dice(11);
    for _ in 0..20 {
        let schema = schema(&mut dice);
        let plan = plan_of(&schema);
        for (method, (_, _, function)) in plan.methods.iter().zip(schema.functions()) {
            let args = [value(&mut dice, &schema, &function.params[0].ty), Value::Bool(true)];
            let mut wire = Vec::new();
            encode_fields(&plan, &method.request, &args, &mut wire).unwrap();
            for end in 0..wire.len().min(64) {
                let _ = decode(&plan, &method.request, &Bytes::copy_from_slice(&wire[..end]), 1 << 20);
            }
            for _ in 0..50 {
                let mut damaged = wire.clone();
                let at = dice.below(damaged.len());
                damaged[at] = dice.next() as u8;
                // What is still a message is one of the type.
                if let Ok(values) = decode(&plan, &method.request, &Bytes::from(damaged), 1 << 20) {
                    assert!(schema.admits(&function.params[0].ty, &values[0]));
                }
            }
        }
    }
}
