//! The OpenRPC document (<https://spec.open-rpc.org>, 1.3).

use std::sync::Arc;

use serde_json::{Value as Json, json};
use wharf_call::{Output, Type};

use super::methods::Methods;
use crate::json::Plan;
use crate::json::schema;
use crate::openapi::Components;
use crate::served::Target;

pub(super) fn document(methods: &Methods) -> Json {
    let mut plans: Vec<(&str, &Arc<Plan>)> = Vec::new();
    for (_, target) in &methods.listed {
        if !plans.iter().any(|(_, plan)| Arc::ptr_eq(plan, &target.plan)) {
            plans.push((target.service.plugin(), &target.plan));
        }
    }
    let components = Components::new(plans.clone(), &[]);
    let of =
        |target: &Target| plans.iter().position(|(_, plan)| Arc::ptr_eq(plan, &target.plan)).unwrap_or(0);
    let served = methods.listed.iter().filter(|(_, target)| target.function().input.is_none());
    let all: Vec<_> = served.map(|(name, target)| method(name, target, &components, of(target))).collect();
    let plugins: Vec<_> = plans.iter().map(|(plugin, _)| *plugin).collect();
    json!({
        "openrpc": "1.3.2",
        "info": {"title": if plugins.is_empty() { "API".into() } else { plugins.join(", ") }, "version": "1"},
        "methods": all,
        "components": {"schemas": components.schemas()},
    })
}

fn method(name: &str, target: &Target, components: &Components<'_>, of: usize) -> Json {
    let function = target.function();
    let names = target.plan.params(target.id);
    let params = function.params.iter().enumerate().map(|(at, param)| {
        let mut schema = components.schema(of, &param.ty);
        schema::describe(&mut schema, &param.docs);
        let required = !matches!(param.ty, Type::Option(_));
        json!({"name": names.get(at), "required": required, "schema": schema})
    });
    let result = match &function.output {
        Output::Nothing => json!({"name": "nothing", "schema": {"type": "null"}}),
        Output::Value(ty) => json!({"name": "result", "schema": components.schema(of, ty)}),
        Output::Stream(ty) => json!({
            "name": "stream",
            "description": "Over WebSocket. Items come as `rpc.next`, and `rpc.end` after the last.",
            "schema": {
                "type": "object",
                "properties": {"stream": {"type": "integer", "minimum": 1}},
                "required": ["stream"],
                "additionalProperties": false,
                "x-item": components.schema(of, ty),
            },
        }),
    };
    let mut method = json!({
        "name": name,
        "paramStructure": "either",
        "params": params.collect::<Vec<_>>(),
        "result": result,
        "tags": [{"name": target.path()}],
    });
    let summary = function.docs.summary();
    if !summary.is_empty() {
        method["summary"] = json!(summary);
        method["description"] = json!(function.docs.text);
    }
    if function.docs.deprecated.is_some() || target.interface().docs.deprecated.is_some() {
        method["deprecated"] = json!(true);
    }
    method
}
