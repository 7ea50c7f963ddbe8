use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use wharf_gateway::{HostPattern, RoutePattern};

use super::number;
use super::plugin::Declared;
use super::route::unknown_plugin;
use crate::manifest::doors::{DoorsEntry, FunctionEntry, GraphqlEntry, LinkEntry, Place, PluginDoors};
use crate::manifest::section::{Found, Problems, Section, a};
use wharf_call::suggest::nearest;

/// `[doors]`.
pub(super) fn read_doors(problems: &mut Problems<'_>, doors: &Section<'_>) -> DoorsEntry {
    let default = DoorsEntry::default();
    let host = doors.text(problems, "host").and_then(|Found { value, at }| {
        let parsed = HostPattern::parse(&value);
        if let Err(error) = &parsed {
            problems.error(&at, error.to_string()).help("for example").write("host = \"api.example.com\"");
        }
        parsed.ok()
    });
    let mut flag = |name, default| doors.flag(problems, name).unwrap_or(default);
    DoorsEntry {
        rest: flag("rest", default.rest),
        openapi: flag("openapi", default.openapi),
        grpc: flag("grpc", default.grpc),
        reflection: flag("reflection", default.reflection),
        graphql: flag("graphql", default.graphql),
        jsonrpc: flag("jsonrpc", default.jsonrpc),
        host,
        message_bytes_max: number(doors.size(problems, "message_bytes"), default.message_bytes_max),
        batch_max: number(doors.count(problems, "batch"), default.batch_max),
    }
}

/// `[graphql]`.
pub(super) fn read_graphql(problems: &mut Problems<'_>, graphql: &Section<'_>) -> GraphqlEntry {
    let default = GraphqlEntry::default();
    let p = problems;
    GraphqlEntry {
        introspection: graphql.flag(p, "introspection").unwrap_or(default.introspection),
        graphiql: graphql.flag(p, "graphiql").unwrap_or(default.graphiql),
        depth_max: number(graphql.count(p, "depth"), default.depth_max),
        complexity_max: number(graphql.count(p, "complexity"), default.complexity_max),
        aliases_max: number(graphql.count(p, "aliases"), default.aliases_max),
        directives_max: number(graphql.count(p, "directives"), default.directives_max),
        tokens_max: number(graphql.count(p, "tokens"), default.tokens_max),
        batch_max: number(graphql.count(p, "batch"), default.batch_max),
        link_batch_max: number(graphql.count(p, "link_batch"), default.link_batch_max),
        documents: graphql.text_table(p, "documents").unwrap_or_default(),
        documents_only: graphql.flag(p, "documents_only").unwrap_or(default.documents_only),
    }
}

/// What `[plugin.NAME]` says of the doors.
pub(super) fn read_plugin_doors(problems: &mut Problems<'_>, plugin: &Section<'_>) -> PluginDoors {
    let only = plugin.texts(problems, "doors").map(|found| {
        let known = |Found { value, at }: Found<String>| {
            if PluginDoors::NAMES.contains(&value.as_str()) {
                return Some(value);
            }
            let problem = problems.error(&at, format!("there is no door {value:?}"));
            match nearest(&value, PluginDoors::NAMES) {
                Some(near) => problem.help(format!("did you mean `{near}`?")).write(format!("{near:?}")),
                None => problem.help(format!("the doors are {}", PluginDoors::NAMES.join(", "))),
            };
            None
        };
        found.value.into_iter().filter_map(known).collect()
    });
    let queries = plugin.texts(problems, "queries").map(|found| found.value).unwrap_or_default();
    let queries = queries.into_iter().filter_map(|found| function_name(problems, found, "queries")).collect();
    let graphql_prefix = plugin.parsed(problems, "graphql_prefix", |prefix| {
        let fits = prefix.starts_with(|first: char| first.is_ascii_uppercase())
            && prefix.len() <= 32
            && prefix.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let what = || {
            (
                format!("is {prefix:?}, but must be an upper-case letter, then up to 31 letters and digits"),
                None,
            )
        };
        if fits { Ok(prefix.to_owned()) } else { Err(what()) }
    });
    PluginDoors { only, queries, graphql_prefix: graphql_prefix.map(|found| found.value) }
}

