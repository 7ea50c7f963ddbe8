//! Fields, and what a type is in one.

use prost_types::FieldDescriptorProto;
use prost_types::field_descriptor_proto::{Label, Type as Wire};
use wharf_call::{Docs, Type};
use wharf_doors::names;

use super::{Compiler, EMPTY_FILE};
use crate::file::MessageBuilder;
use crate::naming::{self, FieldName};
use crate::plan::{Case, Content, Field, Scalar, Single};

impl Compiler<'_> {
    /// A field, in a place that can hold anything.
    pub(super) fn field(&mut self, package: &str, number: u32, name: FieldName, ty: &Type) -> (Field, Entry) {
        let (content, proto) = match ty {
            Type::List(item) | Type::FixedList(item, _) => {
                let (single, wire, full) = self.single(package, item);
                let length = if let Type::FixedList(_, length) = ty { Some(*length) } else { None };
                let mut entry = field_proto(number, &name, wire, full);
                entry.field.set_label(Label::Repeated);
                (Content::Repeated(single, length), entry)
            }
            Type::Map(key, value) => {
                let (Single::Scalar(key), key_wire, _) = self.single(package, key) else {
                    // The component model has no other keys than scalars; see `Type::Map`.
                    return self.field(package, number, name, &Type::List(value.clone()));
                };
                let (value, value_wire, full) = self.single(package, value);
                let entry = map_proto(number, &name, key_wire, value_wire, full);
                (Content::Map(key, value), entry)
            }
            Type::Option(inner) => {
                let (single, wire, full) = self.single(package, inner);
                let mut entry = field_proto(number, &name, wire, full);
                entry.field.proto3_optional = Some(true);
                (Content::Optional(single), entry)
            }
            other => {
                let (single, wire, full) = self.single(package, other);
                (Content::One(single), field_proto(number, &name, wire, full))
            }
        };
        (Field { number, name: name.proto, content }, proto)
    }

    /// A value in a place that can hold just one: what is more becomes a message. With its protobuf type and, for messages
    /// and enums, the full name.
    pub(super) fn single(&mut self, package: &str, ty: &Type) -> (Single, Wire, Option<String>) {
        let (scalar, wire) = match ty {
            Type::Bool => (Scalar::Bool, Wire::Bool),
            Type::S8 => (Scalar::S8, Wire::Sint32),
            Type::S16 => (Scalar::S16, Wire::Sint32),
            Type::S32 => (Scalar::S32, Wire::Sint32),
            Type::S64 => (Scalar::S64, Wire::Sint64),
            Type::U8 => (Scalar::U8, Wire::Uint32),
            Type::U16 => (Scalar::U16, Wire::Uint32),
            Type::U32 => (Scalar::U32, Wire::Uint32),
            Type::U64 => (Scalar::U64, Wire::Uint64),
            Type::F32 => (Scalar::F32, Wire::Float),
            Type::F64 => (Scalar::F64, Wire::Double),
            Type::Char => (Scalar::Char, Wire::String),
            Type::String => (Scalar::String, Wire::String),
            Type::Bytes(length) => (Scalar::Bytes(*length), Wire::Bytes),
            Type::Named(id) => {
                let def = &self.schema.types[id.0 as usize];
                let named = self.named[id.0 as usize].clone();
                let defined_in = names::proto_package(&def.package);
                let full = format!(".{defined_in}.{}", named.name);
                self.import(package, &defined_in);
                let wire = if matches!(named.single, Single::Scalar(_)) { Wire::Enum } else { Wire::Message };
                return (named.single, wire, Some(full));
            }
            Type::List(_)
            | Type::FixedList(..)
            | Type::Map(..)
            | Type::Tuple(_)
            | Type::Option(_)
            | Type::Result(..) => {
                let id = self.wrapper(package, ty);
                let full = format!(".{}", self.messages[id.0 as usize].name);
                return (Single::Message(id), Wire::Message, Some(full));
            }
        };
        (Single::Scalar(scalar), wire, None)
    }

    pub(super) fn cases(
        &mut self,
        package: &str,
        message: &mut MessageBuilder,
        types: &[(&str, Option<&Type>, &Docs)],
    ) -> Vec<Case> {
        let names = naming::fields(types.iter().map(|(name, ..)| *name));
        let oneof = names.iter().map(|name| name.proto.as_str()).chain(["kind"]);
        let oneof = naming::fields(oneof.collect::<Vec<_>>().into_iter()).pop().map(|name| name.proto);
        message.oneof(oneof.unwrap_or_default());
        types
            .iter()
            .zip(names)
            .zip(1..)
            .map(|((&(_, ty, docs), name), number)| {
                let (payload, entry) = match ty {
                    Some(ty) => {
                        let (single, wire, full) = self.single(package, ty);
                        (Some(single), field_proto(number, &name, wire, full))
                    }
                    None => {
                        self.file(package).imports.insert(EMPTY_FILE.to_owned());
                        let full = ".google.protobuf.Empty".to_owned();
                        (None, field_proto(number, &name, Wire::Message, Some(full)))
                    }
                };
                message.case(entry, docs);
                Case { name: name.proto, payload }
            })
            .collect()
    }
}

/// A field of a message with what it needs beside it.
pub(crate) struct Entry {
    pub(crate) field: FieldDescriptorProto,
    /// The message that a map field is a list of.
    pub(crate) nested: Option<prost_types::DescriptorProto>,
}

pub(super) fn plain(name: &str) -> FieldName {
    FieldName { proto: name.to_owned(), json: name.to_owned() }
}

pub(super) fn field_proto(number: u32, name: &FieldName, wire: Wire, full: Option<String>) -> Entry {
    let field = FieldDescriptorProto {
        name: Some(name.proto.clone()),
        number: i32::try_from(number).ok(),
        label: Some(Label::Optional.into()),
        r#type: Some(wire.into()),
        type_name: full,
        json_name: Some(name.json.clone()),
        ..FieldDescriptorProto::default()
    };
    Entry { field, nested: None }
}

/// A map field, which on the wire is a list of messages with `key` and `value`. The message is within the one that has the
/// field; whoever adds it there knows that one's name, and completes the reference.
fn map_proto(number: u32, name: &FieldName, key: Wire, value: Wire, full: Option<String>) -> Entry {
    let camel = naming::default_json(&name.proto);
    let mut chars = camel.chars();
    let first = chars.next().map(|c| c.to_ascii_uppercase()).into_iter();
    let entry_name = format!("{}Entry", first.chain(chars).collect::<String>());
    let nested = prost_types::DescriptorProto {
        name: Some(entry_name.clone()),
        field: vec![
            field_proto(1, &plain("key"), key, None).field,
            field_proto(2, &plain("value"), value, full).field,
        ],
        options: Some(prost_types::MessageOptions { map_entry: Some(true), ..Default::default() }),
        ..Default::default()
    };
    let mut entry = field_proto(number, name, Wire::Message, Some(entry_name));
    entry.field.set_label(Label::Repeated);
    entry.nested = Some(nested);
    entry
}
