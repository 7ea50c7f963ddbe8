//! Executing an operation: calls, linked values step by step, and the data in the order that was asked for.

use std::sync::Arc;

use async_graphql::dynamic::TypeRef;
use async_graphql::parser::types::{DocumentOperations, Selection};
use async_graphql::{Pos, Positioned};
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::{self, BoxStream};
use serde_json::Value as Json;
use wharf_call::{Call, Door, Failure, Invocation, Kind, Output, Reply, Value, ValueStream};
use wharf_doors::call::invoke;

use crate::Core;
use crate::document::Ready;
use crate::errors::{Outcome, VALIDATION_FAILED, field_error, server_error};
use crate::loader::Loader;
use crate::model::{Root, RootKind};
use crate::output::{Page, Step, Text, WriteError, Writer, assemble};
use crate::plan::{RootPlan, RootSource, Shape};

/// What is common to all fields of one response.
pub(crate) struct Job<'p> {
    pub(crate) core: &'p Core,
    pub(crate) page: Page<'p>,
    pub(crate) holes: Vec<Option<Text>>,
    pub(crate) errors: Vec<Json>,
    pub(crate) invocation: &'p Invocation,
    /// The response is larger than it may be: there is none.
    pub(crate) too_large: bool,
}

/// About what an error takes beside its texts and its path, in bytes.
const ERROR_BYTES: usize = 512;

/// A field at the root that failed although it must not be null.
struct Fatal;

/// The invocation of a call that has no response to itself.
pub(crate) fn plain(invocation: &Invocation) -> Invocation {
    Invocation { metadata: invocation.metadata.without_answer(), ..invocation.clone() }
}

impl Core {
    /// Executes a query or a mutation.
    pub(crate) async fn execute(&self, mut ready: Ready, invocation: &Invocation) -> Outcome {
        let args = std::mem::take(&mut ready.args);
        let plain = plain(invocation);
        let calls = ready.plan.roots.iter().filter(|root| matches!(root.source, RootSource::Call { .. }));
        // The header fields of the response are those of the one call that it is about.
        let of_roots = if calls.count() == 1 { invocation } else { &plain };
        let mut job = Job::new(self, &plain);
        let introspected = match ready.plan.introspects {
            true => match self.introspect(&ready, invocation).await {
                Ok(data) => data,
                Err(errors) => return Outcome { data: Some(None), errors },
            },
            false => Json::Null,
        };
        let mut loader = Loader::default();
        let mut fields: Vec<(&RootPlan, Option<Text>)> = Vec::with_capacity(ready.plan.roots.len());
        let roots = ready.plan.roots.iter().zip(args);
        let mut fatal = false;
        if ready.plan.kind == RootKind::Mutation {
            // One after the other, each to its end (GraphQL, section 6.2.2).
            for (root, args) in roots {
                let reply = self.call(root, args, of_roots).await;
                match job.field(root, reply, &introspected) {
                    Ok(text) => fields.push((root, text)),
                    Err(Fatal) => {
                        fatal = true;
                        break;
                    }
                }
                job.load(&mut loader).await;
                // What was loaded before it may not be true any more.
                loader.clear();
            }
        } else {
            let replies = join_all(roots.map(|(root, args)| self.call(root, args, of_roots))).await;
            for (root, reply) in ready.plan.roots.iter().zip(replies) {
                match job.field(root, reply, &introspected) {
                    Ok(text) => fields.push((root, text)),
                    Err(Fatal) => fatal = true,
                }
            }
            if !fatal {
                job.load(&mut loader).await;
            }
        }
        job.finish(&fields, fatal)
    }

