//! The OpenAPI 3.1 document of everything that the REST door serves, and Swagger UI to read it with.
//!
//! `GET /openapi.json` has the document, made of the schemas of the plugins that serve now; it has a strong `etag`. `GET /docs/` is
//! Swagger UI, out of the binary. Descriptions are the doc comments of the WIT; examples are made of the types, and are valid.

mod components;
mod operation;
mod pages;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use serde_json::{Map, Value as Json, json};
use wharf_call::{FunctionId, Kind, Schema};

pub(crate) use components::Components;
pub(crate) use pages::Pages;
pub use pages::{DOCUMENT, UI};

use crate::json::Plan;
use crate::names::path_package;
use crate::rest::binding::Bound;
use crate::rest::{Operation, RPC};
use operation::{Described, Place};

/// The document of schemas, by the names of their plugins, without routes of a manifest.
pub fn of_schemas(schemas: &[(String, Arc<Schema>)]) -> Json {
    let plans: Vec<_> =
        schemas.iter().map(|(plugin, schema)| (plugin.as_str(), Arc::new(Plan::new(schema)))).collect();
    let mut entries = Vec::new();
    for (of, (_, plan)) in plans.iter().enumerate() {
        entries.extend(plan.schema().functions().map(|(id, _, function)| {
            let get = function.is_query() && function.input.is_none();
            Entry { of, id, place: Place::Rpc { get } }
        }));
    }
    let plans: Vec<_> = plans.iter().map(|(plugin, plan)| (*plugin, plan)).collect();
    assemble(plans, &entries)
}

/// The document of what a door serves. Functions under their own names are in it only with `rpc`.
pub(crate) fn document(operations: &[Arc<Operation>], bindings: &[Arc<Bound>], rpc: bool) -> Json {
    let operations = if rpc { operations } else { &[] };
    let mut plans: Vec<(&str, &Arc<Plan>)> = Vec::new();
    let targets = operations.iter().map(|operation| &operation.target);
    for target in targets.chain(bindings.iter().map(|bound| &bound.target)) {
        if !plans.iter().any(|(_, plan)| Arc::ptr_eq(plan, &target.plan)) {
            plans.push((target.service.plugin(), &target.plan));
        }
    }
    let of = |plan: &Arc<Plan>| plans.iter().position(|(_, has)| Arc::ptr_eq(has, plan)).unwrap_or_default();
    let mut entries: Vec<Entry<'_>> = bindings
        .iter()
        .map(|bound| Entry { of: of(&bound.target.plan), id: bound.target.id, place: Place::Route(bound) })
        .collect();
    entries.extend(operations.iter().map(|operation| Entry {
        of: of(&operation.target.plan),
        id: operation.target.id,
        place: Place::Rpc { get: operation.answers_get },
    }));
    assemble(plans, &entries)
}

struct Entry<'a> {
    of: usize,
    id: FunctionId,
    place: Place<'a>,
}

fn assemble(plans: Vec<(&str, &Arc<Plan>)>, entries: &[Entry<'_>]) -> Json {
    let components = Components::new(plans.clone(), &["Problem"]);
    let mut paths: Map<String, Json> = Map::new();
    let mut tags: BTreeMap<String, String> = BTreeMap::new();
    let mut versions = HashSet::new();
    let mut ids = HashSet::new();
    for entry in entries {
        let plan = plans[entry.of].1;
        let (interface, function) = plan.schema().function(entry.id);
        let tag = format!("{}/{}", path_package(&interface.package), interface.name);
        let described = Described {
            components: &components,
            of: entry.of,
            plan,
            id: entry.id,
            interface,
            function,
            tag: &tag,
        };
        let path = match &entry.place {
            Place::Rpc { .. } => format!("{RPC}{tag}/{}", function.name),
            Place::Route(bound) => bound.path.replace("{*", "{"),
        };
        let item = paths.entry(path).or_insert_with(|| json!({}));
        for (method, mut operation) in described.operations(&entry.place) {
            let mut id = operation["operationId"].as_str().unwrap_or_default().to_owned();
            while !ids.insert(id.clone()) {
                id.push('_');
            }
            operation["operationId"] = json!(id);
            item[method] = operation;
        }
        tags.insert(tag, interface.docs.text.clone());
        versions.insert(interface.package.version.clone());
    }
    let mut schemas = components.schemas();
    schemas.insert("Problem".into(), problem());
    let tags = tags.into_iter().map(|(name, text)| match text.is_empty() {
        true => json!({"name": name}),
        false => json!({"name": name, "description": text}),
    });
    let plugins: Vec<_> = plans.iter().map(|(plugin, _)| *plugin).collect();
    let version = match (versions.len(), versions.into_iter().next().flatten()) {
        (1, Some(version)) => version,
        _ => "1".into(),
    };
    json!({
        "openapi": "3.1.0",
        "info": {"title": if plugins.is_empty() { "API".into() } else { plugins.join(", ") }, "version": version},
        "servers": [{"url": "/"}],
        "tags": tags.collect::<Vec<_>>(),
        "paths": paths,
        "components": {"schemas": schemas, "responses": responses()},
    })
}

/// The document of a failure (RFC 9457).
fn problem() -> Json {
    json!({
        "type": "object",
        "description": "What went wrong (RFC 9457).",
        "properties": {
            "type": {"type": "string", "description": "A name for the kind of failure: urn:wharf:failure:KIND."},
            "title": {"type": "string", "description": "The kind in words."},
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": {"type": "string", "description": "What is wrong with this request."},
            "kind": {"type": "string", "description": "The kind, or the plugin's own."},
            "request_id": {"type": "string", "description": "What to ask the operator about."},
        },
        "required": ["type", "title", "status", "detail", "kind", "request_id"],
    })
}

/// The failures that any function can have, by name. Every other status has the same document: `default`.
pub(crate) const FAILURES: [(&str, Kind); 13] = [
    ("BadRequest", Kind::BadRequest),
    ("NotFound", Kind::NotFound),
    ("MethodNotAllowed", Kind::MethodNotAllowed),
    ("NotAcceptable", Kind::NotAcceptable),
    ("RequestTimeout", Kind::RequestTimeout),
    ("PayloadTooLarge", Kind::PayloadTooLarge),
    ("UnsupportedMediaType", Kind::UnsupportedMediaType),
    ("Unprocessable", Kind::Unprocessable),
    ("RateLimited", Kind::RateLimited),
    ("Internal", Kind::Internal),
    ("BadGateway", Kind::BadGateway),
    ("Unavailable", Kind::Unavailable),
    ("Timeout", Kind::Timeout),
];

fn responses() -> Json {
    let content = json!({"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}});
    let mut all: Map<String, Json> = FAILURES
        .iter()
        .map(|(name, kind)| ((*name).into(), json!({"description": kind.title(), "content": content})))
        .collect();
    all.insert("Failure".into(), json!({"description": "Any other failure", "content": content}));
    Json::Object(all)
}

#[cfg(test)]
mod tests;
