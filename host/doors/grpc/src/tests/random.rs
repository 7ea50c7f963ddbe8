//! Types and values by the dice, the same for the same seed.

use bytes::Bytes;
use wharf_call::{Case, Docs, Output, Schema, Type, TypeDef, TypeId, TypeKind, Value};

use super::{field, function, interface, package};

/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// A number of any magnitude, the ends of the range often.
    fn number(&mut self, bits: u32) -> u64 {
        let mask = u64::MAX >> (64 - bits);
        match self.below(6) {
            0 => 0,
            1 => mask,
            2 => mask >> 1,
            3 => (mask >> 1) + 1,
            _ => (self.next() >> self.below(64)) & mask,
        }
    }

    fn signed(&mut self, bits: u32) -> i64 {
        (self.number(bits) << (64 - bits)) as i64 >> (64 - bits)
    }

    fn char(&mut self) -> char {
        match self.below(4) {
            0 => '\0',
            1 => char::MAX,
            2 => 'ß',
            _ => char::from_u32(self.next() as u32 % 0x11_0000).unwrap_or('x'),
        }
    }
}

/// Names of which many are one in camel case, or what protobuf uses itself.
const NAMES: [&str; 16] = [
    "a",
    "foo-1",
    "foo1",
    "foo",
    "user",
    "get-value-request",
    "item",
    "kind",
    "value",
    "x",
    "unspecified",
    "entries",
    "key",
    "list-of-string",
    "message",
    "result",
];

