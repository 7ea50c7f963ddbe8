//! From a schema to descriptors and a plan, in one walk, so that they cannot disagree.

use std::collections::{BTreeMap, HashMap};

use prost_types::field_descriptor_proto::{Label, Type as Wire};
use prost_types::{FieldDescriptorProto, FileDescriptorProto};
use wharf_call::{Function, Output, Schema, Type, TypeDef, TypeKind};
use wharf_doors::names;

use crate::file::{Documented, File, MessageBuilder, enum_proto};
use crate::naming::{self, FieldName, Scope};
use crate::plan::{Case, Content, Field, Message, MessageId, Method, Plan, Scalar, Shape, Single};

/// The name of the file that has `google.protobuf.Empty`.
pub(crate) const EMPTY_FILE: &str = "google/protobuf/empty.proto";

/// Compiles a schema that [`crate::merge`] has found to fit.
///
/// # Errors
/// Packages that need each other: protobuf files cannot import in circles.
pub(crate) fn compile(schema: &Schema) -> Result<Plan, Vec<String>> {
    let mut compiler = Compiler::new(schema);
    for def in 0..schema.types.len() {
        compiler.type_def(def);
    }
    let methods = compiler.services();
    let services = compiler.services.clone();
    let files = compiler.files.into_values().map(File::finish).collect();
    Ok(Plan { files: in_order(files)?, messages: compiler.messages, methods, services })
}

/// What a named type has become.
#[derive(Clone)]
struct Named {
    /// The name within the package.
    name: String,
    single: Single,
}

struct Compiler<'a> {
    schema: &'a Schema,
    files: BTreeMap<String, File>,
    messages: Vec<Message>,
    /// The name within its package of each type of the schema, and the prefix of its values if it is an enum.
    type_names: Vec<(String, String)>,
    /// Each type of the schema up to the one that is being compiled.
    named: Vec<Named>,
    services: Vec<String>,
    /// The names of each function's messages, in the order of the schema.
    calls: Vec<Vec<(String, String)>>,
    wrappers: HashMap<(String, Type), MessageId>,
    errors: HashMap<(String, Type), MessageId>,
}

impl<'a> Compiler<'a> {
    /// Gives away the names that others have to go around: services first, which are part of every path; then types, in the
    /// order of their full names; then the messages of functions.
    fn new(schema: &'a Schema) -> Self {
        let mut files: BTreeMap<String, File> = BTreeMap::new();
        fn file(files: &mut BTreeMap<String, File>, package: String) -> &mut Scope {
            files.entry(package.clone()).or_insert_with(|| File::new(package)).scope()
        }
        let mut services = Vec::new();
        for interface in &schema.interfaces {
            let package = names::proto_package(&interface.package);
            let name = file(&mut files, package.clone()).take([names::upper_camel(&interface.name)]);
            services.push(format!("{package}.{name}"));
        }
        let mut order: Vec<usize> = (0..schema.types.len()).collect();
        let key =
            |def: &TypeDef| (names::proto_package(&def.package), def.interface.clone(), def.name.clone());
        order.sort_by_key(|at| key(&schema.types[*at]));
        let mut type_names = vec![(String::new(), String::new()); schema.types.len()];
        for at in order {
            let def = &schema.types[at];
            let plain = names::upper_camel(&def.name);
            let full = format!("{}-{}", def.interface, def.name);
            let name = file(&mut files, names::proto_package(&def.package))
                .take([plain.clone(), names::upper_camel(&full)]);
            let prefix = names::screaming(if name == plain { &def.name } else { &full });
            type_names[at] = (name, prefix);
        }
        let mut calls = Vec::new();
        for interface in &schema.interfaces {
            let scope = file(&mut files, names::proto_package(&interface.package));
            let within = names::upper_camel(&interface.name);
            let mut name = |function: &str, what: &str| {
                scope.take([format!("{function}{what}"), format!("{within}{function}{what}")])
            };
            let functions = interface.functions.iter().map(|function| names::upper_camel(&function.name));
            calls.push(
                functions.map(|function| (name(&function, "Request"), name(&function, "Response"))).collect(),
            );
        }
        Compiler {
            schema,
            files,
            messages: Vec::new(),
            type_names,
            named: Vec::new(),
            services,
            calls,
            wrappers: HashMap::new(),
            errors: HashMap::new(),
        }
    }

