//! One `.proto` file in the making: descriptors, and what the WIT says of each thing in them.

use std::collections::BTreeSet;

use prost_types::source_code_info::Location;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumOptions, EnumValueDescriptorProto, EnumValueOptions,
    FieldOptions, FileDescriptorProto, MessageOptions, MethodDescriptorProto, MethodOptions,
    OneofDescriptorProto, ServiceDescriptorProto, ServiceOptions, SourceCodeInfo,
};
use wharf_call::{Docs, Flow, Function, TypeDef};

use crate::compile::Entry;
use crate::naming::{Scope, default_json};

/// The numbers of fields in `descriptor.proto`, of which a path to a comment is made.
const FILE_MESSAGES: i32 = 4;
const FILE_ENUMS: i32 = 5;
const FILE_SERVICES: i32 = 6;
/// Of `DescriptorProto.field`, `EnumDescriptorProto.value` and `ServiceDescriptorProto.method`.
const MEMBERS: i32 = 2;

/// A descriptor, with comments by the path from it.
pub(crate) struct Documented<T> {
    pub(crate) proto: T,
    docs: Vec<(Vec<i32>, String)>,
}

/// A file in the making.
pub(crate) struct File {
    package: String,
    scope: Scope,
    pub(crate) imports: BTreeSet<String>,
    pub(crate) services: Vec<Documented<ServiceDescriptorProto>>,
    /// The requests and responses.
    pub(crate) calls: Vec<Documented<DescriptorProto>>,
    pub(crate) types: Vec<Documented<DescriptorProto>>,
    pub(crate) wrappers: Vec<Documented<DescriptorProto>>,
    pub(crate) enums: Vec<Documented<EnumDescriptorProto>>,
}

impl File {
    /// The file of a package.
    pub(crate) fn new(package: String) -> Self {
        File {
            package,
            scope: Scope::default(),
            imports: BTreeSet::new(),
            services: Vec::new(),
            calls: Vec::new(),
            types: Vec::new(),
            wrappers: Vec::new(),
            enums: Vec::new(),
        }
    }

    /// `demo/users/v1.proto` of `demo.users.v1`.
    pub(crate) fn name_of(package: &str) -> String {
        format!("{}.proto", package.replace('.', "/"))
    }

    /// The names of its package.
    pub(crate) fn scope(&mut self) -> &mut Scope {
        &mut self.scope
    }

    /// The whole file: services, then messages in the order in which a reader meets them.
    pub(crate) fn finish(self) -> FileDescriptorProto {
        let mut locations = Vec::new();
        let messages = self.calls.into_iter().chain(self.types).chain(self.wrappers);
        let package = &self.package;
        let mut message_type = place(messages, FILE_MESSAGES, &mut locations);
        message_type.iter_mut().for_each(|message| complete(message, package));
        FileDescriptorProto {
            name: Some(File::name_of(&self.package)),
            dependency: self.imports.into_iter().collect(),
            message_type,
            enum_type: place(self.enums, FILE_ENUMS, &mut locations),
            service: place(self.services, FILE_SERVICES, &mut locations),
            source_code_info: Some(SourceCodeInfo { location: locations }),
            syntax: Some("proto3".to_owned()),
            package: Some(self.package),
            ..FileDescriptorProto::default()
        }
    }
}

/// Gives map fields the full name of their message, and optional ones the oneof of one that stands for their presence.
fn complete(message: &mut DescriptorProto, package: &str) {
    let name = message.name().to_owned();
    for field in &mut message.field {
        if message.nested_type.iter().any(|nested| nested.name() == field.type_name()) {
            field.type_name = Some(format!(".{package}.{name}.{}", field.type_name()));
        }
        if field.proto3_optional() {
            field.oneof_index = i32::try_from(message.oneof_decl.len()).ok();
            message.oneof_decl.push(OneofDescriptorProto {
                name: Some(format!("_{}", field.name())),
                ..OneofDescriptorProto::default()
            });
        }
    }
}

fn place<T>(
    items: impl IntoIterator<Item = Documented<T>>,
    list: i32,
    locations: &mut Vec<Location>,
) -> Vec<T> {
    items
        .into_iter()
        .zip(0..)
        .map(|(item, at)| {
            locations.extend(item.docs.into_iter().map(|(path, text)| Location {
                path: [list, at].into_iter().chain(path).collect(),
                span: vec![0, 0, 0],
                leading_comments: Some(text),
                ..Location::default()
            }));
            item.proto
        })
        .collect()
}

/// Docs as protobuf's compilers keep a comment: each line with the blank that follows `//`.
fn comment(docs: &Docs) -> Option<String> {
    let printable = |c: char| if c.is_control() { ' ' } else { c };
    let mut lines: Vec<String> = docs
        .text
        .lines()
        .map(|line| line.chars().map(printable).collect::<String>().trim_end().to_owned())
        .collect();
    if let Some(since) = &docs.deprecated {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        let since = if since.is_empty() {
            String::new()
        } else {
            format!(" since version {}", since.chars().map(printable).collect::<String>())
        };
        lines.push(format!("Deprecated{since}."));
    }
    let line = |line: &String| if line.is_empty() { "\n".to_owned() } else { format!(" {line}\n") };
    (!lines.is_empty()).then(|| lines.iter().map(line).collect())
}

