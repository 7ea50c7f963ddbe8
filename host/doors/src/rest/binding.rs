//! Functions under paths that the manifest chooses.
//!
//! ```toml
//! [[route]]
//! path = "/users/{id}"
//! methods = ["PUT"]
//! plugin = "users"
//! function = "accounts.update-user"   # or "demo:users/accounts@1.0.0.update-user"
//! body = "user"                       # the whole body is this parameter
//! query = { dry-run = "dry" }         # this parameter is `?dry=true`
//! headers = { if-version = "x-version" }
//! status = 200
//! ```
//!
//! Where a parameter comes from, in this order:
//! 1. `{id}` in the path is the parameter `id`, `{user-id}` is `user-id`; `{*rest}` may be one, too.
//! 2. `query` and `headers` name the parameters that come from there, and what they are called there.
//! 3. `body` names the parameter that is the whole body.
//! 4. What is left are members of the JSON body or, where `body` is given or all methods are GET, HEAD or DELETE, of the query, under
//!    the names of `MAPPING.md`.
//!
//! In a path or a header stands a scalar, that is a boolean, a number, a character, a string, bytes or an enum, or an option of one. In a query
//! also lists of scalars, by repeating the name, flags likewise, and JSON for anything else.

use std::collections::HashMap;
use std::sync::Arc;

use http::{HeaderName, Method, Request, Response, StatusCode};
use wharf_call::suggest::nearest;
use wharf_call::{
    Body, BoxFuture, Failure, HttpService, Interface, Invocation, Kind, Metadata, Output, Type,
};

use super::deprecation::Deprecation;
use super::negotiate::{self, JSON};
use super::{Operation, media, query, unknown_query};
use crate::body::collect;
use crate::json::{Args, is_scalar, may_be_absent};
use crate::served::{DoorConfig, Target};

/// A route of the manifest that is a function of a plugin.
#[derive(Clone, Debug, Default)]
pub struct BindingSpec {
    /// The plugin's name in the manifest.
    pub plugin: String,
    /// `INTERFACE.FUNCTION`, where the interface may be written in full: `demo:users/accounts@1.0.0.get-user`.
    pub function: String,
    /// The pattern of the path, for the document: `/users/{id}`.
    pub path: String,
    /// The names of the parameters in the path, in its order.
    pub path_params: Vec<String>,
    /// The methods; none means that the route has all.
    pub methods: Vec<Method>,
    /// The parameter that is the whole body.
    pub body: Option<String>,
    /// Parameters that come from the query, with their names there.
    pub query: Vec<(String, String)>,
    /// Parameters that come from a header field, with the name of that.
    pub header: Vec<(String, String)>,
    /// The status of an answer that went well, 200 to 299. Default 200, or 204 where there is no value.
    pub status: Option<u16>,
}

/// Where a parameter comes from.
pub(crate) enum Source {
    Path(String),
    Query(String),
    Header(HeaderName),
    /// It is the whole body.
    Body,
    /// It is a member of the body.
    Member,
}

/// A function under a path of the manifest.
pub(crate) struct Bound {
    pub(crate) target: Target,
    pub(crate) path: String,
    pub(crate) methods: Vec<Method>,
    /// For each parameter, in their order.
    pub(crate) sources: Vec<Source>,
    pub(crate) status: Option<StatusCode>,
    /// The position of each parameter that comes from the query, by its name there.
    by_query: HashMap<String, usize>,
    deprecation: Deprecation,
    config: DoorConfig,
}