    fn type_def(&mut self, at: usize) {
        let def = &self.schema.types[at];
        let package = names::proto_package(&def.package);
        let (name, prefix) = self.type_names[at].clone();
        let full = format!("{package}.{name}");
        let single = match &def.kind {
            TypeKind::Record(fields) => {
                let names = naming::fields(fields.iter().map(|field| field.name.as_str()));
                let mut message = MessageBuilder::new(&name, &def.docs);
                let fields = fields.iter().zip(names).zip(1..).map(|((field, name), number)| {
                    let (plan, proto) = self.field(&package, number, name, &field.ty);
                    message.field(proto, &field.docs);
                    plan
                });
                let shape = Shape::Record(fields.collect());
                self.message(&package, message, full, shape, false)
            }
            TypeKind::Variant(cases) => {
                let mut message = MessageBuilder::new(&name, &def.docs);
                let types = cases.iter().map(|case| (case.name.as_str(), case.ty.as_ref(), &case.docs));
                let cases = self.cases(&package, &mut message, types.collect::<Vec<_>>().as_slice());
                self.message(&package, message, full, Shape::Variant(cases), false)
            }
            TypeKind::Flags(flags) => {
                let names = naming::fields(flags.iter().map(|flag| flag.name.as_str()));
                let mut message = MessageBuilder::new(&name, &def.docs);
                for ((flag, name), number) in flags.iter().zip(names).zip(1..) {
                    message.field(field_proto(number, &name, Wire::Bool, None), &flag.docs);
                }
                let shape = Shape::Flags(u32::try_from(flags.len()).unwrap_or(32));
                self.message(&package, message, full, shape, false)
            }
            TypeKind::Enum(cases) => {
                let file = self.file(&package);
                let values =
                    naming::enum_values(&prefix, cases.iter().map(|case| case.name.as_str()), file.scope());
                file.enums.push(enum_proto(&name, def, values, cases));
                Single::Scalar(Scalar::Enum(u32::try_from(cases.len()).unwrap_or(u32::MAX)))
            }
        };
        self.named.push(Named { name, single });
    }

    fn services(&mut self) -> Vec<Method> {
        let mut methods = Vec::new();
        for (at, interface) in self.schema.interfaces.iter().enumerate() {
            let package = names::proto_package(&interface.package);
            let full = self.services[at].clone();
            let service_name = full.rsplit('.').next().unwrap_or_default().to_owned();
            let mut service = Documented::service(&service_name, &interface.docs);
            let function_names =
                names::distinct(interface.functions.iter().map(|f| f.name.as_str()), names::upper_camel);
            for ((function, name), number) in interface.functions.iter().zip(function_names).zip(0..) {
                let (request, response) = self.calls[at][number as usize].clone();
                let fields = self.request(&package, &request, function);
                let (result, streams) = self.response(&package, &response, function);
                service.method(&name, &package, (&request, &response), function);
                methods.push(Method {
                    path: format!("/{full}/{name}"),
                    interface: at,
                    function: number,
                    request: fields,
                    params: function.params.len(),
                    result,
                    streams,
                    error: function.error.as_ref().map(|error| self.error(&package, error)),
                });
            }
            self.file(&package).services.push(service);
        }
        methods
    }

