//! Functions as their callers see them, and how they are called: streams are folded in.

use wasmtime::component::wit_parser::{self as wit, Handle, InterfaceId, Resolve, TypeDefKind, TypeOwner};
use wharf_call::{Docs, Field, Function, Output, Type};

use super::types::{self, Types};
use super::{FunctionPlan, Method, OutputPlan, PARAMS_MAX, Push, ResourcePlan, Scalar, shorten};

/// What a resource that is a stream has to look like.
const CONTRACT: &str = "a resource is a stream if its only functions are next: async func() -> result<option<T>, E>, or \
                        push: async func(item: T) -> result<_, E> and finish: async func() -> result<R, E>, or all three";

/// Reads one function of the export `export`.
///
/// # Errors
/// What of it cannot be served.
pub(super) fn read(
    types: &mut Types<'_>,
    export: &str,
    wit: &wit::Function,
) -> Result<(Function, FunctionPlan), String> {
    if wit.params.len() > PARAMS_MAX {
        return Err(format!("it has {} parameters; {PARAMS_MAX} are the most", wit.params.len()));
    }
    let mut params = Vec::with_capacity(wit.params.len());
    let mut input = None;
    for (at, param) in wit.params.iter().enumerate() {
        if let Some(TypeDefKind::Stream(item)) = types.kind(param.ty) {
            let scalar =
                types.scalar(*item).map_err(|what| format!("parameter {}: {what}", shorten(&param.name)))?;
            if input.replace((at, scalar)).is_some() {
                return Err("it has two stream parameters: a call has one stream from its caller".into());
            }
            continue;
        }
        let ty =
            types.read(param.ty).map_err(|what| format!("parameter {}: {what}", shorten(&param.name)))?;
        params.push(Field { name: types::name(&param.name)?, docs: Docs::default(), ty });
    }
    let returned = Returned::of(types, wit.result);
    let mut error = returned.error(types)?;
    let (output, plan, pushed) = match returned.ok {
        None => (Output::Nothing, OutputPlan::Nothing, None),
        Some(ty) => match types.kind(ty) {
            Some(TypeDefKind::Stream(item)) => {
                let scalar = types.scalar(*item)?;
                (Output::Stream(scalar.item()), OutputPlan::Stream(scalar), None)
            }
            Some(TypeDefKind::Handle(Handle::Own(resource))) => {
                let contract = Contract::read(types, export, *resource, &mut error)?;
                let plan = OutputPlan::Resource(Box::new(contract.plan));
                (contract.output, plan, contract.input)
            }
            _ => (
                Output::Value(types.read(ty).map_err(|what| format!("what it returns: {what}"))?),
                OutputPlan::Value,
                None,
            ),
        },
    };
    if input.is_some() && pushed.is_some() {
        return Err("it has a stream parameter and returns a resource with push: a call has one stream from its caller".into());
    }
    let function = Function {
        name: types::name(&wit.name)?,
        docs: types::docs(&wit.docs, &wit.stability),
        is_async: wit.kind.is_async(),
        params,
        input: input.map(|(_, scalar): (_, Scalar)| scalar.item()).or(pushed),
        output,
        error,
    };
    Ok((function, FunctionPlan { call: method(wit, &returned), input, output: plan }))
}

/// What a function returns, with the `result` taken apart.
struct Returned {
    ok: Option<wit::Type>,
    /// The `E` of it, which may be missing, if it is a `result`.
    fallible: Option<Option<wit::Type>>,
}

impl Returned {
    fn of(types: &Types<'_>, result: Option<wit::Type>) -> Self {
        match result.and_then(|ty| types.kind(ty)) {
            Some(TypeDefKind::Result(result)) => Returned { ok: result.ok, fallible: Some(result.err) },
            _ => Returned { ok: result, fallible: None },
        }
    }

    fn error(&self, types: &mut Types<'_>) -> Result<Option<Type>, String> {
        let error = self.fallible.flatten().map(|ty| types.read(ty)).transpose();
        error.map_err(|what| format!("the error that it returns: {what}"))
    }
}

fn method(wit: &wit::Function, returned: &Returned) -> Method {
    Method { name: wit.name.clone(), returns: wit.result.is_some(), fallible: returned.fallible.is_some() }
}

/// A resource that is a stream.
struct Contract {
    input: Option<Type>,
    output: Output,
    plan: ResourcePlan,
}

