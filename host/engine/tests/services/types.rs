//! Values on their way into a guest and back.

use bytes::Bytes;
use wharf_call::{Schema, Type, TypeKind, Value};
use wharf_harness::components;

use super::{config, invoke, plugin, value};

/// Random numbers that are the same in every run (xorshift64*: Vigna, "An experimental exploration of Marsaglia's
/// xorshift generators, scrambled", 2016).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() >> 33) as usize % end
    }

    /// Often something at the edge.
    fn bits(&mut self) -> u64 {
        match self.below(4) {
            0 => 0,
            1 => u64::MAX,
            2 => 1 << self.below(64),
            _ => self.next(),
        }
    }

    fn char(&mut self) -> char {
        const ODD: [char; 8] = ['\0', '"', '\\', '\n', 'é', '\u{d7ff}', '\u{e000}', '\u{10ffff}'];
        match self.below(3) {
            0 => ODD[self.below(ODD.len())],
            _ => char::from(b' ' + self.below(95) as u8),
        }
    }

    fn text(&mut self) -> String {
        (0..self.below(12)).map(|_| self.char()).collect()
    }

    /// A value of `ty`, with short lists.
    fn value(&mut self, schema: &Schema, ty: &Type) -> Value {
        let boxed =
            |this: &mut Self, ty: &Option<Box<Type>>| ty.as_ref().map(|ty| Box::new(this.value(schema, ty)));
        match ty {
            Type::Bool => Value::Bool(self.below(2) == 1),
            Type::S8 => Value::Signed((self.bits() as i8).into()),
            Type::S16 => Value::Signed((self.bits() as i16).into()),
            Type::S32 => Value::Signed((self.bits() as i32).into()),
            Type::S64 => Value::Signed(self.bits() as i64),
            Type::U8 => Value::Unsigned((self.bits() as u8).into()),
            Type::U16 => Value::Unsigned((self.bits() as u16).into()),
            Type::U32 => Value::Unsigned((self.bits() as u32).into()),
            Type::U64 => Value::Unsigned(self.bits()),
            Type::F32 => Value::F32(match self.below(4) {
                0 => -0.0,
                1 => f32::INFINITY,
                _ => self.next() as f32 / 3.0,
            }),
            Type::F64 => Value::F64(match self.below(4) {
                0 => -0.0,
                1 => f64::NEG_INFINITY,
                _ => f64::MIN_POSITIVE * self.below(100) as f64,
            }),
            Type::Char => Value::Char(self.char()),
            Type::String => Value::String(self.text()),
            Type::Bytes(length) => {
                let length = length.map_or_else(|| self.below(40), |length| length as usize);
                Value::Bytes((0..length).map(|_| self.next() as u8).collect())
            }
            Type::List(item) => Value::List((0..self.below(4)).map(|_| self.value(schema, item)).collect()),
            Type::FixedList(item, n) => Value::List((0..*n).map(|_| self.value(schema, item)).collect()),
            // A map in the guest sorts its keys and keeps each once.
            Type::Map(key, of) => {
                let key = self.value(schema, key);
                Value::Map((0..self.below(2)).map(|_| (key.clone(), self.value(schema, of))).collect())
            }
            Type::Tuple(types) => Value::Tuple(types.iter().map(|ty| self.value(schema, ty)).collect()),
            Type::Option(ty) => match self.below(3) {
                0 => Value::NONE,
                _ => Value::some(self.value(schema, ty)),
            },
            Type::Result(ok, error) => Value::Result(match self.below(2) {
                0 => Ok(boxed(self, ok)),
                _ => Err(boxed(self, error)),
            }),
            Type::Named(id) => match &schema.type_def(*id).kind {
                TypeKind::Record(fields) => {
                    Value::Record(fields.iter().map(|field| self.value(schema, &field.ty)).collect())
                }
                TypeKind::Variant(cases) => {
                    let at = self.below(cases.len());
                    let payload = cases[at].ty.as_ref().map(|ty| Box::new(self.value(schema, ty)));
                    Value::Variant(at as u32, payload)
                }
                TypeKind::Enum(cases) => Value::Enum(self.below(cases.len()) as u32),
                TypeKind::Flags(flags) => Value::Flags((self.next() as u32) & ((1 << flags.len()) - 1)),
            },
        }
    }
}