    fn request(&mut self, package: &str, name: &str, function: &Function) -> Vec<Field> {
        let mut message = MessageBuilder::new(name, &Default::default());
        let item = function.input.as_ref().map(|_| "item");
        let params = function.params.iter().map(|param| param.name.as_str());
        let mut names = naming::fields(params.chain(item)).into_iter();
        let mut fields = Vec::new();
        for ((param, name), number) in function.params.iter().zip(names.by_ref()).zip(1..) {
            let (plan, proto) = self.field(package, number, name, &param.ty);
            message.field(proto, &param.docs);
            fields.push(plan);
        }
        // An option, whatever the type: the first message may carry the parameters only.
        if let (Some(item), Some(name)) = (&function.input, names.next()) {
            let number = u32::try_from(fields.len() + 1).unwrap_or(u32::MAX);
            let (plan, proto) = self.field(package, number, name, &Type::Option(Box::new(item.clone())));
            message.field(proto, &Default::default());
            fields.push(plan);
        }
        self.file(package).calls.push(message.finish());
        fields
    }

    fn response(&mut self, package: &str, name: &str, function: &Function) -> (Option<Field>, bool) {
        let mut message = MessageBuilder::new(name, &Default::default());
        let (ty, streams) = match &function.output {
            Output::Nothing => (None, false),
            Output::Value(ty) => (Some(ty), false),
            Output::Stream(ty) => (Some(ty), true),
        };
        let result = ty.map(|ty| {
            let (plan, proto) = self.field(package, 1, plain("result"), ty);
            message.field(proto, &Default::default());
            plan
        });
        self.file(package).calls.push(message.finish());
        (result, streams)
    }

    /// The message of a declared error: itself if it is one, or else one that holds it.
    fn error(&mut self, package: &str, ty: &Type) -> MessageId {
        if !matches!(ty, Type::List(_) | Type::FixedList(..) | Type::Map(..) | Type::Option(_))
            && let Single::Message(id) = self.single(package, ty).0
        {
            return id;
        }
        let key = (package.to_owned(), ty.clone());
        if let Some(id) = self.errors.get(&key) {
            return *id;
        }
        let name = format!("ErrorOf{}", self.describe(ty));
        let id = self.wrapper_message(package, name, "error", ty);
        self.errors.insert(key, id);
        id
    }

