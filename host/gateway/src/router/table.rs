use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method};
use wharf_call::HttpService;

use super::pattern::{HostPattern, RoutePattern, Segment};
use crate::metrics::RouteMetrics;

/// One route as the manifest has it.
#[derive(Clone)]
pub struct RouteSpec {
    /// The hosts that it serves; `None` means every host.
    pub host: Option<HostPattern>,
    /// The methods that it serves; empty means every method.
    pub methods: Vec<Method>,
    /// The paths that it serves.
    pub pattern: RoutePattern,
    /// Who answers.
    pub target: Arc<dyn HttpService>,
    /// Whether the same request made twice is as good as once, whatever its method.
    pub idempotent: bool,
}

/// Two routes that match the same requests, neither being more specific.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ambiguity {
    /// Where the earlier one is in the list.
    pub first: usize,
    /// Where the later one is in the list.
    pub second: usize,
    /// What they share, and what to do about it.
    pub message: String,
}

impl fmt::Display for Ambiguity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Ambiguity {}

/// All routes, ready to be searched. Building one registers the metrics of its routes.
#[derive(Default)]
pub struct RouteTable {
    exact_hosts: HashMap<Box<str>, Node>,
    /// By `.example.com`, the longest first.
    wildcard_hosts: Vec<(Box<str>, Node)>,
    every_host: Node,
    /// What answers calls of gRPC that no route matches.
    grpc: Option<Arc<Route>>,
}

/// What a request needs of its route.
pub(crate) struct Route {
    pub(crate) pattern: RoutePattern,
    pub(crate) target: Arc<dyn HttpService>,
    pub(crate) metrics: RouteMetrics,
    pub(crate) idempotent: bool,
    index: usize,
}

/// The answer to "who serves this?".
pub(crate) enum Found {
    /// This route.
    Route(Arc<Route>),
    /// The path exists, but not for the method; the value of an `Allow` header.
    OtherMethods(String),
    /// There is nothing at this address.
    Nothing,
}

/// The routes below one segment of the path.
#[derive(Default)]
struct Node {
    fixed: HashMap<Box<str>, Node>,
    param: Option<Box<Node>>,
    /// Routes that end in `{*rest}` here.
    rest: Endpoint,
    /// Routes that end here.
    here: Endpoint,
}

/// The routes of one shape of path, by method.
#[derive(Default)]
struct Endpoint {
    by_method: Vec<(Method, Arc<Route>)>,
    every_method: Option<Arc<Route>>,
}

impl RouteTable {
    /// Builds the table, or says which routes are ambiguous: all of them, by their place in `specs`.
    pub fn build(specs: Vec<RouteSpec>) -> Result<Self, Vec<Ambiguity>> {
        let mut table = RouteTable::default();
        let mut ambiguities = Vec::new();
        for (index, spec) in specs.into_iter().enumerate() {
            let endpoint = table.tree(spec.host.as_ref()).endpoint(&spec.pattern);
            let metrics = RouteMetrics::register(spec.pattern.as_str(), spec.target.name());
            let route = Arc::new(Route {
                pattern: spec.pattern,
                target: spec.target,
                metrics,
                idempotent: spec.idempotent,
                index,
            });
            if let Some(other) = endpoint.overlapping(&spec.methods) {
                ambiguities.push(Ambiguity {
                    first: other.index,
                    second: index,
                    message: ambiguity(&other, &route, spec.host.as_ref()),
                });
                continue;
            }
            if spec.methods.is_empty() {
                endpoint.every_method = Some(route);
            } else {
                endpoint.by_method.extend(spec.methods.into_iter().map(|method| (method, route.clone())));
            }
        }
        table.wildcard_hosts.sort_by_key(|(suffix, _)| std::cmp::Reverse(suffix.len()));
        if ambiguities.is_empty() { Ok(table) } else { Err(ambiguities) }
    }

    /// Adds what answers the calls of gRPC that no route matches, whatever their path: its clients are to be told in
    /// gRPC that there is no such method.
    pub fn with_grpc(mut self, target: Arc<dyn HttpService>) -> Self {
        let pattern = RoutePattern::parse("/{*method}").expect("it is one");
        let metrics = RouteMetrics::register(pattern.as_str(), target.name());
        self.grpc = Some(Arc::new(Route { pattern, target, metrics, idempotent: false, index: usize::MAX }));
        self
    }

