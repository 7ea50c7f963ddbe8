//! Arguments: from what a document and its variables say to typed values.

mod scalars;

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::fmt;

use async_graphql::Name;
use async_graphql_value::Value as Literal;
use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use serde_json::{Map, Number, Value as Json};
use wharf_call::{Field, Type, TypeKind, Value};
use wharf_doors::json::key_text;

use self::scalars::{float, signed, unsigned};
use crate::model::Plugin;

/// Padding may be missing (RFC 4648, section 3.2), and the URL-safe alphabet is taken, too.
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASE64: GeneralPurpose = GeneralPurpose::new(&STANDARD, LENIENT);
const BASE64_URL: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, LENIENT);

/// Why an argument is not what it should be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InputError {
    /// As in `order.lines[3].quantity`.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl InputError {
    fn new(text: impl Into<String>) -> Self {
        InputError { path: String::new(), text: text.into() }
    }

    pub(crate) fn within(mut self, name: &str) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{name}{dot}{}", self.path);
        self
    }

    fn at(mut self, index: usize) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("[{index}]{dot}{}", self.path);
        self
    }
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.path, self.text)
    }
}

/// The variables of an operation: those that were given, and the defaults of those that were not.
#[derive(Clone, Copy)]
pub(crate) struct Variables<'a> {
    pub(crate) given: &'a Map<String, Json>,
    pub(crate) defaults: &'a HashMap<Name, Literal>,
}