    /// A field, in a place that can hold anything.
    fn field(&mut self, package: &str, number: u32, name: FieldName, ty: &Type) -> (Field, Entry) {
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
    fn single(&mut self, package: &str, ty: &Type) -> (Single, Wire, Option<String>) {
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

    fn wrapper(&mut self, package: &str, ty: &Type) -> MessageId {
        let key = (package.to_owned(), ty.clone());
        if let Some(id) = self.wrappers.get(&key) {
            return *id;
        }
        let name = self.describe(ty);
        let id = match ty {
            Type::Tuple(types) => {
                let (name, mut message) = self.named_message(package, name);
                let fields = types.iter().zip(1..).map(|(ty, number)| {
                    let (plan, proto) = self.field(package, number, plain(&format!("f{}", number - 1)), ty);
                    message.field(proto, &Default::default());
                    plan
                });
                let shape = Shape::Tuple(fields.collect());
                self.message_id(package, message, name, shape)
            }
            Type::Result(ok, error) => {
                let (name, mut message) = self.named_message(package, name);
                let none = Default::default();
                let types = [("ok", ok.as_deref(), &none), ("error", error.as_deref(), &none)];
                let mut cases = self.cases(package, &mut message, &types).into_iter();
                let mut next = || cases.next().unwrap_or(Case { name: String::new(), payload: None });
                let shape = Shape::Result([next(), next()]);
                self.message_id(package, message, name, shape)
            }
            Type::Map(..) => self.wrapper_message(package, name, "entries", ty),
            Type::Option(_) => self.wrapper_message(package, name, "value", ty),
            _ => self.wrapper_message(package, name, "items", ty),
        };
        self.wrappers.insert(key, id);
        id
    }

    /// A message with one field.
    fn wrapper_message(&mut self, package: &str, name: String, field: &str, ty: &Type) -> MessageId {
        let (name, mut message) = self.named_message(package, name);
        let (plan, proto) = self.field(package, 1, plain(field), ty);
        message.field(proto, &Default::default());
        self.message_id(package, message, name, Shape::Wrapper(plan))
    }

    fn named_message(&mut self, package: &str, name: String) -> (String, MessageBuilder) {
        let name = self.file(package).scope().take([name]);
        (format!("{package}.{name}"), MessageBuilder::new(&name, &Default::default()))
    }

    fn cases(
        &mut self,
        package: &str,
        message: &mut MessageBuilder,
        types: &[(&str, Option<&Type>, &wharf_call::Docs)],
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

    /// What `ty` is called in the name of a message that holds it.
    fn describe(&self, ty: &Type) -> String {
        let both = |types: &[&Type], between: &str| {
            types.iter().map(|ty| self.describe(ty)).collect::<Vec<_>>().join(between)
        };
        match ty {
            Type::Bytes(None) => "Bytes".to_owned(),
            Type::Bytes(Some(length)) => format!("{length}Bytes"),
            Type::List(item) => format!("ListOf{}", self.describe(item)),
            Type::FixedList(item, length) => format!("ListOf{length}{}", self.describe(item)),
            Type::Map(key, value) => format!("MapOf{}", both(&[key, value], "To")),
            Type::Tuple(types) if types.is_empty() => "TupleOfNothing".to_owned(),
            Type::Tuple(types) => format!("TupleOf{}", both(&types.iter().collect::<Vec<_>>(), "And")),
            Type::Option(inner) => format!("OptionOf{}", self.describe(inner)),
            Type::Result(ok, error) => {
                let part =
                    |ty: &Option<Box<Type>>| ty.as_ref().map_or("Nothing".into(), |ty| self.describe(ty));
                format!("ResultOf{}Or{}", part(ok), part(error))
            }
            Type::Named(id) => self.type_names[id.0 as usize].0.clone(),
            scalar => format!("{scalar:?}"),
        }
    }

    fn message(
        &mut self,
        package: &str,
        message: MessageBuilder,
        full: String,
        shape: Shape,
        wrapper: bool,
    ) -> Single {
        let file = self.file(package);
        let list = if wrapper { &mut file.wrappers } else { &mut file.types };
        list.push(message.finish());
        let id = MessageId(u32::try_from(self.messages.len()).unwrap_or(u32::MAX));
        self.messages.push(Message { name: full, shape });
        Single::Message(id)
    }

    fn message_id(
        &mut self,
        package: &str,
        message: MessageBuilder,
        full: String,
        shape: Shape,
    ) -> MessageId {
        self.message(package, message, full, shape, true);
        MessageId(u32::try_from(self.messages.len() - 1).unwrap_or(u32::MAX))
    }

    fn file(&mut self, package: &str) -> &mut File {
        self.files.entry(package.to_owned()).or_insert_with(|| File::new(package.to_owned()))
    }

    fn import(&mut self, into: &str, package: &str) {
        if into != package {
            let name = File::name_of(package);
            self.file(into).imports.insert(name);
        }
    }
}

/// A field of a message with what it needs beside it.
pub(crate) struct Entry {
    pub(crate) field: FieldDescriptorProto,
    /// The message that a map field is a list of.
    pub(crate) nested: Option<prost_types::DescriptorProto>,
}

fn plain(name: &str) -> FieldName {
    FieldName { proto: name.to_owned(), json: name.to_owned() }
}

fn field_proto(number: u32, name: &FieldName, wire: Wire, full: Option<String>) -> Entry {
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

/// A file after those that it imports.
fn in_order(mut files: Vec<FileDescriptorProto>) -> Result<Vec<FileDescriptorProto>, Vec<String>> {
    let mut ordered: Vec<FileDescriptorProto> = Vec::with_capacity(files.len());
    while !files.is_empty() {
        let done = |name: &String| name == EMPTY_FILE || ordered.iter().any(|file| file.name() == name);
        let Some(next) = files.iter().position(|file| file.dependency.iter().all(done)) else {
            let packages: Vec<_> = files.iter().map(FileDescriptorProto::package).collect();
            return Err(vec![format!(
                "the packages {} use types of each other, and protobuf files cannot import in circles. Move the types that \
                 they share into one of them.",
                packages.join(" and ")
            )]);
        };
        let file = files.remove(next);
        ordered.push(file);
    }
    Ok(ordered)
}