    /// The route for a call of gRPC that no other route matches.
    pub(crate) fn grpc_route(&self, headers: &HeaderMap) -> Option<Arc<Route>> {
        let route = self.grpc.as_ref()?;
        let content_type = headers.get(CONTENT_TYPE)?.as_bytes();
        content_type.starts_with(b"application/grpc").then(|| route.clone())
    }

    fn tree(&mut self, host: Option<&HostPattern>) -> &mut Node {
        match host {
            None => &mut self.every_host,
            Some(host) if host.is_wildcard() => {
                let suffix = format!(".{}", host.name()).into_boxed_str();
                let known = self.wildcard_hosts.iter().position(|(known, _)| *known == suffix);
                let at = known.unwrap_or_else(|| {
                    self.wildcard_hosts.push((suffix, Node::default()));
                    self.wildcard_hosts.len() - 1
                });
                &mut self.wildcard_hosts[at].1
            }
            Some(host) => self.exact_hosts.entry(host.name().into()).or_default(),
        }
    }

    /// Whether there is a route for a request with this path, which is taken as it would stand in one.
    pub fn serves(&self, host: &str, method: &Method, path: &str) -> bool {
        let path = crate::path::normalise(path);
        path.is_ok_and(|path| matches!(self.find(host, method, &path.segments), Found::Route(_)))
    }

    /// Finds the route of a request. `host` is without its port; it is empty for HTTP/1.0 without one.
    pub(crate) fn find(&self, host: &str, method: &Method, segments: &[Cow<'_, str>]) -> Found {
        let mut search = Search { method, segments, allow: Vec::new() };
        if !self.exact_hosts.is_empty() || !self.wildcard_hosts.is_empty() {
            let host = host.strip_suffix('.').unwrap_or(host);
            let host = if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
                Cow::Owned(host.to_ascii_lowercase())
            } else {
                Cow::Borrowed(host)
            };
            let exact = self.exact_hosts.get(&*host);
            let wildcards = self.wildcard_hosts.iter();
            let wildcards = wildcards
                .filter(|(suffix, _)| host.len() > suffix.len() && host.ends_with(&**suffix))
                .map(|(_, tree)| tree);
            for tree in exact.into_iter().chain(wildcards) {
                if let Some(route) = search.below(tree, 0) {
                    return Found::Route(route.clone());
                }
            }
        }
        match search.below(&self.every_host, 0) {
            Some(route) => Found::Route(route.clone()),
            None if search.allow.is_empty() => Found::Nothing,
            None => Found::OtherMethods(search.allow_value()),
        }
    }
}

impl Node {
    fn endpoint(&mut self, pattern: &RoutePattern) -> &mut Endpoint {
        let mut node = self;
        for segment in pattern.segments() {
            node = match segment {
                Segment::Fixed(text) => node.fixed.entry(text.clone()).or_default(),
                Segment::Param(_) => node.param.get_or_insert_default(),
                Segment::Rest(_) => return &mut node.rest,
            };
        }
        &mut node.here
    }
}

impl Endpoint {
    fn overlapping(&self, methods: &[Method]) -> Option<Arc<Route>> {
        let by_method = || {
            let mut served = self.by_method.iter();
            served.find(|(method, _)| methods.is_empty() || methods.contains(method)).map(|(_, route)| route)
        };
        self.every_method.as_ref().or_else(by_method).cloned()
    }

    fn serves(&self, method: &Method) -> Option<&Arc<Route>> {
        let find = |wanted: &Method| self.by_method.iter().find(|(method, _)| method == wanted);
        let listed = find(method).or_else(|| if *method == Method::HEAD { find(&Method::GET) } else { None });
        listed.map(|(_, route)| route).or(self.every_method.as_ref())
    }
}

/// A depth-first walk that tries the more specific branch first and comes back when it leads nowhere.
struct Search<'a> {
    method: &'a Method,
    segments: &'a [Cow<'a, str>],
    /// The methods of routes that matched but for their method.
    allow: Vec<Method>,
}

