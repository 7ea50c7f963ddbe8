//! Fields that are loaded by another function, checked when the schema is made.

use wharf_call::{Docs, FunctionId, Output, Type, TypeId, TypeKind};
use wharf_doors::names::lower_camel;

use crate::config::{LinkSpec, LoadSpec};
use crate::model::{Model, Plugin};
use crate::types::{DefKind, Definer, FieldDef, nullable};
use async_graphql::dynamic::TypeRef;

/// A checked [`LinkSpec`].
pub(crate) struct Link {
    /// The position of the key among the fields of its record.
    pub(crate) key: usize,
    /// Whether the field has many keys, and so the new one many values.
    pub(crate) many: bool,
    /// The position of the loading plugin in [`Model::plugins`].
    pub(crate) plugin: usize,
    pub(crate) function: FunctionId,
    /// What is loaded for one key.
    pub(crate) target: Type,
}

impl Model {
    /// Adds the fields of `specs`. The errors are sentences for whoever wrote the manifest.
    pub(crate) fn link(&mut self, specs: &[LinkSpec]) -> Result<(), Vec<String>> {
        let errors: Vec<String> = specs
            .iter()
            .filter_map(|spec| self.add_link(spec).err().map(|error| format!("link {spec}: {error}")))
            .collect();
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    fn add_link(&mut self, spec: &LinkSpec) -> Result<(), String> {
        let source = &self.plugins[self.plugin(&spec.plugin)?];
        let (record, fields) = record(source, &spec.type_name)?;
        let key = fields
            .iter()
            .position(|field| field.name == spec.field)
            .ok_or_else(|| format!("\"{}\" has no field \"{}\".", spec.type_name, spec.field))?;
        let of = &fields[key].ty;
        let (key_type, many) = match of {
            Type::Option(inner) => (&**inner, false),
            Type::List(inner) => (&**inner, true),
            ty => (ty, false),
        };
        let object = source.names.named(record).name.output.clone();

        let at = self.plugin(&spec.load.plugin)?;
        let loader = &self.plugins[at];
        let LoadSpec { interface, function, .. } = &spec.load;
        let (id, _, load) = loader
            .schema
            .functions()
            .find(|(_, within, of)| {
                (within.name == *interface || within.full_name() == *interface) && of.name == *function
            })
            .ok_or_else(|| {
                format!("plugin \"{}\" has no function \"{interface}.{function}\".", spec.load.plugin)
            })?;
        let wanted = || {
            format!(
                "\"{interface}.{function}\" must take one list of keys and return list<option<T>>, a value for each key."
            )
        };
        let (Output::Value(Type::List(value)), [keys], None) =
            (&load.output, load.params.as_slice(), &load.input)
        else {
            return Err(wanted());
        };
        let (Type::Option(target), Type::List(takes)) = (&**value, &keys.ty) else { return Err(wanted()) };
        if !is_key(loader, takes) {
            return Err("a key must be a string, an integer or an enum.".to_owned());
        }
        if !same_key((source, key_type), (loader, takes)) {
            return Err(format!(
                "the field \"{}\" is not of the type that \"{interface}.{function}\" takes as a key.",
                spec.field
            ));
        }

        let mut definer = Definer { schema: &loader.schema, names: &loader.names, defs: Default::default() };
        let value = definer.output(&Type::Option(target.clone()));
        let link = Link { key, many, plugin: at, function: id, target: (**target).clone() };
        // The types that it needs are those of a function that is served: they are there.
        let ty = if many { TypeRef::List(Box::new(nullable(value))) } else { nullable(value) };
        let name = lower_camel(&spec.as_name);
        let docs = Docs { text: format!("Loaded by `{}`.", lower_camel(function)), ..Docs::default() };
        let Some(DefKind::Object(fields)) = self.defs.get_mut(&object).map(|def| &mut def.kind) else {
            return Err(format!("no function returns a \"{}\".", spec.type_name));
        };
        if fields.iter().any(|field| field.name == name) {
            return Err(format!("{object} has a field \"{name}\" already: choose another name with `as`."));
        }
        fields.push(FieldDef { name: name.clone(), ty, docs });
        self.linked.insert((object, name), self.links.len());
        self.links.push(link);
        Ok(())
    }

    fn plugin(&self, name: &str) -> Result<usize, String> {
        self.plugins
            .iter()
            .position(|plugin| plugin.service.plugin() == name)
            .ok_or_else(|| format!("there is no plugin \"{name}\" with an interface to serve."))
    }
}

fn record<'a>(plugin: &'a Plugin, name: &str) -> Result<(TypeId, &'a [wharf_call::Field]), String> {
    let mut found = None;
    for (def, at) in plugin.schema.types.iter().zip(0..) {
        if let (true, TypeKind::Record(fields)) = (def.name == name, &def.kind) {
            if found.is_some() {
                return Err(format!("several interfaces have a type \"{name}\"."));
            }
            found = Some((TypeId(at), fields.as_slice()));
        }
    }
    found.ok_or_else(|| format!("plugin \"{}\" has no record \"{name}\".", plugin.service.plugin()))
}

fn is_key(plugin: &Plugin, ty: &Type) -> bool {
    match ty {
        Type::String
        | Type::S8
        | Type::S16
        | Type::S32
        | Type::S64
        | Type::U8
        | Type::U16
        | Type::U32
        | Type::U64 => true,
        Type::Named(id) => matches!(plugin.schema.type_def(*id).kind, TypeKind::Enum(_)),
        _ => false,
    }
}

/// Whether a value of the one is one of the other: the same type, or enums of two plugins with the same cases.
fn same_key((a, a_type): (&Plugin, &Type), (b, b_type): (&Plugin, &Type)) -> bool {
    match (a_type, b_type) {
        (Type::Named(x), Type::Named(y)) => {
            match (&a.schema.type_def(*x).kind, &b.schema.type_def(*y).kind) {
                (TypeKind::Enum(a), TypeKind::Enum(b)) => {
                    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.name == b.name)
                }
                _ => false,
            }
        }
        (a, b) => a == b && !matches!(a, Type::Named(_)),
    }
}
