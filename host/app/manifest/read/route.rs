use std::collections::BTreeMap;

use http::Method;
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use wharf_gateway::{HostPattern, RoutePattern};

use super::doors::read_function;
use super::plugin::Declared;
use crate::manifest::RouteEntry;
use crate::manifest::section::{Found, Problems, Section, a};
use crate::manifest::source::Span;
use wharf_call::suggest::nearest;

/// Methods that are not for plugins: a tunnel (RFC 9110, section 9.3.6) and an echo of credentials (9.3.8).
const METHODS_REFUSED: &[&str] = &["CONNECT", "TRACE"];

/// `[[route]]`, all of them.
pub(super) fn read_routes(
    problems: &mut Problems<'_>,
    root: &DeTable<'_>,
    plugins: &BTreeMap<String, Declared>,
) -> Vec<RouteEntry> {
    let Some((key, value)) = root.get_key_value("route") else { return Vec::new() };
    let Some(array) = value.get_ref().as_array() else {
        let problem =
            problems.error(&key.span(), "`route` must be a list: a section in two brackets for each route");
        problem.help("write").write("[[route]]").write("path = \"/notes/{id}\"");
        return Vec::new();
    };
    array.iter().filter_map(|value| read_route(problems, value, plugins)).collect()
}

fn read_route(
    problems: &mut Problems<'_>,
    value: &Spanned<DeValue<'_>>,
    plugins: &BTreeMap<String, Declared>,
) -> Option<RouteEntry> {
    let Some(table) = value.get_ref().as_table() else {
        let message = format!("a route must be a table, not {}", a(value.get_ref()));
        problems
            .error(&value.span(), message)
            .help("write")
            .write("[[route]]")
            .write("path = \"/notes/{id}\"");
        return None;
    };
    let route = Section::of_table(problems, "route", "[route]".to_owned(), value.span(), table);
    let path = route.text(problems, "path");
    let path = route.required(problems, "path", path);
    let pattern = path.and_then(|Found { value, at }| match RoutePattern::parse(&value) {
        Ok(pattern) => Some((pattern, at)),
        // The gateway's own words, which say what to write.
        Err(error) => {
            problems.error(&at, error.to_string()).help("for example").write("path = \"/notes/{id}\"");
            None
        }
    });
    let host = route.text(problems, "host").and_then(|Found { value, at }| {
        let parsed = HostPattern::parse(&value);
        if let Err(error) = &parsed {
            problems.error(&at, error.to_string()).help("for example").write("host = \"api.example.com\"");
        }
        parsed.ok()
    });
    let methods = read_methods(problems, &route);
    let plugin = route.text(problems, "plugin");
    let plugin = route.required(problems, "plugin", plugin)?;
    if !plugins.contains_key(&plugin.value) {
        unknown_plugin(problems, &plugin.value, &plugin.at, plugins);
    }
    let function = read_function(problems, &route, pattern.as_ref().map(|(pattern, _)| pattern));
    let (pattern, path_at) = pattern?;
    let idempotent = route.flag(problems, "idempotent").unwrap_or(false);
    Some(RouteEntry { pattern, host, methods, plugin: plugin.value, function, idempotent, path_at })
}

/// Says that there is no such plugin, and which one may be meant.
pub(super) fn unknown_plugin(
    problems: &mut Problems<'_>,
    name: &str,
    at: &Span,
    plugins: &BTreeMap<String, Declared>,
) {
    let problem = problems.error(at, format!("there is no plugin {name:?}"));
    match nearest(name, plugins.keys().map(String::as_str)) {
        Some(near) => problem.help(format!("did you mean `{near}`?")).write(format!("plugin = {near:?}")),
        None => problem
            .help("declare it")
            .write(format!("[plugin.{name}]"))
            .write(format!("component = \"{name}.wasm\"")),
    };
}

fn read_methods(problems: &mut Problems<'_>, route: &Section<'_>) -> Vec<Method> {
    let Some(found) = route.texts(problems, "methods") else { return Vec::new() };
    if found.value.is_empty() {
        problems
            .error(&found.at, "`methods` is empty, so the route would match nothing")
            .help("leave it out to match every method");
    }
    let mut methods: Vec<Method> = Vec::new();
    for Found { value: method, at } in found.value {
        let upper = method.to_ascii_uppercase();
        if METHODS_REFUSED.contains(&&*upper) {
            problems
                .error(&at, format!("{upper} cannot be routed to a plugin"))
                .help("remove it: the host refuses this method");
        } else if method != upper {
            problems
                .error(&at, format!("the method {method:?} is not in upper case"))
                .help("methods are case-sensitive; write")
                .write(format!("{upper:?}"));
        } else {
            match Method::from_bytes(method.as_bytes()) {
                Ok(known) if methods.contains(&known) => {
                    problems
                        .error(&at, format!("the method {method:?} is there twice"))
                        .help("keep one of them");
                }
                Ok(new) => methods.push(new),
                Err(_) => {
                    let problem = problems.error(&at, format!("{method:?} is not a method"));
                    problem.help("for example").write("methods = [\"GET\", \"POST\"]");
                }
            }
        }
    }
    methods
}

/// Two routes that match the same requests. The gateway finds what is ambiguous in other ways.
pub(super) fn refuse_equal_routes(problems: &mut Problems<'_>, routes: &[RouteEntry]) {
    for (index, route) in routes.iter().enumerate() {
        let overlaps = |other: &&RouteEntry| {
            shape(&other.pattern) == shape(&route.pattern)
                && other.host == route.host
                && (other.methods.is_empty() == route.methods.is_empty())
                && (route.methods.is_empty()
                    || other.methods.iter().any(|method| route.methods.contains(method)))
        };
        if let Some(first) = routes[..index].iter().find(overlaps) {
            let source = problems.source;
            problems
                .error(
                    &route.path_at,
                    format!(
                        "the route {:?} matches the same requests as {:?}",
                        route.pattern.as_str(),
                        first.pattern.as_str()
                    ),
                )
                .see(source, &first.path_at, "the other route")
                .help("remove one of them, or tell them apart with `host` or `methods`");
        }
    }
}

/// The path without the names of its parameters.
fn shape(pattern: &RoutePattern) -> Vec<&str> {
    let path = pattern.as_str();
    let segment = |part| match part {
        part if str::starts_with(part, "{*") => "{*}",
        part if part.starts_with('{') => "{}",
        part => part,
    };
    path.strip_suffix('/').unwrap_or(path).split('/').map(segment).collect()
}