impl Bound {
    pub(super) fn new(
        operations: &[Arc<Operation>],
        spec: BindingSpec,
        config: DoorConfig,
    ) -> Result<Self, String> {
        let target = find(operations, &spec)?;
        let (plan, function) = (&target.plan, target.function());
        let route = format!("function = {:?}", spec.function);
        if function.input.is_some() {
            let path = super::path_package(&target.interface().package);
            return Err(format!(
                "{route} takes a stream, which a route of its own has no place for: it is served as POST {}{path}/{}/{}",
                super::RPC,
                target.interface().name,
                function.name
            ));
        }
        let status = status(&spec, &function.output)?;
        let known: Vec<&str> = function.params.iter().map(|param| &*param.name).collect();
        let position = |name: &str, key: &str| {
            known.iter().position(|has| *has == name).ok_or_else(|| {
                let hint = match nearest(name, known.iter().copied()) {
                    Some(near) => format!("; did you mean {near:?}?"),
                    None => format!("; its parameters are: {}", known.join(", ")),
                };
                format!("{key} names {name:?}, which is no parameter of {}{hint}", spec.function)
            })
        };
        let mut sources: Vec<Option<Source>> = known.iter().map(|_| None).collect();
        let mut set = |at: usize, source: Source, key: &str| match &sources[at] {
            None => {
                sources[at] = Some(source);
                Ok(())
            }
            Some(_) => Err(format!("{key} names {:?}, which comes from elsewhere already", known[at])),
        };
        let plain = |at: usize, key: &str| {
            let ty = match &function.params[at].ty {
                Type::Option(inner) => inner,
                ty => ty,
            };
            if is_scalar(plan, ty) {
                return Ok(());
            }
            let (name, expected) = (known[at], plan.describe(ty));
            Err(format!("{key} names {name:?}, which is {expected}: only single values can stand there"))
        };
        for name in &spec.path_params {
            let key = format!("path = {:?}", spec.path);
            let at = position(name, &key)?;
            plain(at, &key)?;
            set(at, Source::Path(name.clone()), &key)?;
        }
        let mut by_query = HashMap::new();
        for (name, there) in &spec.query {
            let at = position(name, "query")?;
            set(at, Source::Query(there.clone()), "query")?;
            if by_query.insert(there.clone(), at).is_some() {
                return Err(format!("query has two parameters with the name {there:?}"));
            }
        }
        for (name, there) in &spec.header {
            let at = position(name, "headers")?;
            plain(at, "headers")?;
            let field = HeaderName::from_bytes(there.as_bytes());
            let field =
                field.map_err(|_| format!("headers has {there:?}, which is no name of a header field"))?;
            set(at, Source::Header(field), "headers")?;
        }
        if let Some(name) = &spec.body {
            set(position(name, "body")?, Source::Body, "body")?;
        }
        let bodiless = !spec.methods.is_empty()
            && spec.methods.iter().all(|method| [Method::GET, Method::HEAD, Method::DELETE].contains(method));
        if bodiless && let Some(name) = &spec.body {
            return Err(format!("body = {name:?} needs a method with a body, such as methods = [\"POST\"]"));
        }
        let names = plan.params(target.id);
        let mut all = Vec::with_capacity(sources.len());
        for (at, source) in sources.into_iter().enumerate() {
            all.push(match source {
                Some(source) => source,
                None if bodiless || spec.body.is_some() => {
                    let name = names.get(at).to_owned();
                    if by_query.insert(name.clone(), at).is_some() {
                        return Err(format!(
                            "two parameters have the name {name:?} in the query: rename one with query"
                        ));
                    }
                    Source::Query(name)
                }
                None => Source::Member,
            });
        }
        let deprecation = Deprecation::of(target.interface(), function);
        Ok(Bound {
            path: spec.path,
            methods: spec.methods,
            sources: all,
            status,
            by_query,
            deprecation,
            config,
            target,
        })
    }

    /// Whether there is a body to read.
    pub(crate) fn has_body(&self) -> bool {
        self.sources.iter().any(|source| matches!(source, Source::Body | Source::Member))
    }

    async fn answer(
        &self,
        request: Request<Body>,
        mut invocation: Invocation,
    ) -> Result<Response<Body>, Failure> {
        let media = media(&self.target, request.headers())?;
        let mut args = Args::new(&self.target.plan, self.target.id, self.config.limits());
        self.take_texts(&request, &invocation, &mut args)?;
        let (parts, body) = request.into_parts();
        let has_body = !http_body::Body::is_end_stream(&body);
        // To a function without parameters an object without members is as good as nothing.
        if self.has_body() || self.target.function().params.is_empty() {
            if has_body {
                negotiate::check_type(&parts.headers, &[JSON])?;
            }
            let (json, reservation) = collect(body, self.config.body_bytes_max, &self.config.memory).await?;
            let whole = self.sources.iter().position(|source| matches!(source, Source::Body));
            match whole {
                Some(_) if json.is_empty() => {}
                Some(at) => args.decode_one(at, &json)?,
                None if json.trim_ascii().is_empty() => {}
                None => args.decode(&json, false)?,
            }
            drop((json, reservation));
        } else if has_body {
            return Err(Failure::new(Kind::BadRequest, "This address takes no body."));
        }
        let args = args.finish()?;
        invocation.metadata = Metadata::of(parts.headers);
        let mut response = self.config.call(&self.target, args, None, media, self.status, invocation).await?;
        self.deprecation.write(response.headers_mut());
        Ok(response)
    }