/// How many values each function is given.
const VALUES: usize = 50;

#[tokio::test]
async fn every_value_of_every_type_comes_back_unchanged() {
    let plugin = plugin(components::ECHO_TYPES, config()).await;
    let service = plugin.service().unwrap();
    let schema = service.schema().clone();
    let mut random = Random(0x5eed);
    let mut called = 0;
    for (_, _, function) in schema.functions() {
        let ty = &function.params[0].ty;
        assert_eq!(function.output, wharf_call::Output::Value(ty.clone()));
        for _ in 0..VALUES {
            let sent = random.value(&schema, ty);
            assert!(schema.admits(ty, &sent), "{}: {sent:?}", function.name);
            let back = value(&*service, &function.name, vec![sent.clone()]).await.unwrap();
            assert_eq!(back.as_ref(), Some(&sent), "{}", function.name);
            called += 1;
        }
    }
    assert!(called >= 10_000, "{called} values in {} functions", called / VALUES);
}

#[tokio::test]
async fn a_nan_is_a_nan_and_minus_zero_stays() {
    let plugin = plugin(components::ECHO_TYPES, config()).await;
    let service = plugin.service().unwrap();
    let odd = f64::from_bits(f64::NAN.to_bits() | 1 << 63 | 7);
    let back = value(&*service, "echo-f64", vec![Value::F64(odd)]).await.unwrap();
    assert!(matches!(back, Some(Value::F64(x)) if x.to_bits() == f64::NAN.to_bits()), "{back:?}");
    let odd = f32::from_bits(f32::NAN.to_bits() | 1 << 31 | 7);
    let back = value(&*service, "echo-f32", vec![Value::F32(odd)]).await.unwrap();
    assert!(matches!(back, Some(Value::F32(x)) if x.to_bits() == f32::NAN.to_bits()), "{back:?}");
    let back = value(&*service, "echo-f32", vec![Value::F32(-0.0)]).await.unwrap();
    assert!(matches!(back, Some(Value::F32(x)) if x.is_sign_negative()), "{back:?}");
}

#[tokio::test]
async fn what_is_not_of_the_type_is_refused_by_parameter() {
    let plugin = plugin(components::ECHO_TYPES, config()).await;
    let service = plugin.service().unwrap();
    let cases = [
        ("echo-u8", Value::Unsigned(256), "v is not a u8"),
        ("echo-s8", Value::Signed(-129), "v is not a s8"),
        ("echo-string", Value::Bool(true), "v is not a string"),
        ("echo-color", Value::Enum(4), "v is not a color"),
        ("echo-rights", Value::Flags(64), "v is not a rights"),
        ("echo-shape", Value::Variant(1, None), "v is not a shape"),
        ("echo-shape", Value::Variant(9, None), "v is not a shape"),
        ("echo-point", Value::Record(vec![Value::Signed(1)]), "v is not a point"),
        ("echo-three-u8", Value::Bytes(Bytes::from_static(b"ab")), "v is not a list<u8, 3>"),
        ("echo-three-u16", Value::List(vec![]), "v is not a list<u16, 3>"),
        ("echo-pair-bool", Value::Tuple(vec![Value::Bool(true)]), "v is not a tuple<bool, bool>"),
        ("echo-option-bool", Value::some(Value::Unsigned(1)), "v is not a option<bool>"),
    ];
    for (name, wrong, said) in cases {
        let refused = value(&*service, name, vec![wrong]).await.unwrap_err();
        assert_eq!((refused.kind().name(), refused.public()), ("bad_request", said));
    }
    let none = invoke(&*service, "echo-u8", vec![], None).await.map(|_| ()).unwrap_err();
    assert_eq!(none.public(), "echo-u8 takes 1 arguments; there are 0");
}
