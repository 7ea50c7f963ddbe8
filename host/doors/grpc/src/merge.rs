//! One schema out of those of all plugins: a protobuf package has one definition, whoever exports what of it.

use std::collections::HashMap;

use wharf_call::{Case, Field, Function, Interface, Output, Schema, Type, TypeDef, TypeId, TypeKind};
use wharf_doors::names;

/// The most messages within each other that a type may need: what protobuf's own libraries read by default.
const DEPTH_MAX: usize = 100;
/// The most fields of a record, and cases of a variant: protobuf keeps the numbers from 19,000 for itself.
const FIELDS_MAX: usize = 18_998;

/// What several plugins export, with the types that they share once.
pub(crate) struct Merged {
    /// All of it. Its interfaces are in the order of their full names, whatever the order of the plugins.
    pub(crate) schema: Schema,
    /// Where each interface of it comes from.
    pub(crate) origins: Vec<Origin>,
}

/// Where an interface comes from.
#[derive(Clone, Copy)]
pub(crate) struct Origin {
    /// The position of the plugin among those that were merged.
    pub(crate) plugin: usize,
    /// The position of the interface in that plugin's schema.
    pub(crate) interface: u32,
}

/// Merges what the plugins, by name, export.
///
/// # Errors
/// Every conflict: an interface that two of them export, a type that they define differently, a type that protobuf cannot
/// hold.
pub(crate) fn merge(plugins: &[(&str, &Schema)]) -> Result<Merged, Vec<String>> {
    let mut merger = Merger::default();
    for (at, (name, schema)) in plugins.iter().enumerate() {
        let ids: Vec<TypeId> = schema.types.iter().fold(Vec::new(), |mut ids, def| {
            ids.push(merger.type_def(plugins, at, def, &ids));
            ids
        });
        for (interface, position) in schema.interfaces.iter().zip(0..) {
            let interface = interface_with(interface, &ids);
            merger.interface(plugins, at, name, &interface);
            merger.interfaces.push((interface, Origin { plugin: at, interface: position }));
        }
    }
    if !merger.problems.is_empty() {
        return Err(merger.problems);
    }
    merger.interfaces.sort_by_key(|(interface, _)| interface.full_name());
    let (interfaces, origins) = merger.interfaces.into_iter().unzip();
    Ok(Merged { schema: Schema { interfaces, types: merger.types }, origins })
}

#[derive(Default)]
struct Merger {
    types: Vec<TypeDef>,
    /// How many messages are within each other in each of `types`.
    depths: Vec<usize>,
    /// By protobuf package, interface and name, which stay the same across versions that break nothing; with the plugin.
    known: HashMap<(String, String, String), (TypeId, usize)>,
    interfaces: Vec<(Interface, Origin)>,
    /// By protobuf package and name, with the plugin.
    exported: HashMap<(String, String), usize>,
    problems: Vec<String>,
}

impl Merger {
    fn type_def(
        &mut self,
        plugins: &[(&str, &Schema)],
        plugin: usize,
        def: &TypeDef,
        ids: &[TypeId],
    ) -> TypeId {
        let kind = kind_with(&def.kind, ids);
        let name = plugins[plugin].0;
        let shown = format!("{}/{}.{}", def.package, def.interface, def.name);
        let key = (names::proto_package(&def.package), def.interface.clone(), def.name.clone());
        if let Some((id, other)) = self.known.get(&key) {
            if !same(&self.types[id.0 as usize].kind, &kind) {
                let other = plugins[*other].0;
                self.problems.push(format!(
                    "plugins {other:?} and {name:?} define the type {shown} differently, and gRPC has one message for it. \
                     Build both against the same WIT, or give the changed package a new version."
                ));
            }
            return *id;
        }
        let depth = 1 + types_of(&kind).map(|ty| self.depth(ty)).max().unwrap_or(0);
        if depth > DEPTH_MAX {
            self.problems.push(format!(
                "plugin {name:?}: the type {shown} has more than {DEPTH_MAX} types within each other, which protobuf does \
                 not read. Make it flatter."
            ));
        }
        let fields = match &kind {
            TypeKind::Record(fields) => fields.len(),
            TypeKind::Variant(cases) | TypeKind::Enum(cases) | TypeKind::Flags(cases) => cases.len(),
        };
        if fields > FIELDS_MAX {
            self.problems.push(format!(
                "plugin {name:?}: the type {shown} has {fields} fields, and protobuf has numbers for {FIELDS_MAX}."
            ));
        }
        let id = TypeId(u32::try_from(self.types.len()).unwrap_or(u32::MAX));
        self.known.insert(key, (id, plugin));
        self.depths.push(depth.min(DEPTH_MAX));
        self.types.push(TypeDef { kind, ..def.clone() });
        id
    }

