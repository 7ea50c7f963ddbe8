//! From the text of a document to something that can be executed, with what is known of it kept.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::parser::types::{BaseType, ExecutableDocument, OperationDefinition, Type as AstType};
use async_graphql::parser::{self, parse_query};
use async_graphql::{Name, Pos, Positioned};
use async_graphql_value::Value as Literal;
use serde_json::{Map, Value as Json};
use wharf_call::Value;

use crate::errors::{BAD_USER_INPUT, PARSE_FAILED, VALIDATION_FAILED, request_error, server_error};
use crate::input::{Decoder, Input, Variables};
use crate::limits::{self, Refusal};
use crate::plan::{Plan, Planner, RootSource, is_conditional};
use crate::types::DefKind;
use crate::{Core, overlap, positions};

/// A document that is valid.
pub(crate) struct Document {
    pub(crate) parsed: ExecutableDocument,
    /// By name; a single operation without one has the empty name.
    operations: HashMap<String, Operation>,
}

struct Operation {
    pos: Pos,
    variables: Vec<Variable>,
    defaults: HashMap<Name, Literal>,
    /// The plan, where it does not depend on the variables.
    plan: Option<Arc<Plan>>,
}

struct Variable {
    name: Name,
    ty: String,
    required: bool,
    nullable: bool,
}

/// One operation with its variables, ready to be executed.
pub(crate) struct Ready {
    pub(crate) document: Arc<Document>,
    pub(crate) operation: String,
    pub(crate) plan: Arc<Plan>,
    /// For each field at the root, the arguments of its call.
    pub(crate) args: Vec<Option<Vec<Value>>>,
    pub(crate) variables: Map<String, Json>,
}

impl Document {
    /// The operation that is called `name`.
    pub(crate) fn definition(&self, name: &str) -> Option<&Positioned<OperationDefinition>> {
        let named = |(has, _): &(Option<&Name>, _)| has.map_or("", |has| has.as_str()) == name;
        self.parsed.operations.iter().find(named).map(|(_, operation)| operation)
    }
}

/// The error with what the parser says of the text, and without the picture that it draws around that. Where it is,
/// `locations` says.
fn without_picture(mut error: parser::Error) -> parser::Error {
    if let parser::Error::Syntax { message, .. } = &mut error
        && let Some((_, said)) = message.rsplit_once("= ")
    {
        *message = format!("Syntax error: {}.", said.trim().replace('_', " "));
    }
    error
}

impl Core {
    /// A valid document, from the cache or from its text. The errors are those of a request.
    pub(crate) async fn document(&self, text: &str, request_id: &str) -> Result<Arc<Document>, Vec<Json>> {
        if let Some(known) = self.documents.lock().get(text) {
            return Ok(known);
        }
        let config = &self.config;
        let refuse =
            |refusal: Refusal, code| vec![request_error(&refusal.text, refusal.at, code, request_id)];
        if text.len() > config.query_bytes_max {
            let text =
                format!("The query is longer than {} bytes, which is the limit.", config.query_bytes_max);
            return Err(refuse(Refusal { text, at: None }, VALIDATION_FAILED));
        }
        let tokens =
            limits::scan(text, config.tokens_max).map_err(|refusal| refuse(refusal, VALIDATION_FAILED))?;
        if tokens == 0 {
            let text = "The document is empty. It needs an operation, such as \"{ __typename }\".".to_owned();
            return Err(refuse(Refusal { text, at: None }, PARSE_FAILED));
        }
        let parsed = parse_query(text)
            .map_err(|error| vec![server_error(&without_picture(error).into(), PARSE_FAILED, request_id)])?;
        limits::check(&parsed, config).map_err(|refusal| refuse(refusal, VALIDATION_FAILED))?;
        overlap::check(&parsed).map_err(|refusal| refuse(refusal, VALIDATION_FAILED))?;
        self.check_variable_types(&parsed).map_err(|refusal| refuse(refusal, VALIDATION_FAILED))?;
        let errors = self.schemas.validate(&parsed).await;
        if !errors.is_empty() {
            // One document can have as many errors as it has tokens, and the library finds some of them twice.
            let is_new = |at: usize| !errors[..at].contains(&errors[at]);
            let errors = (0..errors.len()).filter(|&at| is_new(at)).map(|at| &errors[at]).take(20);
            return Err(errors.map(|error| server_error(error, VALIDATION_FAILED, request_id)).collect());
        }
        positions::check(&self.model, &parsed).map_err(|refusal| refuse(refusal, VALIDATION_FAILED))?;
        let document = self.prepare(parsed).map_err(|refusal| refuse(refusal, VALIDATION_FAILED))?;
        let document = Arc::new(document);
        self.documents.lock().insert(text.to_owned(), document.clone(), tokens);
        Ok(document)
    }

    /// The library takes it for granted that the types of variables exist.
    fn check_variable_types(&self, parsed: &ExecutableDocument) -> Result<(), Refusal> {
        for (_, operation) in parsed.operations.iter() {
            for variable in &operation.node.variable_definitions {
                let ty = &variable.node.var_type;
                let name = base_name(&ty.node);
                if !self.is_input_type(name) {
                    let text = format!("\"{name}\" is not a type that a variable can have.");
                    return Err(Refusal { text, at: Some(ty.pos) });
                }
            }
        }
        Ok(())
    }