    /// Begins a subscription: a response for each value. Dropping the stream abandons the call.
    pub(crate) fn subscribe(
        self: Arc<Self>,
        mut ready: Ready,
        invocation: Invocation,
    ) -> BoxStream<'static, Outcome> {
        let begin = async move {
            // It has one field at its root, or none where that is skipped.
            let args = ready.args.pop().flatten();
            let Some(root) = ready.plan.roots.first() else { return stream::empty().boxed() };
            let values = match self.call(root, args, &invocation).await {
                Ok(Some(Reply::Stream(values))) => values,
                Ok(reply) => {
                    // `__typename`, or a plugin that gives no stream where its schema has one.
                    let reply = reply.map_or(Ok(None), |_| Err(wrong_value()));
                    let outcome = self.respond(root, reply, &invocation).await;
                    return stream::once(async move { outcome }).boxed();
                }
                Err(failure) => {
                    let outcome = self.respond(root, Err(failure), &invocation).await;
                    return stream::once(async move { outcome }).boxed();
                }
            };
            let state = Some((self, ready, invocation, values));
            stream::unfold(state, |state: Option<Subscribed>| async move {
                let (core, ready, invocation, mut values) = state?;
                let item = values.next().await?;
                let root = ready.plan.roots.first()?;
                let failed = item.is_err();
                let reply = item.map(|value| Some(Reply::Value(Some(value))));
                let outcome = core.respond(root, reply, &invocation).await;
                Some((outcome, (!failed).then_some((core, ready, invocation, values))))
            })
            .boxed()
        };
        stream::once(begin).flatten().boxed()
    }

    async fn respond(
        &self,
        root: &RootPlan,
        reply: Result<Option<Reply>, Failure>,
        invocation: &Invocation,
    ) -> Outcome {
        let mut job = Job::new(self, invocation);
        match job.field(root, reply, &Json::Null) {
            Ok(text) => {
                job.load(&mut Loader::default()).await;
                job.finish(&[(root, text)], false)
            }
            Err(Fatal) => job.finish(&[], true),
        }
    }

    /// Calls what a field at the root stands for, if it stands for a call.
    async fn call(
        &self,
        root: &RootPlan,
        args: Option<Vec<Value>>,
        invocation: &Invocation,
    ) -> Result<Option<Reply>, Failure> {
        let (RootSource::Call { root, .. }, Some(args)) = (&root.source, args) else { return Ok(None) };
        let service = &self.model.plugins[root.plugin].service;
        let call = Call { function: root.function, args, input: None, door: Door::Graphql };
        invoke(&**service, call, invocation.clone()).await.map(Some)
    }

    async fn introspect(&self, ready: &Ready, invocation: &Invocation) -> Result<Json, Vec<Json>> {
        // Only introspection is left at the root: what else stands there is called, not resolved by a schema.
        let mut document = ready.document.parsed.clone();
        let Some(mut operation) = ready.document.definition(&ready.operation).cloned() else {
            return Ok(Json::Null);
        };
        let fragment = |name: &str| {
            let fragment = ready.document.parsed.fragments.get(name)?;
            Some(fragment.node.selection_set.node.items.clone())
        };
        let items = std::mem::take(&mut operation.node.selection_set.node.items);
        operation.node.selection_set.node.items = introspection(items, &fragment);
        document.operations = DocumentOperations::Single(operation);
        let variables = async_graphql::Variables::from_json(Json::Object(ready.variables.clone()));
        let response = self.schemas.introspect(document, variables).await;
        if !response.errors.is_empty() {
            let id = invocation.request_id.as_str();
            let errors = response.errors.iter();
            return Err(errors.map(|error| server_error(error, VALIDATION_FAILED, id)).collect());
        }
        Ok(response.data.into_json().unwrap_or_default())
    }
}

type Subscribed = (Arc<Core>, Ready, Invocation, ValueStream);

/// The fields of a root that introspect, with what is around them.
fn introspection(
    items: Vec<Positioned<Selection>>,
    fragment: &dyn Fn(&str) -> Option<Vec<Positioned<Selection>>>,
) -> Vec<Positioned<Selection>> {
    let mut kept = Vec::new();
    for mut item in items {
        match &mut item.node {
            Selection::Field(field) => {
                if matches!(field.node.name.node.as_str(), "__schema" | "__type") {
                    kept.push(item);
                }
            }
            Selection::InlineFragment(inline) => {
                let within = std::mem::take(&mut inline.node.selection_set.node.items);
                inline.node.selection_set.node.items = introspection(within, fragment);
                if !inline.node.selection_set.node.items.is_empty() {
                    kept.push(item);
                }
            }
            Selection::FragmentSpread(spread) => {
                if !spread.node.directives.is_empty() {
                    kept.push(item);
                } else if let Some(within) = fragment(spread.node.fragment_name.node.as_str()) {
                    kept.extend(introspection(within, fragment));
                }
            }
        }
    }
    kept
}

impl<'p> Job<'p> {
    pub(crate) fn new(core: &'p Core, invocation: &'p Invocation) -> Self {
        let page = Page {
            model: &core.model,
            wanted: Vec::new(),
            holes: 0,
            bytes_left: core.config.response_bytes_max,
        };
        Job { core, page, holes: Vec::new(), errors: Vec::new(), invocation, too_large: false }
    }

