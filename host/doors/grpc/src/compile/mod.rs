//! From a schema to descriptors and a plan, in one walk, so that they cannot disagree.

mod fields;
mod wrappers;

use std::collections::{BTreeMap, HashMap};

use prost_types::FileDescriptorProto;
use prost_types::field_descriptor_proto::Type as Wire;
use wharf_call::{Function, Output, Schema, Type, TypeDef, TypeKind};
use wharf_doors::names;

pub(crate) use self::fields::Entry;
use self::fields::{field_proto, plain};
use crate::file::{Documented, File, MessageBuilder, enum_proto};
use crate::naming::{self, Scope};
use crate::plan::{Field, Message, MessageId, Method, Plan, Scalar, Shape, Single};

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
