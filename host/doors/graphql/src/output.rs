//! Answers: typed values written straight as the JSON of a response, as far as they are asked for.
//!
//! A linked value is a hole, which is filled when the step that loads it has been made.

use async_graphql::Pos;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use wharf_call::{Type, TypeKind, Value};

use crate::model::{Model, Plugin};
use crate::plan::{FieldPlan, Shape, Source, case_type, member_type};

/// A step on the way to a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step<'p> {
    Key(&'p str),
    Index(usize),
}

/// JSON with holes.
#[derive(Default)]
pub(crate) struct Text {
    pub(crate) bytes: Vec<u8>,
    /// Where a hole is, and which.
    pub(crate) holes: Vec<(usize, usize)>,
}

/// Something to load.
pub(crate) struct Wanted<'p> {
    pub(crate) link: usize,
    /// What the record has: a key, an option of one, or a list of keys.
    pub(crate) key: Value,
    pub(crate) shape: &'p Shape,
    pub(crate) path: Vec<Step<'p>>,
    pub(crate) hole: usize,
    /// Where the document asks for it.
    pub(crate) pos: Pos,
}

/// Why a value could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteError {
    /// It is not of its type, which is the host's mistake.
    Type,
    /// The response is larger than `response_bytes_max`.
    TooLarge,
}

/// What the texts of one response share.
pub(crate) struct Page<'p> {
    pub(crate) model: &'p Model,
    pub(crate) wanted: Vec<Wanted<'p>>,
    pub(crate) holes: usize,
    pub(crate) bytes_left: usize,
}

/// Writes one value.
pub(crate) struct Writer<'w, 'p> {
    pub(crate) page: &'w mut Page<'p>,
    pub(crate) text: Text,
    pub(crate) path: Vec<Step<'p>>,
    charged: usize,
}

impl Page<'_> {
    /// Pays for `bytes` of the response, or of what it takes to make it.
    pub(crate) fn charge(&mut self, bytes: usize) -> Result<(), WriteError> {
        self.bytes_left = self.bytes_left.checked_sub(bytes).ok_or(WriteError::TooLarge)?;
        Ok(())
    }
}

impl Text {
    pub(crate) fn of(json: String) -> Self {
        Text { bytes: json.into_bytes(), holes: Vec::new() }
    }
}

impl<'w, 'p> Writer<'w, 'p> {
    pub(crate) fn new(page: &'w mut Page<'p>, path: Vec<Step<'p>>) -> Self {
        Writer { page, text: Text::default(), path, charged: 0 }
    }

    pub(crate) fn write(
        &mut self,
        plugin: &'p Plugin,
        ty: &Type,
        shape: &'p Shape,
        value: &Value,
    ) -> Result<(), WriteError> {
        self.charge()?;
        match (ty, value) {
            (Type::Option(_), Value::Option(None)) => self.raw("null"),
            (Type::Option(inner), Value::Option(Some(value))) => match (&**inner, shape) {
                (Type::Option(_), Shape::Object(fields)) => {
                    self.object(plugin, inner, fields, &mut |_| Some(&**value))?;
                }
                (inner, shape) => self.write(plugin, inner, shape, value)?,
            },
            (Type::List(item) | Type::FixedList(item, _), Value::List(items)) => {
                self.list(items, |writer, value| writer.write(plugin, item, shape, value))?;
            }
            (Type::Map(..), Value::Map(entries)) => {
                let Shape::Object(fields) = shape else { return Err(WriteError::Type) };
                self.list(entries, |writer, (key, value)| {
                    writer.object(plugin, ty, fields, &mut |at| Some(if at == 0 { key } else { value }))
                })?;
            }
            (Type::Tuple(_), Value::Tuple(values)) | (Type::Named(_), Value::Record(values)) => {
                let Shape::Object(fields) = shape else { return Err(WriteError::Type) };
                self.object(plugin, ty, fields, &mut |at| values.get(at))?;
            }
            (Type::Result(..), Value::Result(result)) => {
                let (case, payload) = match result {
                    Ok(payload) => (0, payload),
                    Err(payload) => (1, payload),
                };
                self.case(plugin, ty, shape, case, payload.as_deref())?;
            }
            (Type::Named(_), Value::Variant(case, payload)) => {
                self.case(plugin, ty, shape, *case as usize, payload.as_deref())?;
            }
            (Type::Named(id), Value::Enum(at)) => {
                let name = plugin.names.named(*id).members.get(*at as usize).ok_or(WriteError::Type)?;
                self.quoted(name);
            }
            (Type::Named(id), Value::Flags(set)) => {
                let TypeKind::Flags(_) = plugin.schema.type_def(*id).kind else {
                    return Err(WriteError::Type);
                };
                let names = plugin.names.named(*id).members.iter().zip(0..);
                let names: Vec<_> =
                    names.filter(|(_, bit)| set >> bit & 1 == 1).map(|(name, _)| name).collect();
                self.list(&names, |writer, name| {
                    writer.quoted(name);
                    Ok(())
                })?;
            }
            (ty, value) => self.scalar(ty, value)?,
        }
        Ok(())
    }

    /// `true`: what a function gives that returns nothing.
    pub(crate) fn done(&mut self) {
        self.raw("true");
    }

