//! One schema of all plugins: what a field at the root calls, and what of a type is loaded by another function.

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::dynamic::TypeRef;
use indexmap::IndexMap;
use wharf_call::{FunctionId, Output, Schema, Service};
use wharf_doors::json::Plan;
use wharf_doors::names::{distinct, lower_camel, upper_camel};

use crate::config::{GraphqlConfig, PluginOptions};
use crate::links::Link;
use crate::naming::Names;
use crate::types::{Def, Definer, FieldDef, nullable};

/// A plugin as this door sees it.
pub(crate) struct Plugin {
    pub(crate) service: Arc<dyn Service>,
    pub(crate) schema: Arc<Schema>,
    pub(crate) names: Names,
    /// How the other doors write its values: its errors are written so here, too.
    pub(crate) json: Plan,
}

/// Everything that can be asked for.
pub(crate) struct Model {
    pub(crate) plugins: Vec<Plugin>,
    pub(crate) defs: IndexMap<String, Def>,
    pub(crate) queries: IndexMap<String, Root>,
    pub(crate) mutations: IndexMap<String, Root>,
    pub(crate) subscriptions: IndexMap<String, Root>,
    pub(crate) links: Vec<Link>,
    /// By object type and field.
    pub(crate) linked: HashMap<(String, String), usize>,
}

/// A field at the root: a function.
#[derive(Clone, Debug)]
pub(crate) struct Root {
    /// The position in [`Model::plugins`].
    pub(crate) plugin: usize,
    pub(crate) function: FunctionId,
    pub(crate) args: Vec<FieldDef>,
    pub(crate) ty: TypeRef,
}

/// Which root a function belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RootKind {
    Query,
    Mutation,
    Subscription,
}

impl Model {
    /// Merges the plugins' types and functions. The errors are sentences for whoever wrote the manifest.
    pub(crate) fn new(services: &[Arc<dyn Service>], config: &GraphqlConfig) -> Result<Self, Vec<String>> {
        let mut errors = Vec::new();
        for name in config.plugins.keys() {
            if !services.iter().any(|service| service.plugin() == name) {
                errors.push(format!("[plugin.{name}]: plugin \"{name}\" exports no interface to serve."));
            }
        }
        let mut model = Model {
            plugins: Vec::new(),
            defs: IndexMap::new(),
            queries: IndexMap::new(),
            mutations: IndexMap::new(),
            subscriptions: IndexMap::new(),
            links: Vec::new(),
            linked: HashMap::new(),
        };
        let mut owners: HashMap<String, String> = HashMap::new();
        let default = PluginOptions::default();
        for service in services {
            let options = config.plugins.get(service.plugin()).unwrap_or(&default);
            model.add(service, options, &mut owners, &mut errors);
        }
        if errors.is_empty() { Ok(model) } else { Err(errors) }
    }

    /// The fields of one root.
    pub(crate) fn roots(&self, kind: RootKind) -> &IndexMap<String, Root> {
        match kind {
            RootKind::Query => &self.queries,
            RootKind::Mutation => &self.mutations,
            RootKind::Subscription => &self.subscriptions,
        }
    }

