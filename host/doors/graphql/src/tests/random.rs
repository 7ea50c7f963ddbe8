//! Types and values made at random, nested up to four deep, through the door and back.

use super::*;
use crate::testing::{input_type, json_of, select};

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 20) % n
    }

    fn scalar(&mut self) -> Type {
        use Type::*;
        let all =
            [Bool, S8, S16, S32, S64, U8, U16, U32, U64, F32, F64, Char, String, Bytes(None), Bytes(Some(3))];
        all[self.below(all.len() as u64) as usize].clone()
    }

    fn key(&mut self) -> Type {
        [Type::String, Type::U8, Type::S64, Type::Char, Type::Bool][self.below(5) as usize].clone()
    }

    fn ty(&mut self, named: u32, depth: u32) -> Type {
        if depth == 0 {
            return self.scalar();
        }
        let inner = |random: &mut Self| Box::new(random.ty(named, depth - 1));
        match self.below(12) {
            0 | 1 => list_of(inner(self)),
            2 => Type::FixedList(inner(self), 2),
            3 => Type::Map(Box::new(self.key()), inner(self)),
            4 => Type::Tuple((0..=self.below(2)).map(|_| *inner(self)).collect()),
            5 | 6 => Type::Option(inner(self)),
            7 => {
                let ok = (self.below(3) > 0).then(|| inner(self));
                Type::Result(ok, (self.below(3) > 0).then(|| inner(self)))
            }
            8..=10 if named > 0 => id(self.below(named.into()) as u32),
            _ => self.scalar(),
        }
    }

    fn types(&mut self) -> Vec<TypeDef> {
        let mut types = Vec::new();
        for at in 0..6_u32 {
            let kind = match self.below(4) {
                0 => TypeKind::Enum(names(&["one", "two-three", "four"])),
                1 => TypeKind::Flags(names(&["read", "write-all", "admin"])),
                2 => TypeKind::Record(
                    (0..=self.below(3)).map(|n| field(&format!("field-{n}"), self.ty(at, 1))).collect(),
                ),
                _ => TypeKind::Variant(
                    (0..=self.below(3))
                        .map(|n| Case {
                            name: format!("case-{n}"),
                            docs: Docs::default(),
                            ty: (self.below(3) > 0).then(|| self.ty(at, 1)),
                        })
                        .collect(),
                ),
            };
            types.push(def(&format!("type-{at}"), kind));
        }
        types
    }

    fn text(&mut self) -> String {
        (0..self.below(5))
            .map(|_| ['a', '"', '\\', 'é', '\u{0}', '😀', '\n'][self.below(7) as usize])
            .collect()
    }

    fn value(&mut self, schema: &Schema, ty: &Type) -> Value {
        let signed = |bits: u32, n: u64| Value::Signed((n as i64) >> (64 - bits));
        let unsigned = |bits: u32, n: u64| Value::Unsigned(n >> (64 - bits));
        let n = self.next();
        match ty {
            Type::Bool => Value::Bool(n & 1 == 1),
            Type::S8 => signed(8, n),
            Type::S16 => signed(16, n),
            Type::S32 => signed(32, n),
            Type::S64 => signed(64, n),
            Type::U8 => unsigned(8, n),
            Type::U16 => unsigned(16, n),
            Type::U32 => unsigned(32, n),
            Type::U64 => unsigned(64, n),
            Type::F32 => Value::F32(match n % 5 {
                0 => f32::INFINITY,
                1 => -0.0,
                _ => Some(f32::from_bits((n >> 32) as u32)).filter(|f| f.is_finite()).unwrap_or(0.1),
            }),
            Type::F64 => Value::F64(match n % 5 {
                0 => f64::NEG_INFINITY,
                1 => -0.0,
                _ => Some(f64::from_bits(n)).filter(|f| f.is_finite()).unwrap_or(0.1),
            }),
            Type::Char => Value::Char(char::from_u32((n >> 44) as u32).unwrap_or('x')),
            Type::String => Value::String(self.text()),
            Type::Bytes(length) => {
                let length = length.map_or(n % 5, u64::from);
                Value::Bytes((0..length).map(|_| self.next() as u8).collect())
            }
            Type::List(item) => Value::List((0..n % 3).map(|_| self.value(schema, item)).collect()),
            Type::FixedList(item, length) => {
                Value::List((0..*length).map(|_| self.value(schema, item)).collect())
            }
            Type::Map(key, value) => {
                let mut entries: Vec<(Value, Value)> = Vec::new();
                for _ in 0..n % 3 {
                    let key = self.value(schema, key);
                    if entries.iter().all(|(known, _)| *known != key) {
                        entries.push((key, self.value(schema, value)));
                    }
                }
                Value::Map(entries)
            }
            Type::Tuple(types) => Value::Tuple(types.iter().map(|ty| self.value(schema, ty)).collect()),
            Type::Option(inner) => Value::Option((n & 3 > 0).then(|| Box::new(self.value(schema, inner)))),
            Type::Result(ok, error) => {
                let (good, ty) = if n & 1 == 1 { (true, ok) } else { (false, error) };
                let payload = ty.as_ref().map(|ty| Box::new(self.value(schema, ty)));
                Value::Result(if good { Ok(payload) } else { Err(payload) })
            }
            Type::Named(id) => match &schema.type_def(*id).kind {
                TypeKind::Record(fields) => {
                    Value::Record(fields.iter().map(|field| self.value(schema, &field.ty)).collect())
                }
                TypeKind::Variant(cases) => {
                    let case = self.below(cases.len() as u64);
                    let payload = cases[case as usize].ty.as_ref().map(|ty| Box::new(self.value(schema, ty)));
                    Value::Variant(case as u32, payload)
                }
                TypeKind::Enum(cases) => Value::Enum(self.below(cases.len() as u64) as u32),
                TypeKind::Flags(flags) => Value::Flags(self.below(1 << flags.len()) as u32),
            },
        }
    }
}