impl Search<'_> {
    fn below<'t>(&mut self, node: &'t Node, depth: usize) -> Option<&'t Arc<Route>> {
        let Some(segment) = self.segments.get(depth) else {
            return self.ends(&node.here).or_else(|| self.ends(&node.rest));
        };
        if let Some(child) = node.fixed.get(&**segment)
            && let Some(route) = self.below(child, depth + 1)
        {
            return Some(route);
        }
        if let Some(child) = &node.param
            && let Some(route) = self.below(child, depth + 1)
        {
            return Some(route);
        }
        self.ends(&node.rest)
    }

    fn ends<'t>(&mut self, endpoint: &'t Endpoint) -> Option<&'t Arc<Route>> {
        let served = endpoint.serves(self.method);
        if served.is_none() {
            self.allow.extend(endpoint.by_method.iter().map(|(method, _)| method.clone()));
        }
        served
    }

    fn allow_value(mut self) -> String {
        if self.allow.contains(&Method::GET) {
            self.allow.push(Method::HEAD);
        }
        self.allow.push(Method::OPTIONS);
        self.allow.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        self.allow.dedup();
        let names: Vec<_> = self.allow.iter().map(Method::as_str).collect();
        names.join(", ")
    }
}

impl Route {
    /// The values of the pattern's parameters, from the segments that it matched.
    pub(crate) fn params(&self, segments: &[Cow<'_, str>]) -> Vec<(Arc<str>, String)> {
        let mut params = Vec::new();
        for (at, segment) in self.pattern.segments().iter().enumerate() {
            match segment {
                Segment::Fixed(_) => {}
                Segment::Param(name) => params.push((name.clone(), segments[at].to_string())),
                Segment::Rest(name) => params.push((name.clone(), segments[at..].join("/"))),
            }
        }
        params
    }
}

fn ambiguity(first: &Route, second: &Route, host: Option<&HostPattern>) -> String {
    let on = host.map(|host| format!(" on {host}")).unwrap_or_default();
    format!(
        "\"{}\" of plugin \"{}\" and \"{}\" of plugin \"{}\" match the same requests{on}: \
         give them different methods, hosts or paths, or remove one",
        first.pattern,
        first.target.name(),
        second.pattern,
        second.target.name(),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;
    use http::{Request, Response};
    use wharf_call::{Body, BoxFuture, Failure, Invocation};

    struct Named(&'static str);

    impl HttpService for Named {
        fn name(&self) -> &str {
            self.0
        }
        fn call<'a>(
            &'a self,
            _: Request<Body>,
            _: Invocation,
        ) -> BoxFuture<'a, Result<Response<Body>, Failure>> {
            Box::pin(async { Ok(Response::new(Body::Empty)) })
        }
    }

    /// `[HOST ]METHODS PATH`, the methods being `*` or separated by commas.
    fn spec(text: &'static str) -> RouteSpec {
        let words: Vec<_> = text.split(' ').collect();
        let (host, methods, path) = match words[..] {
            [methods, path] => (None, methods, path),
            [host, methods, path] => (Some(HostPattern::parse(host).unwrap()), methods, path),
            _ => panic!("{text}"),
        };
        let methods = match methods {
            "*" => Vec::new(),
            list => list.split(',').map(|method| method.parse().unwrap()).collect(),
        };
        RouteSpec {
            host,
            methods,
            pattern: RoutePattern::parse(path).unwrap(),
            target: Arc::new(Named(text)),
            idempotent: false,
        }
    }

    fn table(specs: &[&'static str]) -> RouteTable {
        RouteTable::build(specs.iter().map(|text| spec(text)).collect()).unwrap()
    }

    /// The spec that serves the request, `405 ` with Allow, or `404`.
    fn find(table: &RouteTable, host: &str, method: &str, path: &str) -> String {
        let path = crate::path::normalise(path).unwrap();
        match table.find(host, &method.parse().unwrap(), &path.segments) {
            Found::Route(route) => route.target.name().to_owned(),
            Found::OtherMethods(allow) => format!("405 {allow}"),
            Found::Nothing => "404".to_owned(),
        }
    }

    #[test]
    fn the_most_specific_path_wins_whatever_the_order() {
        let table =
            table(&["* /{*rest}", "* /a/{x}", "* /a/b", "* /a/{x}/c", "* /a/b/{y}/d", "* /a/{*rest}"]);
        for (path, route) in [
            ("/", "* /{*rest}"),
            ("/z/y", "* /{*rest}"),
            ("/a", "* /a/{*rest}"),
            ("/a/b", "* /a/b"),
            ("/a/b/", "* /a/b"),
            ("/a/%62", "* /a/b"),
            ("/a/q", "* /a/{x}"),
            ("/a/b/c", "* /a/{x}/c"),
            ("/a/b/c/d", "* /a/b/{y}/d"),
            ("/a/b/c/e", "* /a/{*rest}"),
            ("/a/q/z", "* /a/{*rest}"),
        ] {
            assert_eq!(find(&table, "", "GET", path), route, "{path}");
        }
    }

    #[test]
    fn a_dead_end_of_fixed_segments_falls_back_to_parameters() {
        let table = table(&["* /a/b/d", "* /a/{x}/c"]);
        assert_eq!(find(&table, "", "GET", "/a/b/c"), "* /a/{x}/c");
        assert_eq!(find(&table, "", "GET", "/a/b/e"), "404");
    }

    #[test]
    fn hosts_go_before_paths() {
        let table = table(&[
            "* /a/b",
            "*.example.com * /{*rest}",
            "*.api.example.com * /{*rest}",
            "api.example.com * /a/{x}",
        ]);
        for (host, path, route) in [
            ("other", "/a/b", "* /a/b"),
            ("", "/a/b", "* /a/b"),
            ("example.com", "/a/b", "* /a/b"),
            ("www.example.com", "/a/b", "*.example.com * /{*rest}"),
            ("WWW.Example.COM.", "/a/b", "*.example.com * /{*rest}"),
            ("v1.api.example.com", "/a/b", "*.api.example.com * /{*rest}"),
            ("api.example.com", "/a/b", "api.example.com * /a/{x}"),
            ("api.example.com", "/z", "*.example.com * /{*rest}"),
            ("notexample.com", "/a/b", "* /a/b"),
            ("other", "/z", "404"),
        ] {
            assert_eq!(find(&table, host, "GET", path), route, "{host}{path}");
        }
    }

    #[test]
    fn methods_decide_among_paths_that_match() {
        let table = table(&["GET,DELETE /a/{x}", "PUT /a/b", "POST /a/b"]);
        assert_eq!(find(&table, "", "PUT", "/a/b"), "PUT /a/b");
        assert_eq!(find(&table, "", "GET", "/a/b"), "GET,DELETE /a/{x}");
        assert_eq!(find(&table, "", "HEAD", "/a/b"), "GET,DELETE /a/{x}");
        assert_eq!(find(&table, "", "PATCH", "/a/b"), "405 DELETE, GET, HEAD, OPTIONS, POST, PUT");
        assert_eq!(find(&table, "", "PATCH", "/a/q"), "405 DELETE, GET, HEAD, OPTIONS");
        assert_eq!(find(&table, "", "get", "/a/q"), "405 DELETE, GET, HEAD, OPTIONS");
    }

    #[test]
    fn a_head_route_goes_before_the_get_route() {
        let table = table(&["GET /a", "HEAD /a"]);
        assert_eq!(find(&table, "", "HEAD", "/a"), "HEAD /a");
    }

    #[test]
    fn every_ambiguity_is_reported_with_both_places() {
        let specs =
            ["GET,POST /a/{x}", "* /b", "POST /a/{y}", "GET /b", "h * /b", "PUT /a/{z}", "GET /a/{*x}"];
        let found = RouteTable::build(specs.iter().map(|text| spec(text)).collect()).err().unwrap();
        let places: Vec<_> = found.iter().map(|ambiguity| (ambiguity.first, ambiguity.second)).collect();
        assert_eq!(places, [(0, 2), (1, 3)]);
        assert!(found[0].message.contains("\"/a/{x}\""), "{}", found[0]);
        assert!(found[0].message.contains("\"/a/{y}\""), "{}", found[0]);
    }

    #[test]
    fn parameters_are_taken_from_their_segments() {
        let table = table(&["* /a/{x}/{*rest}"]);
        let path = crate::path::normalise("/a/b%2Fc/d%20e/f").unwrap();
        let Found::Route(route) = table.find("", &Method::GET, &path.segments) else { panic!("no route") };
        let params = route.params(&path.segments);
        let params: Vec<_> = params.iter().map(|(name, value)| (&**name, value.as_str())).collect();
        assert_eq!(params, [("x", "b/c"), ("rest", "d e/f")]);
    }
}
