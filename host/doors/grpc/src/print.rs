//! A descriptor as the text of a `.proto` file.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;

use prost_types::field_descriptor_proto::{Label, Type as Wire};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto, ServiceDescriptorProto,
};

use crate::file::spells_json;

/// The text of `file`, with its comments. Compiling it gives the same descriptors.
pub(crate) fn print(file: &FileDescriptorProto) -> String {
    let locations = file.source_code_info.iter().flat_map(|info| &info.location);
    let comments = locations
        .map(|location| (location.path.as_slice(), location.leading_comments()))
        .collect::<HashMap<_, _>>();
    let mut printer = Printer { out: String::new(), comments, prefix: format!(".{}.", file.package()) };
    printer.file(file);
    printer.out
}

struct Printer<'a> {
    out: String,
    comments: HashMap<&'a [i32], &'a str>,
    /// `.demo.users.v1.`
    prefix: String,
}

/// Writing to a string does not fail.
macro_rules! line {
    ($printer:expr, $($arg:tt)*) => {{
        let _ = writeln!($printer.out, $($arg)*);
    }};
}

impl Printer<'_> {
    fn file(&mut self, file: &FileDescriptorProto) {
        line!(self, "syntax = \"proto3\";\n\npackage {};", file.package());
        if !file.dependency.is_empty() {
            line!(self, "");
        }
        for import in &file.dependency {
            line!(self, "import \"{import}\";");
        }
        for (service, at) in file.service.iter().zip(0..) {
            self.service(service, at);
        }
        for (message, at) in file.message_type.iter().zip(0..) {
            self.message(message, at);
        }
        for (of, at) in file.enum_type.iter().zip(0..) {
            self.enumeration(of, at);
        }
    }

    fn service(&mut self, service: &ServiceDescriptorProto, at: i32) {
        line!(self, "");
        self.comment(&[6, at], "");
        line!(self, "service {} {{", service.name());
        self.deprecated(service.options.as_ref().is_some_and(|options| options.deprecated()));
        let local: HashSet<&str> = service.method.iter().map(|method| method.name()).collect();
        for (method, of) in service.method.iter().zip(0..) {
            self.comment(&[6, at, 2, of], "  ");
            let stream = |streams: bool| if streams { "stream " } else { "" };
            let deprecated = method.options.as_ref().is_some_and(|options| options.deprecated());
            let end = if deprecated { " {\n    option deprecated = true;\n  }" } else { ";" };
            let (input, output) =
                (self.reference(method.input_type(), &local), self.reference(method.output_type(), &local));
            line!(
                self,
                "  rpc {}({}{input}) returns ({}{output}){end}",
                method.name(),
                stream(method.client_streaming()),
                stream(method.server_streaming()),
            );
        }
        line!(self, "}}");
    }

    fn message(&mut self, message: &DescriptorProto, at: i32) {
        line!(self, "");
        self.comment(&[4, at], "");
        if message.field.is_empty() {
            line!(self, "message {} {{}}", message.name());
            return;
        }
        line!(self, "message {} {{", message.name());
        self.deprecated(message.options.as_ref().is_some_and(|options| options.deprecated()));
        let local: HashSet<&str> = message.nested_type.iter().map(|nested| nested.name()).collect();
        let mut within = false;
        for (field, of) in message.field.iter().zip(0..) {
            let oneof = field.oneof_index.filter(|_| !field.proto3_optional());
            if let (Some(index), false) = (oneof, within) {
                let name = message.oneof_decl.get(index as usize).map_or("", |oneof| oneof.name());
                line!(self, "  oneof {name} {{");
                within = true;
            }
            let indent = if within { "    " } else { "  " };
            self.comment(&[4, at, 2, of], indent);
            let ty = self.field_type(message, field, &local);
            let mut options = Vec::new();
            if spells_json(field) {
                options.push(format!("json_name = \"{}\"", field.json_name()));
            }
            if field.options.as_ref().is_some_and(|options| options.deprecated()) {
                options.push("deprecated = true".to_owned());
            }
            let options =
                if options.is_empty() { String::new() } else { format!(" [{}]", options.join(", ")) };
            line!(self, "{indent}{ty} {} = {}{options};", field.name(), field.number());
        }
        if within {
            line!(self, "  }}");
        }
        line!(self, "}}");
    }

    fn enumeration(&mut self, of: &EnumDescriptorProto, at: i32) {
        line!(self, "");
        self.comment(&[5, at], "");
        line!(self, "enum {} {{", of.name());
        self.deprecated(of.options.as_ref().is_some_and(|options| options.deprecated()));
        for (value, number) in of.value.iter().zip(0..) {
            self.comment(&[5, at, 2, number], "  ");
            let deprecated = value.options.as_ref().is_some_and(|options| options.deprecated());
            let options = if deprecated { " [deprecated = true]" } else { "" };
            line!(self, "  {} = {}{options};", value.name(), value.number());
        }
        line!(self, "}}");
    }

    fn field_type(
        &self,
        message: &DescriptorProto,
        field: &FieldDescriptorProto,
        local: &HashSet<&str>,
    ) -> String {
        let nested = field.type_name().rsplit('.').next().unwrap_or_default();
        let map = message.nested_type.iter().find(|entry| {
            entry.name() == nested
                && field.type_name() == format!("{}{}.{nested}", self.prefix, message.name())
        });
        if let Some([key, value]) = map.map(|entry| entry.field.as_slice()) {
            let (key, value) = (self.type_name(key, local), self.type_name(value, local));
            return format!("map<{key}, {value}>");
        }
        let label = match field.label() {
            Label::Repeated => "repeated ",
            _ if field.proto3_optional() => "optional ",
            _ => "",
        };
        format!("{label}{}", self.type_name(field, local))
    }

    fn type_name(&self, field: &FieldDescriptorProto, local: &HashSet<&str>) -> String {
        let name = match field.r#type() {
            Wire::Double => "double",
            Wire::Float => "float",
            Wire::Uint64 => "uint64",
            Wire::Bool => "bool",
            Wire::String => "string",
            Wire::Bytes => "bytes",
            Wire::Uint32 => "uint32",
            Wire::Sint32 => "sint32",
            Wire::Sint64 => "sint64",
            _ => return self.reference(field.type_name(), local),
        };
        name.to_owned()
    }

    /// The short name where nothing nearer has it.
    fn reference(&self, full: &str, local: &HashSet<&str>) -> String {
        match full.strip_prefix(&self.prefix) {
            Some(short) if !short.contains('.') && !local.contains(short) => short.to_owned(),
            _ => full.to_owned(),
        }
    }

    fn deprecated(&mut self, deprecated: bool) {
        if deprecated {
            line!(self, "  option deprecated = true;");
        }
    }

    fn comment(&mut self, path: &[i32], indent: &str) {
        let Some(text) = self.comments.get(path) else { return };
        for text in text.lines() {
            line!(self, "{indent}//{text}");
        }
    }
}