    fn is_input_type(&self, name: &str) -> bool {
        match self.model.defs.get(name) {
            Some(def) => !matches!(def.kind, DefKind::Object(_) | DefKind::Union(_)),
            None => matches!(name, "Int" | "Float" | "String" | "Boolean" | "ID"),
        }
    }

    fn prepare(&self, parsed: ExecutableDocument) -> Result<Document, Refusal> {
        let conditional = is_conditional(&parsed);
        let mut operations = HashMap::new();
        for (name, operation) in parsed.operations.iter() {
            let mut variables = Vec::new();
            let mut defaults = HashMap::new();
            for variable in &operation.node.variable_definitions {
                let variable = &variable.node;
                let default = variable.default_value.as_ref();
                if let Some(default) = default {
                    defaults.insert(variable.name.node.clone(), default.node.clone().into_value());
                }
                variables.push(Variable {
                    name: variable.name.node.clone(),
                    ty: variable.var_type.node.to_string(),
                    required: !variable.var_type.node.nullable && default.is_none(),
                    nullable: variable.var_type.node.nullable,
                });
            }
            let plan = match conditional {
                true => None,
                false => Some(Arc::new(self.plan(&parsed, &operation.node, &Map::new(), &defaults)?)),
            };
            let name = name.map_or("", |name| name.as_str()).to_owned();
            operations.insert(name, Operation { pos: operation.pos, variables, defaults, plan });
        }
        Ok(Document { parsed, operations })
    }

    fn plan(
        &self,
        parsed: &ExecutableDocument,
        operation: &OperationDefinition,
        given: &Map<String, Json>,
        defaults: &HashMap<Name, Literal>,
    ) -> Result<Plan, Refusal> {
        let bytes_left = Cell::new(usize::MAX);
        let conditions = Decoder { variables: Variables { given, defaults }, bytes_left: &bytes_left };
        let introspection = self.config.introspection;
        Planner { model: &self.model, document: parsed, conditions: &conditions, introspection }
            .plan(operation)
    }

    /// Chooses the operation, checks its variables and decodes its arguments. The errors are those of a request.
    pub(crate) fn ready(
        &self,
        document: Arc<Document>,
        name: Option<&str>,
        variables: Map<String, Json>,
        request_id: &str,
    ) -> Result<Ready, Vec<Json>> {
        let error = |text: &str, at, code| vec![request_error(text, at, code, request_id)];
        let only = || match document.operations.len() {
            1 => document.operations.keys().next().cloned(),
            _ => None,
        };
        let Some(name) = name.map(str::to_owned).or_else(only) else {
            let text = "The document has several operations: name one in `operationName`.";
            return Err(error(text, None, VALIDATION_FAILED));
        };
        let Some((operation, definition)) = document.operations.get(&name).zip(document.definition(&name))
        else {
            return Err(error("There is no operation of this `operationName`.", None, VALIDATION_FAILED));
        };
        for variable in &operation.variables {
            let given = variables.get(variable.name.as_str());
            let missing = variable.required && given.is_none();
            if missing || (!variable.nullable && given.is_some_and(Json::is_null)) {
                let what = if missing { "is missing" } else { "must not be null" };
                let text = format!("The variable `${}` of type {} {what}.", variable.name, variable.ty);
                return Err(error(&text, Some(operation.pos), BAD_USER_INPUT));
            }
        }
        let plan = match &operation.plan {
            Some(plan) => plan.clone(),
            None => {
                let plan = self.plan(&document.parsed, &definition.node, &variables, &operation.defaults);
                Arc::new(plan.map_err(|refusal| error(&refusal.text, refusal.at, VALIDATION_FAILED))?)
            }
        };
        let bytes_left = Cell::new(self.config.args_bytes_max);
        let decoder = Decoder {
            variables: Variables { given: &variables, defaults: &operation.defaults },
            bytes_left: &bytes_left,
        };
        let mut args = Vec::with_capacity(plan.roots.len());
        for root in &plan.roots {
            let RootSource::Call { root: of, args: given, .. } = &root.source else {
                args.push(None);
                continue;
            };
            let plugin = &self.model.plugins[of.plugin];
            let (_, function) = plugin.schema.function(of.function);
            let values = function.params.iter().zip(&of.args).zip(given).map(|((param, arg), given)| {
                decoder
                    .decode(plugin, &param.ty, given.as_ref().map(Input::Literal))
                    .map_err(|error| error.within(&arg.name).within(&root.key))
            });
            let values: Result<Vec<Value>, _> = values.collect();
            args.push(Some(values.map_err(|e| error(&e.to_string(), Some(root.pos), BAD_USER_INPUT))?));
        }
        Ok(Ready { document, operation: name, plan, args, variables })
    }
}

fn base_name(ty: &AstType) -> &str {
    match &ty.base {
        BaseType::Named(name) => name.as_str(),
        BaseType::List(inner) => base_name(inner),
    }
}
