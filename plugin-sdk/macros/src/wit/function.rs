//! What a function of the WIT looks like to the author of a service, and who streams in it.

use anyhow::{Result, bail};
use wit_bindgen_core::wit_parser::{Function, Handle, Interface, Resolve, Type, TypeDefKind, TypeId};
use wit_bindgen_rust::to_rust_ident;

use super::types::{definition, holds_handles, optional, rust, type_name};

/// A function, in Rust.
pub(crate) struct Shape<'a> {
    pub(crate) function: &'a Function,
    /// Its name as a method.
    pub(crate) name: String,
    pub(crate) params: Vec<Param>,
    pub(crate) output: Output,
    /// The `E` of the `result<_, E>` that it returns.
    pub(crate) error: Option<String>,
}

pub(crate) struct Param {
    pub(crate) name: String,
    /// Its type, or that of its items.
    pub(crate) ty: String,
    pub(crate) streamed: bool,
}

pub(crate) enum Output {
    Value(String),
    /// A `stream<T>`, by its T.
    Scalars(String),
    /// A resource that stands for a stream.
    Resource(TypeId),
}

/// A resource that stands for a stream.
pub(crate) struct Flow {
    /// Its name as a type.
    pub(crate) name: String,
    /// The name and type of what is pushed.
    pub(crate) pushed: Option<(String, String)>,
    /// What `next` gives.
    pub(crate) next: Option<String>,
    /// What `finish` gives.
    pub(crate) finished: Option<String>,
    pub(crate) error: String,
}

impl<'a> Shape<'a> {
    pub(crate) fn of(resolve: &Resolve, function: &'a Function) -> Result<Self> {
        let mut params = Vec::new();
        for param in &function.params {
            let (ty, streamed) = match stream_of(resolve, param.ty)? {
                Some(item) => (item, true),
                None if holds_handles(resolve, param.ty) => bail!(
                    "the parameter `{}` is, or holds, a resource, a stream or a future. A caller can give values, \
                     and one `stream` of bytes, strings or other scalars; records are streamed by a resource that \
                     the function returns, with `push` and `finish`",
                    param.name
                ),
                None => (rust(resolve, &param.ty), false),
            };
            params.push(Param { name: to_rust_ident(&param.name), ty, streamed });
        }
        if params.iter().filter(|param| param.streamed).count() > 1 {
            bail!("it takes several streams, and a caller can send one");
        }
        let (ok, error) = match function.result {
            None => (None, None),
            Some(ty) => match definition(resolve, ty) {
                Some((_, TypeDefKind::Result(result))) => {
                    let error = result.err;
                    if error.is_some_and(|error| holds_handles(resolve, error)) {
                        bail!("its error holds a resource, a stream or a future; an error is a value");
                    }
                    (result.ok, Some(optional(resolve, error.as_ref())))
                }
                _ => (Some(ty), None),
            },
        };
        let output = output(resolve, ok)?;
        if matches!(output, Output::Scalars(_)) && !function.kind.is_async() {
            bail!("it returns a stream, which is written while it is read: write `async func`");
        }
        Ok(Shape { function, name: to_rust_ident(&function.name), params, output, error })
    }
}

fn output(resolve: &Resolve, ok: Option<Type>) -> Result<Output> {
    let Some(ty) = ok else { return Ok(Output::Value("()".to_owned())) };
    if let Some(item) = stream_of(resolve, ty)? {
        return Ok(Output::Scalars(item));
    }
    if let Some((_, TypeDefKind::Handle(Handle::Own(resource)))) = definition(resolve, ty) {
        let resource = definition(resolve, Type::Id(*resource)).map_or(*resource, |(id, _)| id);
        return Ok(Output::Resource(resource));
    }
    if holds_handles(resolve, ty) {
        bail!(
            "what it returns holds a resource, a stream or a future: return that by itself, or in a `result`"
        );
    }
    Ok(Output::Value(rust(resolve, &ty)))
}

/// The item of a `stream<T>`.
fn stream_of(resolve: &Resolve, ty: Type) -> Result<Option<String>> {
    let Some((_, TypeDefKind::Stream(item))) = definition(resolve, ty) else { return Ok(None) };
    match item {
        Some(item) if definition(resolve, *item).is_none() => Ok(Some(rust(resolve, item))),
        _ => bail!(
            "it has a `stream` of something else than bytes, strings or other scalars. Write a resource: with \
             `next: async func() -> result<option<T>, E>` the plugin streams, with `push: async func(item: T) -> \
             result<_, E>` and `finish: async func() -> result<S, E>` the caller does"
        ),
    }
}

impl Flow {
    /// The resource `id` of an interface, whose methods say what it stands for.
    pub(crate) fn of(resolve: &Resolve, interface: &Interface, id: TypeId) -> Result<Self> {
        let wit_name = resolve.types[id].name.as_deref().unwrap_or_default();
        let methods = interface.functions.values().filter(|function| function.kind.resource() == Some(id));
        let mut flow = Flow {
            name: type_name(wit_name),
            pushed: None,
            next: None,
            finished: None,
            error: String::new(),
        };
        let mut errors = Vec::new();
        for method in methods {
            let name = method.item_name();
            let (ok, error) = method_result(resolve, method)?;
            errors.push(error);
            match (name, &method.params[1..], ok) {
                ("next", [], Some(ok)) => match definition(resolve, ok) {
                    Some((_, TypeDefKind::Option(item))) if !holds_handles(resolve, *item) => {
                        flow.next = Some(rust(resolve, item));
                    }
                    _ => return Err(not_a_stream(wit_name)),
                },
                ("push", [item], None) if !holds_handles(resolve, item.ty) => {
                    flow.pushed = Some((to_rust_ident(&item.name), rust(resolve, &item.ty)));
                }
                ("finish", [], ok) if ok.is_none_or(|ok| !holds_handles(resolve, ok)) => {
                    flow.finished = Some(optional(resolve, ok.as_ref()));
                }
                _ => return Err(not_a_stream(wit_name)),
            }
        }
        let complete = match (&flow.pushed, &flow.finished, &flow.next) {
            (None, None, Some(_)) | (Some(_), Some(_), None) => true,
            (Some(_), Some(finished), Some(_)) => finished == "()",
            _ => false,
        };
        if !complete {
            return Err(not_a_stream(wit_name));
        }
        errors.dedup();
        let [error] = &errors[..] else {
            bail!("the methods of the resource `{wit_name}` have different errors: give them one");
        };
        flow.error.clone_from(error);
        Ok(flow)
    }
}

/// What a method of such a resource returns: it is asynchronous, and a `result`.
fn method_result(resolve: &Resolve, method: &Function) -> Result<(Option<Type>, String)> {
    let result = method.result.and_then(|ty| definition(resolve, ty));
    match result {
        Some((_, TypeDefKind::Result(result)))
            if method.kind.is_async() && result.err.is_none_or(|error| !holds_handles(resolve, error)) =>
        {
            Ok((result.ok, optional(resolve, result.err.as_ref())))
        }
        _ => bail!(
            "the method `{}` of a resource that stands for a stream is an `async func` that returns a `result`",
            method.item_name()
        ),
    }
}

fn not_a_stream(name: &str) -> anyhow::Error {
    anyhow::anyhow!(
        "the resource `{name}` is not one that can be served. Resources stand for streams: with \
         `next: async func() -> result<option<T>, E>` the plugin streams, with `push: async func(item: T) -> \
         result<_, E>` and `finish: async func() -> result<S, E>` the caller does, and with all three, where \
         `finish` returns `result<_, E>`, both do"
    )
}