    fn interface(&mut self, plugins: &[(&str, &Schema)], plugin: usize, name: &str, interface: &Interface) {
        let full = interface.full_name();
        let key = (names::proto_package(&interface.package), interface.name.clone());
        match self.exported.insert(key, plugin) {
            Some(other) if other == plugin => self.problems.push(format!(
                "plugin {name:?} exports {full} and another version of it, and both have the same name in gRPC. Export one."
            )),
            Some(other) => self.problems.push(format!(
                "plugins {:?} and {name:?} both export {full}, and a gRPC service has one implementation. Serve one of them, \
                 or give one a package of its own.",
                plugins[other].0
            )),
            None => {}
        }
        for function in &interface.functions {
            let deep = types_of_function(function).any(|ty| self.depth(ty) >= DEPTH_MAX);
            if deep || function.params.len() > FIELDS_MAX {
                self.problems.push(format!(
                    "plugin {name:?}: the function {full}.{} has more than {DEPTH_MAX} types within each other or more than \
                     {FIELDS_MAX} parameters, which protobuf cannot hold.",
                    function.name
                ));
            }
        }
    }

    /// How many messages are within each other in `ty`, at most.
    fn depth(&self, ty: &Type) -> usize {
        match ty {
            Type::Named(id) => self.depths[id.0 as usize],
            Type::List(item) | Type::FixedList(item, _) | Type::Option(item) => 1 + self.depth(item),
            Type::Map(_, value) => 2 + self.depth(value),
            Type::Tuple(types) => 1 + types.iter().map(|ty| self.depth(ty)).max().unwrap_or(0),
            Type::Result(ok, error) => {
                1 + [ok, error].into_iter().flatten().map(|ty| self.depth(ty)).max().unwrap_or(0)
            }
            _ => 0,
        }
    }
}

/// Whether two definitions are of the same type; what their docs say does not matter.
fn same(one: &TypeKind, other: &TypeKind) -> bool {
    let fields = |a: &[Field], b: &[Field]| {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.name == b.name && a.ty == b.ty)
    };
    let cases = |a: &[Case], b: &[Case]| {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.name == b.name && a.ty == b.ty)
    };
    match (one, other) {
        (TypeKind::Record(a), TypeKind::Record(b)) => fields(a, b),
        (TypeKind::Variant(a), TypeKind::Variant(b))
        | (TypeKind::Enum(a), TypeKind::Enum(b))
        | (TypeKind::Flags(a), TypeKind::Flags(b)) => cases(a, b),
        _ => false,
    }
}

fn types_of(kind: &TypeKind) -> Box<dyn Iterator<Item = &Type> + '_> {
    match kind {
        TypeKind::Record(fields) => Box::new(fields.iter().map(|field| &field.ty)),
        TypeKind::Variant(cases) | TypeKind::Enum(cases) | TypeKind::Flags(cases) => {
            Box::new(cases.iter().filter_map(|case| case.ty.as_ref()))
        }
    }
}

fn types_of_function(function: &Function) -> impl Iterator<Item = &Type> {
    let output = match &function.output {
        Output::Nothing => None,
        Output::Value(ty) | Output::Stream(ty) => Some(ty),
    };
    let params = function.params.iter().map(|param| &param.ty);
    params.chain(&function.input).chain(output).chain(&function.error)
}

/// `ty` with the ids of the merged schema.
fn with(ty: &Type, ids: &[TypeId]) -> Type {
    let boxed = |ty: &Type| Box::new(with(ty, ids));
    match ty {
        Type::Named(id) => Type::Named(ids[id.0 as usize]),
        Type::List(item) => Type::List(boxed(item)),
        Type::FixedList(item, length) => Type::FixedList(boxed(item), *length),
        Type::Map(key, value) => Type::Map(boxed(key), boxed(value)),
        Type::Tuple(types) => Type::Tuple(types.iter().map(|ty| with(ty, ids)).collect()),
        Type::Option(inner) => Type::Option(boxed(inner)),
        Type::Result(ok, error) => Type::Result(ok.as_deref().map(boxed), error.as_deref().map(boxed)),
        plain => plain.clone(),
    }
}

fn fields_with(fields: &[Field], ids: &[TypeId]) -> Vec<Field> {
    fields.iter().map(|field| Field { ty: with(&field.ty, ids), ..field.clone() }).collect()
}

fn cases_with(cases: &[Case], ids: &[TypeId]) -> Vec<Case> {
    cases.iter().map(|case| Case { ty: case.ty.as_ref().map(|ty| with(ty, ids)), ..case.clone() }).collect()
}

fn kind_with(kind: &TypeKind, ids: &[TypeId]) -> TypeKind {
    match kind {
        TypeKind::Record(fields) => TypeKind::Record(fields_with(fields, ids)),
        TypeKind::Variant(cases) => TypeKind::Variant(cases_with(cases, ids)),
        TypeKind::Enum(cases) => TypeKind::Enum(cases.clone()),
        TypeKind::Flags(flags) => TypeKind::Flags(flags.clone()),
    }
}

fn interface_with(interface: &Interface, ids: &[TypeId]) -> Interface {
    let functions = interface.functions.iter().map(|function| Function {
        params: fields_with(&function.params, ids),
        input: function.input.as_ref().map(|ty| with(ty, ids)),
        output: match &function.output {
            Output::Nothing => Output::Nothing,
            Output::Value(ty) => Output::Value(with(ty, ids)),
            Output::Stream(ty) => Output::Stream(with(ty, ids)),
        },
        error: function.error.as_ref().map(|ty| with(ty, ids)),
        ..function.clone()
    });
    Interface { functions: functions.collect(), ..interface.clone() }
}
