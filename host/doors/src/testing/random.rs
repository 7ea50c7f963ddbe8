//! Random schemas and values: the same seed gives the same ones.

use std::sync::Arc;

use bytes::Bytes;
use wharf_call::{
    Case, Docs, Field, Function, Interface, Output, Package, Schema, Type, TypeDef, TypeId, TypeKind, Value,
};

/// A source of numbers that is seeded: SplitMix64 (Steele, Lea, Flood 2014).
pub struct Random(u64);

impl Random {
    /// Begins the sequence of `seed`.
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to `n` - 1; `n` is at least 1.
    pub fn below(&mut self, n: usize) -> usize {
        (self.bits() % n as u64) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// How deep [`ty`] nests.
pub const DEPTH: usize = 4;

/// A schema of `types` named types and one interface, `test:random/echo@1.0.0`, with a function `echo-N` for each, which takes a
/// value of a random type as its parameter `value` and returns one.
pub fn schema(random: &mut Random, types: usize) -> Arc<Schema> {
    let package = Package { namespace: "test".into(), name: "random".into(), version: Some("1.0.0".into()) };
    let mut schema = Schema::default();
    for at in 0..types {
        let kind = kind(random, &schema);
        schema.types.push(TypeDef {
            name: format!("type-{at}"),
            package: package.clone(),
            interface: "echo".into(),
            docs: Docs::default(),
            kind,
        });
    }
    let functions = (0..types).map(|at| {
        let ty =
            if at.is_multiple_of(2) { Type::Named(TypeId(at as u32)) } else { ty(random, &schema, DEPTH) };
        Function {
            name: format!("echo-{at}"),
            docs: Docs::default(),
            is_async: false,
            params: vec![Field { name: "value".into(), docs: Docs::default(), ty: ty.clone() }],
            input: None,
            output: Output::Value(ty),
            error: None,
        }
    });
    let functions = functions.collect();
    schema.interfaces.push(Interface { package, name: "echo".into(), docs: Docs::default(), functions });
    Arc::new(schema)
}

fn kind(random: &mut Random, schema: &Schema) -> TypeKind {
    let count = 1 + random.below(5);
    let case = |at: usize, ty| Case { name: format!("case-{at}"), docs: Docs::default(), ty };
    match random.below(6) {
        0 | 1 => TypeKind::Record(
            (0..count)
                .map(|at| Field {
                    name: format!("field-{at}"),
                    docs: Docs::default(),
                    ty: ty(random, schema, DEPTH - 1),
                })
                .collect(),
        ),
        2 | 3 => TypeKind::Variant(
            (0..count)
                .map(|at| {
                    let payload = (!random.one_in(3)).then(|| ty(random, schema, DEPTH - 1));
                    case(at, payload)
                })
                .collect(),
        ),
        4 => TypeKind::Enum((0..count).map(|at| case(at, None)).collect()),
        _ => {
            let count = if random.one_in(4) { 32 } else { count };
            TypeKind::Flags((0..count).map(|at| case(at, None)).collect())
        }
    }
}

/// A type that nests at most `depth` deep within itself, and may name any type that `schema` has.
pub fn ty(random: &mut Random, schema: &Schema, depth: usize) -> Type {
    const LEAVES: [Type; 14] = [
        Type::Bool,
        Type::S8,
        Type::S16,
        Type::S32,
        Type::S64,
        Type::U8,
        Type::U16,
        Type::U32,
        Type::U64,
        Type::F32,
        Type::F64,
        Type::Char,
        Type::String,
        Type::Bytes(None),
    ];
    if depth == 0 || random.one_in(3) {
        return LEAVES[random.below(LEAVES.len())].clone();
    }
    let within = |random: &mut Random| Box::new(item(random, schema, depth - 1));
    match random.below(9) {
        0 => Type::List(within(random)),
        1 => Type::FixedList(within(random), 1 + random.below(3) as u32),
        2 => {
            // The first thirteen without the floats.
            let key = loop {
                let key = &LEAVES[random.below(13)];
                if !matches!(key, Type::F32 | Type::F64) {
                    break key.clone();
                }
            };
            Type::Map(Box::new(key), Box::new(ty(random, schema, depth - 1)))
        }
        3 => Type::Tuple((0..1 + random.below(3)).map(|_| ty(random, schema, depth - 1)).collect()),
        4 | 5 => Type::Option(Box::new(ty(random, schema, depth - 1))),
        6 => {
            let side =
                |random: &mut Random| (!random.one_in(3)).then(|| Box::new(ty(random, schema, depth - 1)));
            Type::Result(side(random), side(random))
        }
        7 => Type::Bytes(Some(1 + random.below(8) as u32)),
        _ if schema.types.is_empty() => Type::String,
        _ => Type::Named(TypeId(random.below(schema.types.len()) as u32)),
    }
}

/// The type of a list's items: anything but `u8`, of which a list is bytes.
fn item(random: &mut Random, schema: &Schema, depth: usize) -> Type {
    match ty(random, schema, depth) {
        Type::U8 => Type::U16,
        ty => ty,
    }
}

/// A value of `ty`, with the edges of each type among them. The keys of a map are all different.
pub fn value(random: &mut Random, schema: &Schema, ty: &Type) -> Value {
    let signed = |random: &mut Random, bits: u32| {
        let edge = [0, -1, 1, i64::MIN >> (64 - bits), i64::MAX >> (64 - bits)];
        let any = (random.bits() as i64) >> (64 - bits);
        Value::Signed(if random.one_in(2) { any } else { edge[random.below(edge.len())] })
    };
    let unsigned = |random: &mut Random, bits: u32| {
        let any = random.bits() >> (64 - bits);
        let edge = [0, 1, u64::MAX >> (64 - bits)];
        Value::Unsigned(if random.one_in(2) { any } else { edge[random.below(edge.len())] })
    };
    match ty {
        Type::Bool => Value::Bool(random.one_in(2)),
        Type::S8 => signed(random, 8),
        Type::S16 => signed(random, 16),
        Type::S32 => signed(random, 32),
        Type::S64 => signed(random, 64),
        Type::U8 => unsigned(random, 8),
        Type::U16 => unsigned(random, 16),
        Type::U32 => unsigned(random, 32),
        Type::U64 => unsigned(random, 64),
        Type::F32 => {
            let edge = [f32::INFINITY, f32::NEG_INFINITY, -0.0, f32::MIN_POSITIVE, f32::MAX, 1e-45];
            let any = f32::from_bits(random.bits() as u32);
            let any = if any.is_nan() { 0.1 } else { any };
            Value::F32(if random.one_in(2) { any } else { edge[random.below(edge.len())] })
        }
        Type::F64 => {
            let edge = [f64::INFINITY, f64::NEG_INFINITY, -0.0, f64::MIN_POSITIVE, f64::MAX, 5e-324];
            let any = f64::from_bits(random.bits());
            let any = if any.is_nan() { 0.1 } else { any };
            Value::F64(if random.one_in(2) { any } else { edge[random.below(edge.len())] })
        }
        Type::Char => Value::Char(any_char(random)),
        Type::String => {
            let length = random.below(12);
            Value::String((0..length).map(|_| any_char(random)).collect())
        }
        Type::Bytes(length) => {
            let length = length.map_or_else(|| random.below(20), |n| n as usize);
            Value::Bytes((0..length).map(|_| random.bits() as u8).collect::<Bytes>())
        }
        Type::List(item) => {
            let length = random.below(4);
            Value::List((0..length).map(|_| value(random, schema, item)).collect())
        }
        Type::FixedList(item, n) => Value::List((0..*n).map(|_| value(random, schema, item)).collect()),
        Type::Map(key, item) => {
            let mut entries: Vec<(Value, Value)> = Vec::new();
            for _ in 0..random.below(4) {
                let key = value(random, schema, key);
                if entries.iter().all(|(has, _)| *has != key) {
                    entries.push((key, value(random, schema, item)));
                }
            }
            Value::Map(entries)
        }
        Type::Tuple(types) => Value::Tuple(types.iter().map(|ty| value(random, schema, ty)).collect()),
        Type::Option(_) if random.one_in(3) => Value::NONE,
        Type::Option(ty) => Value::some(value(random, schema, ty)),
        Type::Result(ok, error) => {
            let mut side = |ty: &Option<Box<Type>>| ty.as_ref().map(|ty| Box::new(value(random, schema, ty)));
            let (ok, error) = (side(ok), side(error));
            Value::Result(if random.one_in(2) { Ok(ok) } else { Err(error) })
        }
        Type::Named(id) => match &schema.type_def(*id).kind {
            TypeKind::Record(fields) => {
                Value::Record(fields.iter().map(|field| value(random, schema, &field.ty)).collect())
            }
            TypeKind::Variant(cases) => {
                let at = random.below(cases.len());
                let payload = cases[at].ty.as_ref().map(|ty| Box::new(value(random, schema, ty)));
                Value::Variant(at as u32, payload)
            }
            TypeKind::Enum(cases) => Value::Enum(random.below(cases.len()) as u32),
            TypeKind::Flags(flags) => Value::Flags((random.bits() >> (64 - flags.len())) as u32),
        },
    }
}

fn any_char(random: &mut Random) -> char {
    const EDGE: [char; 12] =
        ['a', 'Z', '0', '"', '\\', '\n', '\u{0}', '\u{7f}', 'é', '\u{2028}', '😀', '\u{10ffff}'];
    if random.one_in(2) {
        return EDGE[random.below(EDGE.len())];
    }
    char::from_u32(random.bits() as u32 % 0x11_0000).unwrap_or('x')
}
