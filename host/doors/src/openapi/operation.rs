//! One function in the document.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value as Json, json};
use wharf_call::{Function, FunctionId, Interface, Output, Type, TypeKind, Value};

use super::{Components, FAILURES};
use crate::json::{Plan, encode, example, example_args, is_textual, may_be_absent, schema};
use crate::names::{lower_camel, upper_camel};
use crate::rest::binding::{Bound, Source};

/// Where a function is served.
pub(super) enum Place<'a> {
    /// Under its own name; with GET, too.
    Rpc { get: bool },
    /// Under a route of the manifest.
    Route(&'a Bound),
}

pub(super) struct Described<'a> {
    pub(super) components: &'a Components<'a>,
    pub(super) of: usize,
    pub(super) plan: &'a Arc<Plan>,
    pub(super) id: FunctionId,
    pub(super) interface: &'a Interface,
    pub(super) function: &'a Function,
    pub(super) tag: &'a str,
}

impl Described<'_> {
    /// The operations, by method.
    pub(super) fn operations(&self, place: &Place<'_>) -> Vec<(String, Json)> {
        match place {
            Place::Rpc { get } => {
                let mut post = self.common("", None);
                if let Some(body) = self.whole_body() {
                    post["requestBody"] = body;
                }
                let mut all = vec![("post".to_owned(), post)];
                if *get {
                    let mut get = self.common("ByQuery", None);
                    let params = (0..self.function.params.len()).map(|at| self.query(at, self.name(at)));
                    get["parameters"] = json!(params.collect::<Vec<_>>());
                    all.push(("get".to_owned(), get));
                }
                all
            }
            Place::Route(bound) => {
                let mut operation = self.common("", bound.status.map(|status| status.as_u16()));
                let parameters: Vec<_> = bound
                    .sources
                    .iter()
                    .enumerate()
                    .filter_map(|(at, source)| self.parameter(at, source))
                    .collect();
                if !parameters.is_empty() {
                    operation["parameters"] = json!(parameters);
                }
                if let Some(body) = self.body_of(bound) {
                    operation["requestBody"] = body;
                }
                let methods: Vec<String> =
                    bound.methods.iter().map(|method| method.as_str().to_ascii_lowercase()).collect();
                let methods = match methods.is_empty() {
                    true => vec![if bound.has_body() { "post".into() } else { "get".into() }],
                    false => methods,
                };
                methods.into_iter().map(|method| (method, operation.clone())).collect()
            }
        }
    }

    fn name(&self, at: usize) -> &str {
        self.plan.params(self.id).get(at)
    }

    fn ty(&self, at: usize) -> &Type {
        &self.function.params[at].ty
    }

    fn schema(&self, ty: &Type) -> Json {
        self.components.schema(self.of, ty)
    }

    fn common(&self, suffix: &str, status: Option<u16>) -> Json {
        let docs = &self.function.docs;
        let id = format!("{}{}{suffix}", lower_camel(&self.interface.name), upper_camel(&self.function.name));
        let mut operation = json!({"operationId": id, "tags": [self.tag]});
        let summary = docs.summary();
        if !summary.is_empty() {
            operation["summary"] = json!(summary);
            operation["description"] = json!(docs.text);
        }
        if docs.deprecated.is_some() || self.interface.docs.deprecated.is_some() {
            operation["deprecated"] = json!(true);
        }
        operation["responses"] = self.responses(status);
        operation
    }

    fn responses(&self, status: Option<u16>) -> Json {
        let mut all: BTreeMap<String, Json> = FAILURES
            .iter()
            .map(|(name, kind)| {
                (kind.status().to_string(), json!({"$ref": format!("#/components/responses/{name}")}))
            })
            .collect();
        for (status, description) in self.declared() {
            let error = self.function.error.as_ref().map(|ty| self.schema(ty));
            let schema = json!({
                "allOf": [{"$ref": "#/components/schemas/Problem"}],
                "properties": {"error": error},
            });
            let content = json!({"application/problem+json": {"schema": schema}});
            all.insert(status.to_string(), json!({"description": description, "content": content}));
        }
        let (default, answer) = match &self.function.output {
            Output::Nothing => (204, json!({"description": "Done."})),
            Output::Value(ty) => {
                let mut content = json!({"schema": self.schema(ty)});
                if let Some(example) = example(self.plan, ty) {
                    content["example"] = self.json(ty, &example);
                }
                (200, json!({"description": "The result.", "content": {"application/json": content}}))
            }
            Output::Stream(ty) => {
                let lines = lines("A line of JSON for each item.", self.schema(ty));
                let events = lines_of_events(self.schema(ty));
                let content = json!({
                    "application/jsonl": lines, "application/x-ndjson": lines, "text/event-stream": events,
                });
                (200, json!({"description": "The items, as they come.", "content": content}))
            }
        };
        all.insert(status.unwrap_or(default).to_string(), answer);
        let mut all: Map<String, Json> = all.into_iter().collect();
        all.insert("default".into(), json!({"$ref": "#/components/responses/Failure"}));
        Json::Object(all)
    }

    /// The statuses of the error that the contract declares, with what its cases say.
    fn declared(&self) -> BTreeMap<u16, String> {
        let mut all: BTreeMap<u16, Vec<String>> = BTreeMap::new();
        let Some(ty) = &self.function.error else { return BTreeMap::new() };
        let schema = self.plan.schema();
        let values: Vec<(Value, String)> = match ty {
            Type::Named(id) => match &schema.type_def(*id).kind {
                TypeKind::Variant(cases) => cases
                    .iter()
                    .zip(0..)
                    .map(|(case, at)| {
                        let payload = case.ty.as_ref().and_then(|ty| example(self.plan, ty));
                        (Value::Variant(at, payload.map(Box::new)), said(&case.name, &case.docs.summary()))
                    })
                    .collect(),
                TypeKind::Enum(cases) => cases
                    .iter()
                    .zip(0..)
                    .map(|(case, at)| (Value::Enum(at), said(&case.name, &case.docs.summary())))
                    .collect(),
                _ => Vec::new(),
            },
            _ => Vec::new(),
        };
        for (value, text) in values {
            all.entry(schema.failure(Some(ty), Some(value)).kind().status()).or_default().push(text);
        }
        if all.is_empty() {
            all.insert(422, vec!["The function refused.".into()]);
        }
        all.into_iter().map(|(status, texts)| (status, texts.join(" "))).collect()
    }

    /// The body that has all parameters.
    fn whole_body(&self) -> Option<Json> {
        let all: Vec<usize> = (0..self.function.params.len()).collect();
        if let Some(item) = &self.function.input {
            let text = "The first line is an object with the parameters; then there is a line of JSON for each item.";
            let lines = lines(text, self.schema(item));
            let content = json!({"application/jsonl": lines, "application/x-ndjson": lines});
            return Some(json!({"required": true, "content": content}));
        }
        (!all.is_empty()).then(|| self.members(&all))
    }

    fn body_of(&self, bound: &Bound) -> Option<Json> {
        let whole = bound.sources.iter().position(|source| matches!(source, Source::Body));
        if let Some(at) = whole {
            let ty = self.ty(at);
            let mut content = json!({"schema": self.schema(ty)});
            if let Some(example) = example(self.plan, ty) {
                content["example"] = self.json(ty, &example);
            }
            let required = !matches!(ty, Type::Option(_));
            return Some(json!({"required": required, "content": {"application/json": content}}));
        }
        let members = bound.sources.iter().enumerate().filter(|(_, source)| matches!(source, Source::Member));
        let members: Vec<_> = members.map(|(at, _)| at).collect();
        (!members.is_empty()).then(|| self.members(&members))
    }

    /// An object with these parameters.
    fn members(&self, positions: &[usize]) -> Json {
        let members = positions.iter().map(|at| (self.name(*at), self.ty(*at), self.schema(self.ty(*at))));
        let mut content = json!({"schema": schema::object(members)});
        if let Some(values) = example_args(self.plan, self.function) {
            let members =
                positions.iter().map(|at| (self.name(*at).to_owned(), self.json(self.ty(*at), &values[*at])));
            content["example"] = Json::Object(members.collect());
        }
        let required = positions.iter().any(|at| !matches!(self.ty(*at), Type::Option(_)));
        json!({"required": required, "content": {"application/json": content}})
    }

    fn parameter(&self, at: usize, source: &Source) -> Option<Json> {
        match source {
            Source::Path(name) => Some(json!({
                "name": name, "in": "path", "required": true, "schema": self.schema(bare(self.ty(at))),
            })),
            Source::Query(name) => Some(self.query(at, name)),
            Source::Header(name) => Some(json!({
                "name": name.as_str(), "in": "header", "required": !may_be_absent(self.plan, self.ty(at)),
                "schema": self.schema(bare(self.ty(at))),
            })),
            Source::Body | Source::Member => None,
        }
    }

    fn query(&self, at: usize, name: &str) -> Json {
        let ty = self.ty(at);
        let mut parameter = json!({"name": name, "in": "query", "required": !may_be_absent(self.plan, ty)});
        if is_textual(self.plan, ty) {
            parameter["schema"] = self.schema(bare(ty));
        } else {
            parameter["content"] = json!({"application/json": {"schema": self.schema(ty)}});
        }
        parameter
    }

    fn json(&self, ty: &Type, value: &Value) -> Json {
        let mut out = Vec::new();
        encode(self.plan, ty, value, &mut out);
        serde_json::from_slice(&out).unwrap_or_default()
    }
}

/// What stands in a text where an option is there.
fn bare(ty: &Type) -> &Type {
    match ty {
        Type::Option(inner) => inner,
        ty => ty,
    }
}

fn said(name: &str, summary: &str) -> String {
    if summary.is_empty() { format!("{}.", name.replace('-', " ")) } else { summary.to_owned() }
}

fn lines(text: &str, item: Json) -> Json {
    json!({"schema": {
        "type": "string", "description": text, "contentMediaType": "application/json", "contentSchema": item,
    }})
}

fn lines_of_events(item: Json) -> Json {
    let text =
        "An event for each item, whose data is JSON; then one of type `complete`, or `error` with a Problem.";
    lines(text, item)
}