/// What stands somewhere: in the document, or in a variable.
#[derive(Clone, Copy)]
pub(crate) enum Input<'a> {
    Literal(&'a Literal),
    Json(&'a Json),
}

enum View<'a> {
    Missing,
    Null,
    Bool(bool),
    Number(&'a Number),
    Text(&'a str),
    Name(&'a str),
    List(Vec<Input<'a>>),
    Object(Vec<(&'a str, Input<'a>)>),
}

impl View<'_> {
    fn what(&self) -> &'static str {
        match self {
            View::Missing => "nothing",
            View::Null => "null",
            View::Bool(_) => "a boolean",
            View::Number(_) => "a number",
            View::Text(_) => "a string",
            View::Name(_) => "a name",
            View::List(_) => "a list",
            View::Object(_) => "an object",
        }
    }
}

/// Decodes the arguments of one operation.
pub(crate) struct Decoder<'a> {
    pub(crate) variables: Variables<'a>,
    /// What is left of `args_bytes_max`.
    pub(crate) bytes_left: &'a Cell<usize>,
}

impl<'a> Decoder<'a> {
    /// Whether something stands there: a variable without a value is as if nothing did.
    pub(crate) fn is_given(&self, input: Input<'a>) -> bool {
        !matches!(self.view(input), View::Missing)
    }

    /// The boolean of `@skip` and `@include`.
    pub(crate) fn condition(&self, input: Input<'a>) -> Result<bool, InputError> {
        match self.view(input) {
            View::Bool(value) => Ok(value),
            other => Err(expected("a boolean", &other)),
        }
    }

    fn view(&self, input: Input<'a>) -> View<'a> {
        match input {
            Input::Literal(Literal::Variable(name)) => match self.variables.given.get(name.as_str()) {
                Some(json) => self.view(Input::Json(json)),
                None => match self.variables.defaults.get(name) {
                    // A default has no variables in it.
                    Some(literal) => self.view(Input::Literal(literal)),
                    None => View::Missing,
                },
            },
            Input::Literal(Literal::Null) | Input::Json(Json::Null) => View::Null,
            Input::Literal(Literal::Boolean(value)) | Input::Json(Json::Bool(value)) => View::Bool(*value),
            Input::Literal(Literal::Number(number)) | Input::Json(Json::Number(number)) => {
                View::Number(number)
            }
            Input::Literal(Literal::String(text)) | Input::Json(Json::String(text)) => View::Text(text),
            Input::Literal(Literal::Enum(name)) => View::Name(name),
            Input::Literal(Literal::List(items)) => View::List(items.iter().map(Input::Literal).collect()),
            Input::Json(Json::Array(items)) => View::List(items.iter().map(Input::Json).collect()),
            Input::Literal(Literal::Object(fields)) => View::Object(
                fields.iter().map(|(name, value)| (name.as_str(), Input::Literal(value))).collect(),
            ),
            Input::Json(Json::Object(fields)) => {
                View::Object(fields.iter().map(|(name, value)| (name.as_str(), Input::Json(value))).collect())
            }
            Input::Literal(Literal::Binary(_)) => View::Null,
        }
    }

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

    fn record(
        &self,
        plugin: &Plugin,
        fields: &[Field],
        names: &[String],
        input: Option<Input<'a>>,
    ) -> Result<Value, InputError> {
        let given = self.object(input, names)?;
        let values = fields.iter().zip(names).zip(given);
        let values = values.map(|((field, name), input)| {
            self.decode(plugin, &field.ty, input).map_err(|error| error.within(name))
        });
        values.collect::<Result<_, _>>().map(Value::Record)
    }

    /// The fields of an object in the order of `names`; none of them is unknown.
    fn object(
        &self,
        input: Option<Input<'a>>,
        names: &[String],
    ) -> Result<Vec<Option<Input<'a>>>, InputError> {
        let view = input.map_or(View::Missing, |input| self.view(input));
        let View::Object(fields) = view else { return Err(expected("an object", &view)) };
        let mut given = vec![None; names.len()];
        for (name, value) in fields {
            match names.iter().position(|known| known == name) {
                Some(at) => given[at] = Some(value).filter(|&value| self.is_given(value)),
                None => {
                    let text = format!("is not known here; there are {}.", list_names(names));
                    return Err(InputError::new(text).within(&shown(name)));
                }
            }
        }
        Ok(given)
    }

    /// The case of a OneOf input object, and its payload.
    fn case<'t>(
        &self,
        plugin: &Plugin,
        names: &[String],
        payload: impl Fn(usize) -> Option<&'t Type>,
        input: Option<Input<'a>>,
    ) -> Result<(usize, Option<Box<Value>>), InputError> {
        let given = self.object(input, names)?;
        let mut set = given.iter().enumerate().filter_map(|(case, value)| value.map(|value| (case, value)));
        let (Some((case, value)), None) = (set.next(), set.next()) else {
            let text = format!("must have exactly one of {}.", list_names(names));
            return Err(InputError::new(text));
        };
        let payload = match payload(case) {
            Some(ty) => {
                Some(Box::new(self.payload(plugin, ty, Some(value)).map_err(|e| e.within(&names[case]))?))
            }
            None => match self.view(value) {
                View::Bool(true) => None,
                _ => {
                    return Err(InputError::new("must be true: this case has no value.").within(&names[case]));
                }
            },
        };
        Ok((case, payload))
    }

    /// A single value is taken as a list of one, as GraphQL has it (section 3.11).
    fn items(&self, input: Option<Input<'a>>, view: View<'a>) -> Vec<Input<'a>> {
        match view {
            View::List(items) => items,
            _ => input.into_iter().collect(),
        }
    }

    fn list(
        &self,
        plugin: &Plugin,
        item: &Type,
        input: Option<Input<'a>>,
        view: View<'a>,
    ) -> Result<Vec<Value>, InputError> {
        let items = self.items(input, view).into_iter().enumerate();
        items.map(|(at, of)| self.decode(plugin, item, Some(of)).map_err(|error| error.at(at))).collect()
    }

    fn map(
        &self,
        plugin: &Plugin,
        (ty, key, value): (&Type, &Type, &Type),
        input: Option<Input<'a>>,
        view: View<'a>,
    ) -> Result<Value, InputError> {
        let members = &plugin.names.wrapper(ty).members;
        let mut known = HashSet::new();
        let mut entry = |entry: Input<'a>| {
            let fields = self.object(Some(entry), members)?;
            let key = self.decode(plugin, key, fields[0]).map_err(|error| error.within("key"))?;
            let value = self.decode(plugin, value, fields[1]).map_err(|error| error.within("value"))?;
            let text = key_text(&key);
            self.charge(text.len())?;
            match known.insert(text) {
                true => Ok((key, value)),
                false => Err(InputError::new("is there twice.").within("key")),
            }
        };
        let entries = self.items(input, view).into_iter().enumerate();
        let entries = entries.map(|(at, of)| entry(of).map_err(|error| error.at(at)));
        entries.collect::<Result<_, _>>().map(Value::Map)
    }

    fn flags(&self, names: &[String], input: Option<Input<'a>>, view: View<'a>) -> Result<Value, InputError> {
        let mut set = 0;
        for (at, item) in self.items(input, view).into_iter().enumerate() {
            let flag = enum_value(names, &self.view(item)).map_err(|error| error.at(at))?;
            if set & 1 << flag != 0 {
                return Err(InputError::new("is there twice.").at(at));
            }
            set |= 1 << flag;
        }
        Ok(Value::Flags(set))
    }

    fn bytes(&self, view: &View<'_>, length: Option<u32>) -> Result<Value, InputError> {
        let View::Text(text) = view else { return Err(expected("a string in base64", view)) };
        self.charge(text.len())?;
        let url_safe = text.bytes().any(|byte| matches!(byte, b'-' | b'_'));
        let engine = if url_safe { &BASE64_URL } else { &BASE64 };
        let bytes = engine.decode(text).map_err(|_| InputError::new("is not base64 (RFC 4648)."))?;
        match length {
            Some(length) if bytes.len() != length as usize => {
                Err(InputError::new(format!("must be {length} bytes, and is {}.", bytes.len())))
            }
            _ => Ok(Value::Bytes(Bytes::from(bytes))),
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

fn expected(what: &str, got: &View<'_>) -> InputError {
    match got {
        View::Missing => InputError::new("is missing."),
        View::Null => InputError::new("must not be null."),
        other => InputError::new(format!("must be {what}, and is {}.", other.what())),
    }
}

fn enum_value(names: &[String], view: &View<'_>) -> Result<u32, InputError> {
    let (View::Name(text) | View::Text(text)) = view else {
        return Err(expected(&format!("one of {}", list_names(names)), view));
    };
    match names.iter().position(|name| name == text) {
        Some(at) => Ok(at as u32),
        None => {
            let text = format!("must be one of {}, and is {}.", list_names(names), shown(text));
            Err(InputError::new(text))
        }
    }
}

/// Names for a message: the first ten.
fn list_names(names: &[String]) -> String {
    let first = names.iter().take(10).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > 10 { format!("{first} and {} more", names.len() - 10) } else { first }
}

/// What a client wrote, as much as fits in a message.
fn shown(text: &str) -> String {
    let end = text.floor_char_boundary(64);
    if end < text.len() { format!("{}…", &text[..end]) } else { text.to_owned() }
}