fn list_of(item: Box<Type>) -> Type {
    if *item == Type::U8 { Type::Bytes(None) } else { Type::List(item) }
}

#[tokio::test]
async fn every_value_of_every_type_is_itself_again() {
    let mut random = Random(0x5eed_1234_5678_9abc);
    let mut values = 0;
    for round in 0..60 {
        let types = random.types();
        let functions: Vec<_> = (0..8)
            .map(|at| {
                let ty = random.ty(6, 4);
                query(&format!("echo{at}"), &[("value", ty.clone())], ty)
            })
            .collect();
        let schema = schema(functions, types);
        let fake = Fake::new("echo", schema.clone(), |_, mut args| reply(args.remove(0)));
        let unlimited = GraphqlConfig {
            depth_max: 60,
            complexity_max: 100_000,
            query_bytes_max: 1 << 20,
            tokens_max: 1 << 20,
            ..GraphqlConfig::default()
        };
        let door = door(std::slice::from_ref(&fake), &[], unlimited).unwrap();
        let introspected = ask(&door, include_str!("introspection.graphql")).await;
        let all = introspected["data"]["__schema"]["types"].as_array().unwrap();
        let types: HashMap<String, Json> =
            all.iter().map(|ty| (ty["name"].as_str().unwrap().to_owned(), ty.clone())).collect();
        for (function, root) in
            schema.interfaces[0].functions.iter().zip(types["Query"]["fields"].as_array().unwrap())
        {
            let (name, ty) = (&function.name, &function.params[0].ty);
            let declared = input_type(&root["args"][0]["type"]);
            let query =
                format!("query($v: {declared}) {{ {name}(value: $v) {} }}", select(&types, &root["type"]));
            for _ in 0..21 {
                let value = random.value(&schema, ty);
                let input = json_of(&schema, ty, &value, true);
                let got = ask_with(&door, &query, json!({ "v": input })).await;
                assert_eq!(got.get("errors"), None, "round {round}: {ty:?} {value:?} {query}");
                assert_eq!(fake.last_args()[0], value, "round {round}: {ty:?} {input}");
                assert_eq!(got["data"][name], json_of(&schema, ty, &value, false), "round {round}: {ty:?}");
                values += 1;
            }
        }
    }
    assert!(values > 10_000, "{values}");
}