    fn add(
        &mut self,
        service: &Arc<dyn Service>,
        options: &PluginOptions,
        owners: &mut HashMap<String, String>,
        errors: &mut Vec<String>,
    ) {
        let plugin = service.plugin();
        let prefix = options.prefix.as_deref().unwrap_or_default();
        if !prefix.chars().all(|c| c.is_ascii_alphanumeric())
            || !prefix.chars().next().is_none_or(|c| c.is_ascii_uppercase())
        {
            errors.push(format!(
                "[plugin.{plugin}] graphql_prefix = \"{prefix}\": it must be letters and digits, the first one a \
                 capital: write prefix = \"Shop\"."
            ));
            return;
        }
        let schema = service.schema().clone();
        let names = Names::new(&schema, prefix);
        let queries = self.queries_of(plugin, &schema, options, errors);
        let mut definer = Definer { schema: &schema, names: &names, defs: IndexMap::new() };
        let mut roots = Vec::new();
        for ((function, _, of), name) in schema.functions().zip(root_names(&schema, prefix)) {
            if of.input.is_some() {
                // The caller would stream, which GraphQL cannot; MAPPING.md says so.
                continue;
            }
            let members = distinct(of.params.iter().map(|param| param.name.as_str()), lower_camel);
            let args = of.params.iter().zip(members).map(|(param, name)| FieldDef {
                name,
                ty: definer.input(&param.ty),
                docs: param.docs.clone(),
            });
            let args = args.collect();
            let (ty, streams) = match &of.output {
                Output::Nothing => (TypeRef::named_nn(TypeRef::BOOLEAN), false),
                Output::Value(ty) => (definer.output(ty), false),
                Output::Stream(ty) => (definer.output(ty), true),
            };
            // What declares that it may fail must not take the fields beside it down with it.
            let ty = if of.error.is_some() && !streams { nullable(ty) } else { ty };
            let kind = match streams {
                true => RootKind::Subscription,
                false if of.is_query() || queries.contains(&function) => RootKind::Query,
                false => RootKind::Mutation,
            };
            roots.push((kind, name, Root { plugin: self.plugins.len(), function, args, ty }));
        }
        let defs = definer.defs;
        for (name, def) in defs {
            match self.defs.get(&name) {
                Some(other) if other.same(&def) => {}
                Some(_) => errors.push(conflict("types", &name, &owners[&name], plugin)),
                None => {
                    owners.insert(name.clone(), plugin.to_owned());
                    self.defs.insert(name, def);
                }
            }
        }
        for (kind, name, root) in roots {
            let key = format!("{kind:?}.{name}");
            if let Some(owner) = owners.get(&key) {
                errors.push(conflict("fields", &key, owner, plugin));
                continue;
            }
            owners.insert(key, plugin.to_owned());
            let into = match kind {
                RootKind::Query => &mut self.queries,
                RootKind::Mutation => &mut self.mutations,
                RootKind::Subscription => &mut self.subscriptions,
            };
            into.insert(name, root);
        }
        let json = Plan::new(&schema);
        self.plugins.push(Plugin { service: service.clone(), schema, names, json });
    }

    fn queries_of(
        &self,
        plugin: &str,
        schema: &Schema,
        options: &PluginOptions,
        errors: &mut Vec<String>,
    ) -> Vec<FunctionId> {
        let mut queries = Vec::new();
        for wanted in &options.queries {
            let found: Vec<_> = schema
                .functions()
                .filter(|(_, interface, function)| match wanted.rsplit_once('.') {
                    Some((within, name)) => {
                        function.name == name && (interface.name == within || interface.full_name() == within)
                    }
                    None => function.name == *wanted,
                })
                .collect();
            match found.as_slice() {
                [(id, _, function)] if !matches!(function.output, Output::Stream(_)) => queries.push(*id),
                [_] => errors.push(format!(
                    "[plugin.{plugin}] queries: \"{wanted}\" returns a stream, which is a subscription: leave it \
                     out."
                )),
                [] => {
                    let known: Vec<_> = schema
                        .functions()
                        .map(|(_, interface, function)| format!("{}.{}", interface.name, function.name))
                        .collect();
                    errors.push(format!(
                        "[plugin.{plugin}] queries: there is no function \"{wanted}\"; there are {}.",
                        known.join(", ")
                    ));
                }
                [(_, interface, function), ..] => errors.push(format!(
                    "[plugin.{plugin}] queries: several interfaces have \"{wanted}\": write \"{}.{}\".",
                    interface.name, function.name
                )),
            }
        }
        queries
    }
}

/// The names of all functions of a plugin at the root: with the interface before them where two interfaces have one.
fn root_names(schema: &Schema, prefix: &str) -> Vec<String> {
    let mut count: HashMap<String, usize> = HashMap::new();
    for (_, _, function) in schema.functions() {
        *count.entry(lower_camel(&function.name)).or_default() += 1;
    }
    let wanted: Vec<String> = schema
        .functions()
        .map(|(_, interface, function)| match count[&lower_camel(&function.name)] {
            1 => function.name.clone(),
            _ => format!("{}-{}", interface.name, function.name),
        })
        .collect();
    distinct(wanted.iter().map(String::as_str), |name| {
        if prefix.is_empty() {
            return lower_camel(name);
        }
        let mut chars = prefix.chars();
        let first = chars.next().map(|first| first.to_ascii_lowercase());
        format!("{}{}{}", first.map(String::from).unwrap_or_default(), chars.as_str(), upper_camel(name))
    })
}

fn conflict(what: &str, name: &str, first: &str, second: &str) -> String {
    let prefix = upper_camel(second);
    format!(
        "plugins \"{first}\" and \"{second}\" both have {what} of GraphQL that are called {name}, and they are not the \
         same. Write [plugin.{second}] graphql_prefix = \"{prefix}\"."
    )
}
