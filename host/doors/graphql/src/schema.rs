//! The model as a schema of async-graphql, which validates documents against it, introspects it and prints it.
//!
//! Nothing is executed by it: that is [`crate::execute`], which asks every function once, whatever a document repeats,
//! and writes values straight to JSON.

use std::sync::Arc;

use async_graphql::dynamic::{
    Enum, EnumItem, Field, FieldFuture, FieldValue, InputObject, InputValue, Object, Scalar, Schema,
    SchemaBuilder, Subscription, SubscriptionField, SubscriptionFieldFuture, TypeRef, Union,
};
use async_graphql::extensions::{Extension, ExtensionContext, ExtensionFactory, NextExecute};
use async_graphql::parser::types::{DocumentOperations, ExecutableDocument};
use async_graphql::{Request, Response, ServerError, ValidationMode, Value};
use wharf_call::Docs;

use crate::model::{Model, Root, RootKind};
use crate::types::{Def, DefKind, FieldDef, ScalarKind};

/// The name of the one field of the root `Query` where no plugin has a query: GraphQL needs one.
pub(crate) const PLACEHOLDER: &str = "wharf";

/// The schema twice: to validate with, and to introspect without validating again.
pub(crate) struct Schemas {
    strict: Schema,
    introspected: Schema,
}

impl Schemas {
    pub(crate) fn new(model: &Model, introspection: bool) -> Result<Self, String> {
        let build = |builder: SchemaBuilder| {
            let builder =
                if introspection { builder } else { builder.disable_introspection().disable_suggestions() };
            builder.finish().map_err(|error| error.to_string())
        };
        Ok(Schemas {
            strict: build(builder(model).extension(ValidateOnly))?,
            introspected: build(builder(model).validation_mode(ValidationMode::Fast))?,
        })
    }

    /// The schema as text.
    pub(crate) fn sdl(&self) -> String {
        self.strict.sdl()
    }

    /// What is wrong with a document, whatever its variables are.
    pub(crate) async fn validate(&self, document: &ExecutableDocument) -> Vec<ServerError> {
        let mut request = Request::new("");
        if let DocumentOperations::Multiple(operations) = &document.operations
            && let Some(name) = operations.keys().next()
        {
            request = request.operation_name(name.as_str());
        }
        request.set_parsed_query(document.clone());
        self.strict.execute(request).await.errors
    }

    /// Answers an operation with nothing but `__schema` and `__type` at its root.
    pub(crate) async fn introspect(
        &self,
        document: ExecutableDocument,
        variables: async_graphql::Variables,
    ) -> Response {
        let mut request = Request::new("").variables(variables);
        request.set_parsed_query(document);
        self.introspected.execute(request).await
    }
}

/// Ends a request when it is validated.
struct ValidateOnly;

impl ExtensionFactory for ValidateOnly {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(ValidateOnly)
    }
}

#[async_graphql::async_trait::async_trait]
impl Extension for ValidateOnly {
    async fn execute(&self, _: &ExtensionContext<'_>, _: Option<&str>, _: NextExecute<'_>) -> Response {
        Response::new(Value::Null)
    }
}