fn deprecated(docs: &Docs) -> Option<bool> {
    docs.deprecated.is_some().then_some(true)
}

/// A message in the making.
pub(crate) struct MessageBuilder(Documented<DescriptorProto>);

impl MessageBuilder {
    pub(crate) fn new(name: &str, docs: &Docs) -> Self {
        let options =
            deprecated(docs).map(|_| MessageOptions { deprecated: Some(true), ..MessageOptions::default() });
        let proto = DescriptorProto { name: Some(name.to_owned()), options, ..DescriptorProto::default() };
        MessageBuilder(Documented {
            proto,
            docs: comment(docs).map(|text| (Vec::new(), text)).into_iter().collect(),
        })
    }

    pub(crate) fn field(&mut self, entry: Entry, docs: &Docs) {
        let Entry { mut field, nested } = entry;
        field.options =
            deprecated(docs).map(|_| FieldOptions { deprecated: Some(true), ..FieldOptions::default() });
        if let (Some(text), Ok(at)) = (comment(docs), i32::try_from(self.0.proto.field.len())) {
            self.0.docs.push((vec![MEMBERS, at], text));
        }
        self.0.proto.nested_type.extend(nested);
        self.0.proto.field.push(field);
    }

    /// Begins the oneof that the cases are in.
    pub(crate) fn oneof(&mut self, name: String) {
        self.0
            .proto
            .oneof_decl
            .push(OneofDescriptorProto { name: Some(name), ..OneofDescriptorProto::default() });
    }

    /// Adds a case to the oneof.
    pub(crate) fn case(&mut self, mut entry: Entry, docs: &Docs) {
        entry.field.oneof_index = Some(0);
        self.field(entry, docs);
    }

    pub(crate) fn finish(self) -> Documented<DescriptorProto> {
        self.0
    }
}

/// An enum with the values that `names` has for its cases, after the one for 0.
pub(crate) fn enum_proto(
    name: &str,
    def: &TypeDef,
    names: Vec<String>,
    cases: &[wharf_call::Case],
) -> Documented<EnumDescriptorProto> {
    let mut docs: Vec<_> = comment(&def.docs).map(|text| (Vec::new(), text)).into_iter().collect();
    let none = Docs::default();
    let said = std::iter::once(&none).chain(cases.iter().map(|case| &case.docs));
    let value = names
        .into_iter()
        .zip(said)
        .zip(0..)
        .map(|((name, said), number)| {
            docs.extend(comment(said).map(|text| (vec![MEMBERS, number], text)));
            EnumValueDescriptorProto {
                name: Some(name),
                number: Some(number),
                options: deprecated(said)
                    .map(|_| EnumValueOptions { deprecated: Some(true), ..EnumValueOptions::default() }),
            }
        })
        .collect();
    let options =
        deprecated(&def.docs).map(|_| EnumOptions { deprecated: Some(true), ..EnumOptions::default() });
    let proto =
        EnumDescriptorProto { name: Some(name.to_owned()), value, options, ..EnumDescriptorProto::default() };
    Documented { proto, docs }
}

impl Documented<ServiceDescriptorProto> {
    pub(crate) fn service(name: &str, docs: &Docs) -> Self {
        let options =
            deprecated(docs).map(|_| ServiceOptions { deprecated: Some(true), ..ServiceOptions::default() });
        let proto = ServiceDescriptorProto { name: Some(name.to_owned()), method: Vec::new(), options };
        Documented { proto, docs: comment(docs).map(|text| (Vec::new(), text)).into_iter().collect() }
    }

    pub(crate) fn method(
        &mut self,
        name: &str,
        package: &str,
        (request, response): (&str, &str),
        function: &Function,
    ) {
        let flow = function.flow();
        if let (Some(text), Ok(at)) = (comment(&function.docs), i32::try_from(self.proto.method.len())) {
            self.docs.push((vec![MEMBERS, at], text));
        }
        let options = deprecated(&function.docs)
            .map(|_| MethodOptions { deprecated: Some(true), ..MethodOptions::default() });
        let streams = |streams: bool| streams.then_some(true);
        self.proto.method.push(MethodDescriptorProto {
            name: Some(name.to_owned()),
            input_type: Some(format!(".{package}.{request}")),
            output_type: Some(format!(".{package}.{response}")),
            options,
            client_streaming: streams(matches!(flow, Flow::ClientStream | Flow::Bidirectional)),
            server_streaming: streams(matches!(flow, Flow::ServerStream | Flow::Bidirectional)),
        });
    }
}

/// Whether the `.proto` has to spell a field's JSON name.
pub(crate) fn spells_json(field: &prost_types::FieldDescriptorProto) -> bool {
    field.json_name() != default_json(field.name())
}