    /// The data of one field at the root; `None` is null.
    fn field(
        &mut self,
        root: &'p RootPlan,
        reply: Result<Option<Reply>, Failure>,
        introspected: &Json,
    ) -> Result<Option<Text>, Fatal> {
        let path = vec![Step::Key(root.key.as_str())];
        let text = match &root.source {
            RootSource::Typename(name) => Text::of(format!("\"{name}\"")),
            RootSource::Placeholder => Text::of(format!("\"{}\"", env!("CARGO_PKG_VERSION"))),
            RootSource::Introspection => Text::of(introspected[root.key.as_str()].to_string()),
            RootSource::Call { root: of, shape, .. } => {
                let written = match reply {
                    Ok(reply) => self.value(of, shape, reply, path.clone()),
                    Err(failure) => Err(failure),
                };
                match written {
                    Ok(text) => return Ok(Some(text)),
                    Err(failure) => {
                        log(&failure, self.invocation);
                        self.fail(&failure, Some(of), root.pos, &path);
                        let may_be_null = !matches!(of.ty, TypeRef::NonNull(_));
                        return if may_be_null { Ok(None) } else { Err(Fatal) };
                    }
                }
            }
        };
        Ok(Some(text))
    }

    fn value(
        &mut self,
        of: &'p Root,
        shape: &'p Shape,
        reply: Option<Reply>,
        path: Vec<Step<'p>>,
    ) -> Result<Text, Failure> {
        let plugin = &self.page.model.plugins[of.plugin];
        let output = &plugin.schema.function(of.function).1.output;
        let before = self.page.wanted.len();
        let mut writer = Writer::new(&mut self.page, path);
        let written = match (output, reply) {
            (Output::Nothing, Some(Reply::Value(None))) => {
                writer.done();
                Ok(())
            }
            (Output::Value(ty) | Output::Stream(ty), Some(Reply::Value(Some(value)))) => {
                writer.write(plugin, ty, shape, &value)
            }
            _ => Err(WriteError::Type),
        };
        written.and_then(|()| writer.finish()).map_err(|error| {
            self.page.wanted.truncate(before);
            self.failure(error)
        })
    }

    /// What a value that cannot be written makes of its field.
    pub(crate) fn failure(&mut self, error: WriteError) -> Failure {
        match error {
            WriteError::Type => wrong_value(),
            WriteError::TooLarge => {
                self.too_large = true;
                Failure::new(Kind::ResponseTooLarge, "The response is larger than it may be: ask for less.")
            }
        }
    }

    /// Tells of the failure of a field.
    pub(crate) fn fail(&mut self, failure: &Failure, of: Option<&Root>, at: Pos, path: &[Step<'_>]) {
        let id = self.invocation.request_id.as_str();
        let declared = of.and_then(|of| {
            let plugin = &self.page.model.plugins[of.plugin];
            plugin.schema.function(of.function).1.error.as_ref().map(|ty| (&plugin.json, ty))
        });
        // One value that is missing can be missed in very many places.
        let error = failure.error().map_or(0, Value::footprint) as usize;
        let bytes = ERROR_BYTES + failure.public().len() + error + size_of_val(path);
        if failure.kind() != Kind::ResponseTooLarge
            && let Err(error) = self.page.charge(bytes)
        {
            let was_told = self.too_large;
            let failure = self.failure(error);
            if !was_told {
                self.errors.push(field_error(&failure, None, at, path, id));
            }
            return;
        }
        self.errors.push(field_error(failure, declared, at, path, id));
    }

    fn finish(self, fields: &[(&RootPlan, Option<Text>)], fatal: bool) -> Outcome {
        if fatal || self.too_large {
            return Outcome { data: Some(None), errors: self.errors };
        }
        let mut data = Vec::with_capacity(256);
        data.push(b'{');
        for (at, (root, text)) in fields.iter().enumerate() {
            if at > 0 {
                data.push(b',');
            }
            data.push(b'"');
            data.extend_from_slice(root.key.as_bytes());
            data.extend_from_slice(b"\":");
            match text {
                Some(text) => assemble(text, &self.holes, &mut data),
                None => data.extend_from_slice(b"null"),
            }
        }
        data.push(b'}');
        Outcome { data: Some(Some(data)), errors: self.errors }
    }
}

/// Tells the log of a failure that is not the client's, once for all fields that it is the failure of.
pub(crate) fn log(failure: &Failure, invocation: &Invocation) {
    if failure.kind().status() >= 500 {
        tracing::warn!(request_id = invocation.request_id.as_str(), %failure, "a field of GraphQL failed");
    }
}

fn wrong_value() -> Failure {
    Failure::new(Kind::Internal, "The plugin's answer is not of its type.")
}