    fn take_texts(
        &self,
        request: &Request<Body>,
        invocation: &Invocation,
        args: &mut Args<'_>,
    ) -> Result<(), Failure> {
        let params = &self.target.function().params;
        let mut found: Vec<Vec<String>> = vec![Vec::new(); params.len()];
        for (name, text) in query(request) {
            let at = self.by_query.get(&name);
            let at = at.ok_or_else(|| unknown_query(&name, self.by_query.keys().map(String::as_str)))?;
            found[*at].push(text);
        }
        for (at, source) in self.sources.iter().enumerate() {
            let (name, texts) = match source {
                Source::Path(name) => {
                    let text = invocation.params.iter().find(|(has, _)| **has == **name);
                    (name.as_str(), text.map(|(_, text)| text.clone()).into_iter().collect())
                }
                Source::Query(name) => (name.as_str(), std::mem::take(&mut found[at])),
                Source::Header(field) => {
                    let values = request.headers().get_all(field).iter();
                    let texts =
                        values.map(|value| value.to_str().map(str::to_owned)).collect::<Result<Vec<_>, _>>();
                    let texts = texts.map_err(|_| {
                        Failure::new(Kind::BadRequest, format!("{field}: is not visible ASCII"))
                    })?;
                    (field.as_str(), texts)
                }
                Source::Body | Source::Member => continue,
            };
            if texts.is_empty() && !may_be_absent(&self.target.plan, &params[at].ty) {
                let expected = self.target.plan.describe(&params[at].ty);
                let from = if matches!(source, Source::Header(_)) { "header" } else { "query" };
                let text = format!("{name}: is missing in the {from}; expected {expected}");
                return Err(Failure::new(Kind::BadRequest, text));
            }
            args.set_texts(at, name, &texts)?;
        }
        Ok(())
    }
}

impl HttpService for Bound {
    fn name(&self) -> &str {
        self.target.service.plugin()
    }

    fn call<'a>(
        &'a self,
        request: Request<Body>,
        invocation: Invocation,
    ) -> BoxFuture<'a, Result<Response<Body>, Failure>> {
        Box::pin(self.answer(request, invocation))
    }
}

fn status(spec: &BindingSpec, output: &Output) -> Result<Option<StatusCode>, String> {
    let Some(status) = spec.status else { return Ok(None) };
    let code = StatusCode::from_u16(status).ok().filter(StatusCode::is_success);
    let code =
        code.ok_or_else(|| format!("status = {status} is none of an answer that went well: 200 to 299"))?;
    if matches!(status, 204 | 205) && *output != Output::Nothing {
        return Err(format!("status = {status} has no body, and {} returns a value", spec.function));
    }
    Ok(Some(code))
}

/// The function that a route names.
fn find(operations: &[Arc<Operation>], spec: &BindingSpec) -> Result<Target, String> {
    let BindingSpec { plugin, function: wanted, .. } = spec;
    let of_plugin: Vec<_> =
        operations.iter().filter(|operation| operation.target.service.plugin() == plugin).collect();
    if of_plugin.is_empty() {
        return Err(format!("plugin {plugin:?} exports no interface of its own, so there is no {wanted:?}"));
    }
    let Some((interface, name)) = wanted.rsplit_once('.') else {
        return Err(format!(
            "function = {wanted:?} has to be \"INTERFACE.FUNCTION\", such as {:?}",
            short(of_plugin[0])
        ));
    };
    let is = |has: &Interface| has.name == interface || has.full_name() == interface;
    let mut found = of_plugin
        .iter()
        .filter(|operation| is(operation.target.interface()) && operation.target.function().name == name);
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one.target.clone()),
        (Some(one), Some(other)) => Err(format!(
            "function = {wanted:?} is in two interfaces: write \"{}.{name}\" or \"{}.{name}\"",
            one.target.interface().full_name(),
            other.target.interface().full_name(),
        )),
        (None, _) => {
            let all: Vec<_> = of_plugin.iter().map(|operation| short(operation)).collect();
            let hint = match nearest(wanted, all.iter().map(String::as_str)) {
                Some(near) => format!("; did you mean {near:?}?"),
                None => format!("; it has: {}", all[..all.len().min(20)].join(", ")),
            };
            Err(format!("plugin {plugin:?} has no function {wanted:?}{hint}"))
        }
    }
}

fn short(operation: &Operation) -> String {
    format!("{}.{}", operation.target.interface().name, operation.target.function().name)
}