fn distinct(dice: &mut Dice, n: usize) -> Vec<&'static str> {
    let mut names = Vec::new();
    while names.len() < n {
        let name = NAMES[dice.below(NAMES.len())];
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn cases(dice: &mut Dice, depth: u32, types: u32, payloads: bool) -> Vec<Case> {
    let n = 1 + dice.below(5);
    distinct(dice, n)
        .into_iter()
        .map(|name| Case {
            name: name.into(),
            docs: Docs::default(),
            ty: (payloads && dice.below(3) > 0).then(|| ty(dice, depth, types)),
        })
        .collect()
}

/// A schema with named types and an `echo` function for each of them and for as many unnamed types.
pub(super) fn schema(dice: &mut Dice) -> Schema {
    let mut types = Vec::new();
    for at in 0..8_u32 {
        // Of types within types only so many: what they hold multiplies.
        let before = if at < 3 { 0 } else { 3 };
        let kind = match dice.below(4) {
            0 => TypeKind::Enum(cases(dice, 0, before, false)),
            1 => TypeKind::Flags(cases(dice, 0, before, false)),
            2 => TypeKind::Variant(cases(dice, 1, before, true)),
            _ => {
                let n = 1 + dice.below(6);
                let fields = distinct(dice, n);
                TypeKind::Record(fields.into_iter().map(|name| field(name, ty(dice, 1, before))).collect())
            }
        };
        types.push(TypeDef {
            name: NAMES[at as usize].into(),
            package: package(if at < 3 { "demo:types@0.2.1" } else { "demo:random@1.0.0" }),
            interface: if at % 2 == 0 { "even".into() } else { "types".into() },
            docs: Docs::default(),
            kind,
        });
    }
    let params =
        (0..8).map(|id| Type::Named(TypeId(id))).chain((0..8).map(|_| ty(dice, 4, 8))).collect::<Vec<_>>();
    let functions = params.into_iter().zip(0..).map(|(ty, n)| {
        let second = field("second", Type::Bool);
        function(&format!("echo-n{n}"), vec![field("value", ty.clone()), second], Output::Value(ty))
    });
    Schema { interfaces: vec![interface("demo:random@1.0.0", "echo", functions.collect())], types }
}

/// A type nested up to `depth` deep, with named types before `types`.
pub(super) fn ty(dice: &mut Dice, depth: u32, types: u32) -> Type {
    if types > 0 && dice.below(5) == 0 {
        return Type::Named(TypeId(dice.below(types as usize) as u32));
    }
    let inner = |dice: &mut Dice| Box::new(ty(dice, depth - 1, types));
    match dice.below(if depth == 0 { 14 } else { 22 }) {
        0 => Type::Bool,
        1 => Type::S8,
        2 => Type::S16,
        3 => Type::S32,
        4 => Type::S64,
        5 => Type::U8,
        6 => Type::U16,
        7 => Type::U32,
        8 => Type::U64,
        9 => Type::F32,
        10 => Type::F64,
        11 => Type::Char,
        12 => Type::String,
        13 => Type::Bytes((dice.below(3) == 0).then(|| dice.below(5) as u32)),
        14 | 15 => Type::List(inner(dice)),
        16 => Type::FixedList(inner(dice), dice.below(4) as u32),
        17 => {
            let keys = [Type::Bool, Type::S8, Type::S64, Type::U16, Type::U64, Type::Char, Type::String];
            Type::Map(Box::new(keys[dice.below(keys.len())].clone()), inner(dice))
        }
        18 => Type::Tuple((0..1 + dice.below(3)).map(|_| *inner(dice)).collect()),
        19 | 20 => Type::Option(inner(dice)),
        _ => {
            let mut part = || (dice.below(3) > 0).then(|| inner(dice));
            Type::Result(part(), part())
        }
    }
}

/// A value of `ty`.
pub(super) fn value(dice: &mut Dice, schema: &Schema, ty: &Type) -> Value {
    match ty {
        Type::Bool => Value::Bool(dice.below(2) == 0),
        Type::S8 => Value::Signed(dice.signed(8)),
        Type::S16 => Value::Signed(dice.signed(16)),
        Type::S32 => Value::Signed(dice.signed(32)),
        Type::S64 => Value::Signed(dice.signed(64)),
        Type::U8 => Value::Unsigned(dice.number(8)),
        Type::U16 => Value::Unsigned(dice.number(16)),
        Type::U32 => Value::Unsigned(dice.number(32)),
        Type::U64 => Value::Unsigned(dice.number(64)),
        Type::F32 => Value::F32(match dice.below(6) {
            0 => f32::NAN,
            1 => f32::NEG_INFINITY,
            2 => -0.0,
            3 => 0.0,
            _ => dice.signed(32) as f32 / 7.0,
        }),
        Type::F64 => Value::F64(match dice.below(6) {
            0 => f64::NAN,
            1 => f64::INFINITY,
            2 => -0.0,
            3 => 0.0,
            _ => dice.signed(64) as f64 / 7.0,
        }),
        Type::Char => Value::Char(dice.char()),
        Type::String => Value::String((0..dice.below(6)).map(|_| dice.char()).collect()),
        Type::Bytes(length) => {
            let n = length.map_or_else(|| dice.below(200), |length| length as usize);
            Value::Bytes((0..n).map(|_| dice.next() as u8).collect::<Vec<_>>().into())
        }
        Type::List(item) => Value::List((0..dice.below(4)).map(|_| value(dice, schema, item)).collect()),
        Type::FixedList(item, n) => Value::List((0..*n).map(|_| value(dice, schema, item)).collect()),
        Type::Map(key, of) => {
            let mut entries: Vec<(Value, Value)> = Vec::new();
            for _ in 0..dice.below(4) {
                let (key, of) = (value(dice, schema, key), value(dice, schema, of));
                if entries.iter().all(|(other, _)| *other != key) {
                    entries.push((key, of));
                }
            }
            Value::Map(entries)
        }
        Type::Tuple(types) => Value::Tuple(types.iter().map(|ty| value(dice, schema, ty)).collect()),
        Type::Option(inner) => {
            Value::Option((dice.below(2) == 0).then(|| Box::new(value(dice, schema, inner))))
        }
        Type::Result(ok, error) => {
            let mut part = |ty: &Option<Box<Type>>| ty.as_ref().map(|ty| Box::new(value(dice, schema, ty)));
            let (ok, error) = (part(ok), part(error));
            Value::Result(if dice.below(2) == 0 { Ok(ok) } else { Err(error) })
        }
        Type::Named(id) => match &schema.type_def(*id).kind {
            TypeKind::Record(fields) => {
                Value::Record(fields.iter().map(|field| value(dice, schema, &field.ty)).collect())
            }
            TypeKind::Variant(cases) => {
                let case = dice.below(cases.len());
                let payload = cases[case].ty.as_ref().map(|ty| Box::new(value(dice, schema, ty)));
                Value::Variant(case as u32, payload)
            }
            TypeKind::Enum(cases) => Value::Enum(dice.below(cases.len()) as u32),
            TypeKind::Flags(flags) => Value::Flags(dice.below(1 << flags.len()) as u32),
        },
    }
}

/// The same value in one way of writing: maps in order, and NaN as text, which equals itself.
pub(super) fn shown(value: &Value) -> String {
    fn sorted(value: &Value) -> Value {
        let boxed = |value: &Option<Box<Value>>| value.as_ref().map(|value| Box::new(sorted(value)));
        match value {
            Value::Map(entries) => {
                let mut entries: Vec<_> = entries.iter().map(|(k, v)| (k.clone(), sorted(v))).collect();
                entries.sort_by_key(|(key, _)| format!("{key:?}"));
                Value::Map(entries)
            }
            Value::List(items) => Value::List(items.iter().map(sorted).collect()),
            Value::Tuple(items) => Value::Tuple(items.iter().map(sorted).collect()),
            Value::Record(items) => Value::Record(items.iter().map(sorted).collect()),
            Value::Variant(case, payload) => Value::Variant(*case, boxed(payload)),
            Value::Option(payload) => Value::Option(boxed(payload)),
            Value::Result(Ok(payload)) => Value::Result(Ok(boxed(payload))),
            Value::Result(Err(payload)) => Value::Result(Err(boxed(payload))),
            Value::Bytes(bytes) => Value::Bytes(Bytes::copy_from_slice(bytes)),
            other => other.clone(),
        }
    }
    format!("{:?}", sorted(value))
}
