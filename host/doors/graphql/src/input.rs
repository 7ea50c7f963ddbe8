//! Arguments: from what a document and its variables say to typed values.

mod containers;
mod error;
mod scalars;
mod view;

use std::cell::Cell;

use wharf_call::{Type, TypeKind, Value};

pub(crate) use self::error::InputError;
use self::error::expected;
use self::scalars::{enum_value, float, signed, unsigned};
use self::view::View;
pub(crate) use self::view::{Input, Variables};
use crate::model::Plugin;

/// Decodes the arguments of one operation.
pub(crate) struct Decoder<'a> {
    pub(crate) variables: Variables<'a>,
    /// What is left of `args_bytes_max`.
    pub(crate) bytes_left: &'a Cell<usize>,
}

impl<'a> Decoder<'a> {
    /// The value of `ty` that `input` says; `None` is a field that is not there.
    pub(crate) fn decode(
        &self,
        plugin: &Plugin,
        ty: &Type,
        input: Option<Input<'a>>,
    ) -> Result<Value, InputError> {
        let view = input.map_or(View::Missing, |input| self.view(input));
        self.charge(size_of::<Value>())?;
        if let Type::Option(inner) = ty {
            return match view {
                View::Missing | View::Null => Ok(Value::NONE),
                _ => self.payload(plugin, inner, input).map(Value::some),
            };
        }
        match view {
            View::Missing => return Err(InputError::new("is missing.")),
            View::Null => return Err(InputError::new("must not be null.")),
            _ => {}
        }
        self.bare(plugin, ty, input, view)
    }

    /// A value where null is taken already: an option is an object there.
    fn payload(&self, plugin: &Plugin, ty: &Type, input: Option<Input<'a>>) -> Result<Value, InputError> {
        let Type::Option(inner) = ty else { return self.decode(plugin, ty, input) };
        self.charge(size_of::<Value>())?;
        let members = &plugin.names.wrapper(ty).members;
        let fields = self.object(input, members)?;
        let value = match fields[0].map(|input| (input, self.view(input))) {
            None | Some((_, View::Missing | View::Null)) => Value::NONE,
            Some((input, _)) => {
                self.payload(plugin, inner, Some(input)).map(Value::some).map_err(|e| e.within("value"))?
            }
        };
        Ok(value)
    }

    fn bare(
        &self,
        plugin: &Plugin,
        ty: &Type,
        input: Option<Input<'a>>,
        view: View<'a>,
    ) -> Result<Value, InputError> {
        match ty {
            Type::Bool => match view {
                View::Bool(value) => Ok(Value::Bool(value)),
                other => Err(expected("a boolean", &other)),
            },
            Type::S8 => signed(&view, i8::MIN.into(), i8::MAX.into(), false),
            Type::S16 => signed(&view, i16::MIN.into(), i16::MAX.into(), false),
            Type::S32 => signed(&view, i32::MIN.into(), i32::MAX.into(), false),
            Type::S64 => signed(&view, i64::MIN, i64::MAX, true),
            Type::U8 => unsigned(&view, u8::MAX.into(), false),
            Type::U16 => unsigned(&view, u16::MAX.into(), false),
            Type::U32 => unsigned(&view, u32::MAX.into(), false),
            Type::U64 => unsigned(&view, u64::MAX, true),
            Type::F32 => float(&view).and_then(|number| {
                let narrow = number as f32;
                match narrow.is_infinite() && number.is_finite() {
                    true => Err(InputError::new("is out of the range of 32-bit floating-point numbers.")),
                    false => Ok(Value::F32(narrow)),
                }
            }),
            Type::F64 => float(&view).map(Value::F64),
            Type::Char => match &view {
                View::Text(text) => {
                    let mut chars = text.chars();
                    match (chars.next(), chars.next()) {
                        (Some(only), None) => Ok(Value::Char(only)),
                        _ => Err(InputError::new("must be a string of one character.")),
                    }
                }
                other => Err(expected("a string of one character", other)),
            },
            Type::String => match view {
                View::Text(text) => {
                    self.charge(text.len())?;
                    Ok(Value::String(text.to_owned()))
                }
                other => Err(expected("a string", &other)),
            },
            Type::Bytes(length) => self.bytes(&view, *length),
            Type::List(item) => self.list(plugin, item, input, view).map(Value::List),
            Type::FixedList(item, length) => {
                let items = self.list(plugin, item, input, view)?;
                match items.len() == *length as usize {
                    true => Ok(Value::List(items)),
                    false => {
                        Err(InputError::new(format!("must have {length} items, and has {}.", items.len())))
                    }
                }
            }
            Type::Map(key, value) => self.map(plugin, (ty, key, value), input, view),
            Type::Tuple(types) => {
                let members = &plugin.names.wrapper(ty).members;
                let fields = self.object(input, members)?;
                let items = types.iter().zip(members).zip(fields);
                let items = items.map(|((ty, name), input)| {
                    self.decode(plugin, ty, input).map_err(|error| error.within(name))
                });
                items.collect::<Result<_, _>>().map(Value::Tuple)
            }
            Type::Result(ok, error) => {
                let types = [ok.as_deref(), error.as_deref()];
                let members = &plugin.names.wrapper(ty).members;
                let (case, payload) = self.case(plugin, members, |case| types[case], input)?;
                Ok(Value::Result(if case == 0 { Ok(payload) } else { Err(payload) }))
            }
            Type::Named(id) => {
                let names = &plugin.names.named(*id).members;
                match &plugin.schema.type_def(*id).kind {
                    TypeKind::Record(fields) => self.record(plugin, fields, names, input),
                    TypeKind::Variant(cases) => {
                        let payload = |case: usize| cases[case].ty.as_ref();
                        let (case, payload) = self.case(plugin, names, payload, input)?;
                        Ok(Value::Variant(case as u32, payload))
                    }
                    TypeKind::Enum(_) => enum_value(names, &view).map(Value::Enum),
                    TypeKind::Flags(_) => self.flags(names, input, view),
                }
            }
            Type::Option(_) => self.decode(plugin, ty, input),
        }
    }

    fn charge(&self, bytes: usize) -> Result<(), InputError> {
        match self.bytes_left.get().checked_sub(bytes) {
            Some(left) => {
                self.bytes_left.set(left);
                Ok(())
            }
            None => Err(InputError::new("makes the arguments larger than the limit.")),
        }
    }
}