/// `function` of a route, and the keys that go with it.
pub(super) fn read_function(
    problems: &mut Problems<'_>,
    route: &Section<'_>,
    pattern: Option<&RoutePattern>,
) -> Option<FunctionEntry> {
    const WITH_FUNCTION: [&str; 4] = ["body", "query", "headers", "status"];
    let function = route.text(problems, "function");
    let Some(Found { value, at }) = function else {
        for key in WITH_FUNCTION.iter().filter(|key| route.entry(key).is_some()) {
            let at = route.entry(key).map(|(at, _)| at).unwrap_or_default();
            problems
                .error(
                    &at,
                    format!(
                        "`{key}` says where a function's parameters come from, and there is no `function`"
                    ),
                )
                .help("name it")
                .write("function = \"accounts.get-user\"");
        }
        return None;
    };
    if let Some(pattern) = pattern
        && pattern.as_str().contains("{*")
    {
        problems
            .error(&at, "a route with `{*rest}` cannot lead to a function, which has no parameter for it")
            .help("name the parts that are parameters, such as")
            .write("path = \"/users/{id}\"");
    }
    let name = function_name(problems, Found { value, at: at.clone() }, "function")?;
    let body = route.text(problems, "body").map(|found| found.value);
    let status = route.count(problems, "status").and_then(|found| u16::try_from(found.value).ok());
    let query = route.text_table(problems, "query").unwrap_or_default();
    let headers = route.text_table(problems, "headers").unwrap_or_default();
    Some(FunctionEntry { name, at, body, query, headers, status })
}

/// INTERFACE.FUNCTION, possibly with the package before it.
fn function_name(problems: &mut Problems<'_>, found: Found<String>, key: &str) -> Option<String> {
    let Found { value, at } = found;
    let whole = value.rsplit_once('.').is_some_and(|(within, name)| !within.is_empty() && !name.is_empty());
    if !whole {
        problems
            .error(
                &at,
                format!("{value:?} in `{key}` is not an interface and a function with a dot between them"),
            )
            .help("for example")
            .write("function = \"accounts.get-user\"");
    }
    whole.then_some(value)
}

/// `[[link]]`, all of them.
pub(super) fn read_links(
    problems: &mut Problems<'_>,
    root: &DeTable<'_>,
    plugins: &BTreeMap<String, Declared>,
) -> Vec<LinkEntry> {
    let Some((key, value)) = root.get_key_value("link") else { return Vec::new() };
    let Some(array) = value.get_ref().as_array() else {
        problems
            .error(&key.span(), "`link` must be a list: a section in two brackets for each link")
            .help("write")
            .write("[[link]]")
            .write(EXAMPLE[0])
            .write(EXAMPLE[1])
            .write(EXAMPLE[2]);
        return Vec::new();
    };
    array.iter().filter_map(|value| read_link(problems, value, plugins)).collect()
}

const EXAMPLE: [&str; 3] =
    ["field = \"products/order.user-id\"", "as = \"user\"", "load = \"users/accounts.load-users\""];

fn read_link(
    problems: &mut Problems<'_>,
    value: &Spanned<DeValue<'_>>,
    plugins: &BTreeMap<String, Declared>,
) -> Option<LinkEntry> {
    let Some(table) = value.get_ref().as_table() else {
        let message = format!("a link must be a table, not {}", a(value.get_ref()));
        problems.error(&value.span(), message).help("write").write("[[link]]").write(EXAMPLE[0]);
        return None;
    };
    let link = Section::of_table(problems, "link", "[link]".to_owned(), value.span(), table);
    let mut place = |key: &str| {
        let found = link.parsed(problems, key, |text| {
            let what = || (format!("is {text:?}, which is not PLUGIN/NAME.NAME"), None);
            Place::parse(text).ok_or_else(what)
        });
        let found = link.required(problems, key, found)?;
        if !plugins.contains_key(&found.value.plugin) {
            unknown_plugin(problems, &found.value.plugin, &found.at, plugins);
        }
        Some(found)
    };
    let field = place("field");
    let load = place("load");
    let name = link.text(problems, "as");
    let name = link.required(problems, "as", name)?;
    let Found { value: field, at } = field?;
    Some(LinkEntry { field, name: name.value, load: load?.value, at })
}