impl Contract {
    /// Reads the resource `id`, of which the functions fail with `error`, if they do.
    fn read(
        types: &mut Types<'_>,
        export: &str,
        id: wit::TypeId,
        error: &mut Option<Type>,
    ) -> Result<Self, String> {
        let resolve = types.resolve;
        let wit::Type::Id(id) = types.behind(wit::Type::Id(id)) else { return Err(CONTRACT.into()) };
        let def = &resolve.types[id];
        let name = shorten(def.name.as_deref().unwrap_or_default());
        let TypeOwner::Interface(owner) = def.owner else {
            return Err(format!("the resource {name} belongs to no interface"));
        };
        let own_export = resolve.id_of(owner).unwrap_or_default();
        if own_export != export {
            return Err(format!(
                "the resource {name} is of the interface {own_export}: a resource that is a stream is defined in the \
                 interface of the function that returns it"
            ));
        }
        let of = |what: String| format!("resource {name}: {what}");
        let mut functions = methods(resolve, owner, id).map_err(of)?;
        let mut ok = |types: &mut Types<'_>, wit: &wit::Function| {
            let returned = Returned::of(types, wit.result);
            if let Some(new) = returned.error(types)? {
                match error {
                    Some(known) if *known != new => {
                        return Err(
                            "its functions and the one that returns it fail with different types of errors: \
                                    use one"
                                .to_owned(),
                        );
                    }
                    _ => *error = Some(new),
                }
            }
            Ok((returned.ok, method(wit, &returned)))
        };
        let next = match functions.next {
            Some(wit) => {
                let (returned, method) = ok(types, wit).map_err(of)?;
                let Some(TypeDefKind::Option(item)) = returned.and_then(|ty| types.kind(ty)) else {
                    return Err(of("next returns result<option<T>, E>: none is the end".into()));
                };
                Some((types.read(*item).map_err(of)?, method))
            }
            None => None,
        };
        let push = match functions.push.take() {
            Some((push, finish)) => {
                let (returned, push_method) = ok(types, push).map_err(of)?;
                let [_, item] = push.params.as_slice() else {
                    return Err(of("push takes one item".into()));
                };
                if returned.is_some() {
                    return Err(of("push returns result<_, E>, or nothing".into()));
                }
                let item = types.read(item.ty).map_err(of)?;
                let (summary, finish_method) = ok(types, finish).map_err(of)?;
                let summary = summary.map(|ty| types.read(ty)).transpose().map_err(of)?;
                Some((item, summary, Push { push: push_method, finish: finish_method }))
            }
            None => None,
        };
        let output = match (&next, &push) {
            (Some(_), Some((_, Some(_), _))) => {
                return Err(of("beside next, finish returns result<_, E>, or nothing".into()));
            }
            (Some((item, _)), _) => Output::Stream(item.clone()),
            (None, Some((_, Some(summary), _))) => Output::Value(summary.clone()),
            (None, _) => Output::Nothing,
        };
        let (input, push) = push.map_or((None, None), |(item, _, push)| (Some(item), Some(push)));
        let plan = ResourcePlan { export: own_export, next: next.map(|(_, method)| method), push };
        Ok(Contract { input, output, plan })
    }
}

/// The functions of a resource that is a stream.
struct Methods<'a> {
    next: Option<&'a wit::Function>,
    push: Option<(&'a wit::Function, &'a wit::Function)>,
}

fn methods(resolve: &Resolve, owner: InterfaceId, id: wit::TypeId) -> Result<Methods<'_>, String> {
    let (mut next, mut push, mut finish) = (None, None, None);
    let own =
        resolve.interfaces[owner].functions.values().filter(|function| function.kind.resource() == Some(id));
    for function in own {
        let is_method =
            matches!(function.kind, wit::FunctionKind::Method(_) | wit::FunctionKind::AsyncMethod(_));
        let arguments = function.params.len().saturating_sub(1);
        match (function.item_name(), is_method, arguments) {
            ("next", true, 0) => next = Some(function),
            ("push", true, 1) => push = Some(function),
            ("finish", true, 0) => finish = Some(function),
            (other, ..) => {
                return Err(format!(
                    "it is no stream, because of its function {}: {CONTRACT}",
                    shorten(other)
                ));
            }
        }
    }
    match (next, push, finish) {
        (Some(_), None, None) | (_, Some(_), Some(_)) => Ok(Methods { next, push: push.zip(finish) }),
        _ => Err(format!("it is no stream: {CONTRACT}")),
    }
}

/// Refuses an interface with a resource that is no stream, even where no function returns it.
pub(super) fn check_resources(resolve: &Resolve, export: &str, id: InterfaceId) -> Result<(), String> {
    for (name, ty) in &resolve.interfaces[id].types {
        if matches!(resolve.types[*ty].kind, TypeDefKind::Resource) {
            methods(resolve, id, *ty)
                .map_err(|what| format!("{export}, resource {}: {what}", shorten(name)))?;
        }
    }
    Ok(())
}