    fn scalar(&mut self, ty: &Type, value: &Value) -> Result<(), WriteError> {
        match (ty, value) {
            (Type::Bool, Value::Bool(value)) => self.raw(if *value { "true" } else { "false" }),
            (Type::S8 | Type::S16 | Type::S32, Value::Signed(number)) => self.number(number),
            (Type::U8 | Type::U16 | Type::U32, Value::Unsigned(number)) => self.number(number),
            // 64 bits are a string: JavaScript's whole numbers end at 53.
            (Type::S64, Value::Signed(number)) => self.quoted(&number.to_string()),
            (Type::U64, Value::Unsigned(number)) => self.quoted(&number.to_string()),
            (Type::F32, Value::F32(number)) => self.float(number, f64::from(*number)),
            (Type::F64, Value::F64(number)) => self.float(number, *number),
            (Type::Char, Value::Char(char)) => self.string(char.encode_utf8(&mut [0; 4])),
            (Type::String, Value::String(text)) => self.string(text),
            (Type::Bytes(_), Value::Bytes(bytes)) => self.quoted(&STANDARD.encode(bytes)),
            _ => return Err(WriteError::Type),
        }
        Ok(())
    }

    fn number(&mut self, number: &impl Serialize) {
        // Writing to memory does not fail.
        let _ = serde_json::to_writer(&mut self.text.bytes, number);
    }

    fn float(&mut self, number: &impl Serialize, wide: f64) {
        match wide {
            _ if wide.is_nan() => self.quoted("NaN"),
            f64::INFINITY => self.quoted("Infinity"),
            f64::NEG_INFINITY => self.quoted("-Infinity"),
            _ => self.number(number),
        }
    }

    fn string(&mut self, text: &str) {
        let _ = serde_json::to_writer(&mut self.text.bytes, text);
    }

    /// Text that needs no escapes.
    fn quoted(&mut self, text: &str) {
        self.text.bytes.push(b'"');
        self.raw(text);
        self.text.bytes.push(b'"');
    }

    pub(crate) fn raw(&mut self, text: &str) {
        self.text.bytes.extend_from_slice(text.as_bytes());
    }

    pub(crate) fn list<T>(
        &mut self,
        items: &[T],
        mut write: impl FnMut(&mut Self, &T) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        self.raw("[");
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                self.raw(",");
            }
            self.path.push(Step::Index(at));
            write(self, item)?;
            self.path.pop();
        }
        self.raw("]");
        Ok(())
    }

    fn case(
        &mut self,
        plugin: &'p Plugin,
        ty: &Type,
        shape: &'p Shape,
        case: usize,
        payload: Option<&Value>,
    ) -> Result<(), WriteError> {
        let Shape::Union(cases) = shape else { return Err(WriteError::Type) };
        let fields = cases.get(case).ok_or(WriteError::Type)?;
        self.raw("{");
        for (at, field) in fields.iter().enumerate() {
            self.key(at, field);
            match (&field.source, case_type(plugin, ty, case), payload) {
                (Source::Typename(name), _, _) => self.quoted(name),
                (Source::Member(_, shape), Some(ty), Some(value)) => {
                    self.write(plugin, ty, shape, value)?;
                }
                (Source::Member(..), None, None) => self.raw("true"),
                _ => return Err(WriteError::Type),
            }
            self.path.pop();
        }
        self.raw("}");
        Ok(())
    }

    fn object<'v>(
        &mut self,
        plugin: &'p Plugin,
        ty: &Type,
        fields: &'p [FieldPlan],
        member: &mut dyn FnMut(usize) -> Option<&'v Value>,
    ) -> Result<(), WriteError> {
        self.raw("{");
        for (at, field) in fields.iter().enumerate() {
            self.key(at, field);
            match &field.source {
                Source::Typename(name) => self.quoted(name),
                Source::Member(at, shape) => {
                    let value = member(*at).ok_or(WriteError::Type)?;
                    self.write(plugin, member_type(plugin, ty, *at), shape, value)?;
                }
                Source::Link(link, shape) => {
                    let key = member(self.page.model.links[*link].key).ok_or(WriteError::Type)?;
                    let hole = self.page.holes;
                    self.page.holes += 1;
                    self.text.holes.push((self.text.bytes.len(), hole));
                    let path = self.path.clone();
                    // A hole is short in the text and long beside it.
                    let beside = size_of::<Wanted<'_>>() + size_of_val(path.as_slice());
                    self.page.charge(beside + key.footprint() as usize)?;
                    self.page.wanted.push(Wanted {
                        link: *link,
                        key: key.clone(),
                        shape,
                        path,
                        hole,
                        pos: field.pos,
                    });
                }
            }
            self.path.pop();
        }
        self.raw("}");
        Ok(())
    }

    fn key(&mut self, at: usize, field: &'p FieldPlan) {
        if at > 0 {
            self.raw(",");
        }
        self.quoted(&field.key);
        self.raw(":");
        self.path.push(Step::Key(&field.key));
    }

    /// Pays for what was written since the last time.
    fn charge(&mut self) -> Result<(), WriteError> {
        let written = self.text.bytes.len() - self.charged;
        self.page.charge(written)?;
        self.charged = self.text.bytes.len();
        Ok(())
    }

    /// What was written.
    pub(crate) fn finish(mut self) -> Result<Text, WriteError> {
        self.charge()?;
        Ok(self.text)
    }
}

/// Puts what the holes are filled with where they are; a hole with nothing in it is null.
pub(crate) fn assemble(text: &Text, holes: &[Option<Text>], out: &mut Vec<u8>) {
    let mut from = 0;
    for &(at, hole) in &text.holes {
        out.extend_from_slice(&text.bytes[from..at]);
        match holes.get(hole).and_then(Option::as_ref) {
            Some(filling) => assemble(filling, holes, out),
            None => out.extend_from_slice(b"null"),
        }
        from = at;
    }
    out.extend_from_slice(&text.bytes[from..]);
}
