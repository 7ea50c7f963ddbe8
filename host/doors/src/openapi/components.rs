//! The named types of several schemas under one set of names.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use serde_json::{Map, Value as Json};
use wharf_call::{Schema, Type, TypeDef, TypeId, TypeKind};

use crate::json::{Plan, schema};
use crate::names::{major, upper_camel};

/// The types of all plugins, each with the shortest name that no other has.
///
/// A type is `User`; where two different ones are called so, both are `AccountsUser` and the like, with the interface, then the
/// package, then its version, then the plugin in front. Types that two plugins have from the same package are one.
pub(crate) struct Components<'a> {
    plans: Vec<(&'a str, &'a Arc<Plan>)>,
    names: Vec<Vec<String>>,
}

impl<'a> Components<'a> {
    /// Of plugins by name. `reserved` are names that no type gets.
    pub(crate) fn new(plans: Vec<(&'a str, &'a Arc<Plan>)>, reserved: &[&str]) -> Self {
        let identities: Vec<Vec<u64>> = plans.iter().map(|(_, plan)| identities(plan.schema())).collect();
        let mut names: Vec<Vec<String>> =
            plans.iter().map(|(_, plan)| vec![String::new(); plan.schema().types.len()]).collect();
        let mut taken: HashMap<String, u64> = reserved.iter().map(|name| ((*name).to_owned(), 0)).collect();
        let mut left: Vec<(usize, usize)> = names
            .iter()
            .enumerate()
            .flat_map(|(of, types)| (0..types.len()).map(move |at| (of, at)))
            .collect();
        for level in 0..=LEVELS {
            let named: Vec<String> = left
                .iter()
                .map(|(of, at)| name(plans[*of].0, &plans[*of].1.schema().types[*at], level))
                .collect();
            let mut groups: HashMap<&str, Vec<u64>> = HashMap::new();
            for (name, (of, at)) in named.iter().zip(&left) {
                groups.entry(name).or_default().push(identities[*of][*at]);
            }
            let mut later = Vec::new();
            for (name, (of, at)) in named.iter().zip(&left) {
                let id = identities[*of][*at];
                let alone = groups[name.as_str()].iter().all(|other| *other == id);
                if alone && taken.get(name).is_none_or(|has| *has == id) {
                    taken.insert(name.clone(), id);
                    names[*of][*at].clone_from(name);
                } else {
                    later.push((*of, *at));
                }
            }
            left = later;
        }
        // Even the longest names are one, such as of `foo-1` and `foo1`.
        for (of, at) in left {
            let mut chosen = name(plans[of].0, &plans[of].1.schema().types[at], LEVELS);
            while taken.insert(chosen.clone(), identities[of][at]).is_some() {
                chosen.push('_');
            }
            names[of][at] = chosen;
        }
        Components { plans, names }
    }

    /// Refers to a type of the plugin that is the `of`th.
    pub(crate) fn reference(&self, of: usize, id: TypeId) -> String {
        format!("#/components/schemas/{}", self.names[of][id.0 as usize])
    }

    /// The schema of any type of the plugin that is the `of`th.
    pub(crate) fn schema(&self, of: usize, ty: &Type) -> Json {
        schema::of(ty, &|id| self.reference(of, id))
    }

    /// Every named type.
    pub(crate) fn schemas(&self) -> Map<String, Json> {
        let mut all = Map::new();
        for (of, (_, plan)) in self.plans.iter().enumerate() {
            for (at, name) in self.names[of].iter().enumerate() {
                if !all.contains_key(name) {
                    let id = TypeId(u32::try_from(at).unwrap_or(u32::MAX));
                    let schema = schema::of_definition(plan, id, &|id| self.reference(of, id));
                    all.insert(name.clone(), schema);
                }
            }
        }
        all
    }
}

const LEVELS: usize = 4;

fn name(plugin: &str, def: &TypeDef, level: usize) -> String {
    let package = &def.package;
    let version = package.version.as_deref().map(|version| format!("V{}", major(version).replace('.', "_")));
    let parts = [
        (4, upper_camel(&plugin.replace('_', "-"))),
        (2, upper_camel(&package.namespace)),
        (2, upper_camel(&package.name)),
        (3, version.unwrap_or_default()),
        (1, upper_camel(&def.interface)),
        (0, upper_camel(&def.name)),
    ];
    parts.iter().filter(|(from, _)| *from <= level).map(|(_, part)| part.as_str()).collect()
}

/// What tells each type from every other: its full name and its structure.
fn identities(schema: &Schema) -> Vec<u64> {
    let mut all: Vec<u64> = Vec::with_capacity(schema.types.len());
    for def in &schema.types {
        let mut hasher = DefaultHasher::new();
        (def.package.to_string(), &def.interface, &def.name).hash(&mut hasher);
        match &def.kind {
            TypeKind::Record(fields) => {
                for field in fields {
                    field.name.hash(&mut hasher);
                    hash(&field.ty, &all, &mut hasher);
                }
            }
            TypeKind::Variant(cases) | TypeKind::Enum(cases) | TypeKind::Flags(cases) => {
                std::mem::discriminant(&def.kind).hash(&mut hasher);
                for case in cases {
                    case.name.hash(&mut hasher);
                    if let Some(ty) = &case.ty {
                        hash(ty, &all, &mut hasher);
                    }
                }
            }
        }
        all.push(hasher.finish());
    }
    all
}

/// Like the type's own hash, but with what stands behind a name in place of its position.
fn hash(ty: &Type, before: &[u64], hasher: &mut DefaultHasher) {
    std::mem::discriminant(ty).hash(hasher);
    match ty {
        Type::Named(id) => before.get(id.0 as usize).hash(hasher),
        Type::List(ty) | Type::Option(ty) => hash(ty, before, hasher),
        Type::FixedList(ty, n) => {
            n.hash(hasher);
            hash(ty, before, hasher);
        }
        Type::Map(key, value) => {
            hash(key, before, hasher);
            hash(value, before, hasher);
        }
        Type::Tuple(types) => types.iter().for_each(|ty| hash(ty, before, hasher)),
        Type::Result(ok, error) => {
            for ty in [ok, error] {
                ty.is_some().hash(hasher);
                if let Some(ty) = ty {
                    hash(ty, before, hasher);
                }
            }
        }
        Type::Bytes(n) => n.hash(hasher),
        _ => {}
    }
}