fn builder(model: &Model) -> SchemaBuilder {
    let name = |kind: RootKind| (!model.roots(kind).is_empty()).then(|| format!("{kind:?}"));
    let (mutation, subscription) = (name(RootKind::Mutation), name(RootKind::Subscription));
    let mut builder = Schema::build("Query", mutation.as_deref(), subscription.as_deref())
        // What is deeper was refused before.
        .limit_recursive_depth(crate::limits::NESTING_MAX);
    builder = builder.register(root(model, RootKind::Query));
    if mutation.is_some() {
        builder = builder.register(root(model, RootKind::Mutation));
    }
    if subscription.is_some() {
        let mut object = Subscription::new("Subscription");
        for (name, root) in &model.subscriptions {
            let field = SubscriptionField::new(name, root.ty.clone(), |_| {
                SubscriptionFieldFuture::new(async {
                    Ok(futures_util::stream::empty::<async_graphql::Result<FieldValue<'_>>>())
                })
            });
            let docs = function_docs(model, root);
            let mut field = describe_subscription(field, docs);
            for arg in &root.args {
                field = field.argument(input(arg));
            }
            object = object.field(field);
        }
        builder = builder.register(object);
    }
    model.defs.iter().fold(builder, |builder, (name, def)| register(builder, name, def))
}

fn root(model: &Model, kind: RootKind) -> Object {
    let mut object = Object::new(format!("{kind:?}"));
    for (name, root) in model.roots(kind) {
        let mut field = output(name, &root.ty, function_docs(model, root));
        for arg in &root.args {
            field = field.argument(input(arg));
        }
        object = object.field(field);
    }
    if kind == RootKind::Query && model.queries.is_empty() {
        let docs =
            Docs { text: "The version of the host. No plugin has a query.".to_owned(), ..Docs::default() };
        object = object.field(output(PLACEHOLDER, &TypeRef::named_nn(TypeRef::STRING), &docs));
    }
    object
}

fn function_docs<'a>(model: &'a Model, root: &Root) -> &'a Docs {
    &model.plugins[root.plugin].schema.function(root.function).1.docs
}

fn register(builder: SchemaBuilder, name: &str, def: &Def) -> SchemaBuilder {
    let text = &def.docs.text;
    match &def.kind {
        DefKind::Object(fields) => {
            let object = fields
                .iter()
                .fold(Object::new(name), |object, of| object.field(output(&of.name, &of.ty, &of.docs)));
            builder.register(if text.is_empty() { object } else { object.description(text) })
        }
        DefKind::Input { fields, one_of } => {
            let object = fields.iter().fold(InputObject::new(name), |object, of| object.field(input(of)));
            let object = if *one_of { object.oneof() } else { object };
            builder.register(if text.is_empty() { object } else { object.description(text) })
        }
        DefKind::Union(objects) => {
            let union = objects.iter().fold(Union::new(name), |union, object| union.possible_type(object));
            builder.register(if text.is_empty() { union } else { union.description(text) })
        }
        DefKind::Enum(values) => {
            let items = values.iter().map(|value| {
                let item = EnumItem::new(&value.name);
                let item = match value.docs.text.as_str() {
                    "" => item,
                    text => item.description(text),
                };
                match deprecation(&value.docs) {
                    Some(reason) => item.deprecation(Some(&reason)),
                    None => item,
                }
            });
            let object = Enum::new(name).items(items);
            builder.register(if text.is_empty() { object } else { object.description(text) })
        }
        DefKind::Scalar(kind) => {
            let kind = *kind;
            let scalar = Scalar::new(name).validator(move |value| is_literal(kind, value)).description(text);
            builder.register(scalar)
        }
    }
}

fn output(name: &str, ty: &TypeRef, docs: &Docs) -> Field {
    let field = Field::new(name, ty.clone(), |_| FieldFuture::Value(None));
    let field = if docs.text.is_empty() { field } else { field.description(&docs.text) };
    match deprecation(docs) {
        Some(reason) => field.deprecation(Some(&reason)),
        None => field,
    }
}

fn describe_subscription(field: SubscriptionField, docs: &Docs) -> SubscriptionField {
    let field = if docs.text.is_empty() { field } else { field.description(&docs.text) };
    match deprecation(docs) {
        Some(reason) => field.deprecation(Some(&reason)),
        None => field,
    }
}

fn input(of: &FieldDef) -> InputValue {
    let value = InputValue::new(&of.name, of.ty.clone());
    match of.docs.text.as_str() {
        "" => value,
        text => value.description(text),
    }
}

fn deprecation(docs: &Docs) -> Option<String> {
    docs.deprecated.as_ref().map(|since| match since.as_str() {
        "" => "Deprecated.".to_owned(),
        version => format!("Deprecated since {version}."),
    })
}

/// Whether a literal can be of a scalar at all; whether it is one is said, with its path, when it is decoded.
fn is_literal(kind: ScalarKind, value: &Value) -> bool {
    match kind {
        ScalarKind::UInt32 => matches!(value, Value::Number(_)),
        ScalarKind::Char | ScalarKind::Bytes => matches!(value, Value::String(_)),
        _ => matches!(value, Value::Number(_) | Value::String(_)),
    }
}
