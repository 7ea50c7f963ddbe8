//! What `[doors]`, `[graphql]` and `[[link]]` say.

use std::collections::BTreeMap;

use super::source::Span;

/// `[doors]`: what functions of plugins are served through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DoorsEntry {
    /// `POST /rpc/PACKAGE/INTERFACE/FUNCTION`.
    pub(crate) rest: bool,
    /// `/openapi.json` and `/docs/`.
    pub(crate) openapi: bool,
    /// gRPC and gRPC-Web.
    pub(crate) grpc: bool,
    /// Whether gRPC clients may ask what there is, and `/proto/` gives it out as files.
    pub(crate) reflection: bool,
    /// `/graphql`.
    pub(crate) graphql: bool,
    /// `/jsonrpc`.
    pub(crate) jsonrpc: bool,
    /// The host that the doors are at; any without it.
    pub(crate) host: Option<wharf_gateway::HostPattern>,
    /// The largest message in either direction, in bytes.
    pub(crate) message_bytes_max: u64,
    /// How many calls one batch of JSON-RPC has.
    pub(crate) batch_max: usize,
}

impl Default for DoorsEntry {
    fn default() -> Self {
        DoorsEntry {
            rest: true,
            openapi: true,
            grpc: true,
            reflection: true,
            graphql: true,
            jsonrpc: true,
            host: None,
            message_bytes_max: 4 << 20,
            batch_max: 100,
        }
    }
}

/// `[graphql]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GraphqlEntry {
    /// Whether clients may ask for the schema.
    pub(crate) introspection: bool,
    /// Whether `/graphql` gives a browser GraphiQL.
    pub(crate) graphiql: bool,
    /// How deep selections are nested.
    pub(crate) depth_max: usize,
    /// How many fields an operation selects, with those of its fragments.
    pub(crate) complexity_max: usize,
    /// How many aliases a document has.
    pub(crate) aliases_max: usize,
    /// How many directives a document has.
    pub(crate) directives_max: usize,
    /// How many tokens a document has.
    pub(crate) tokens_max: usize,
    /// How many operations one request has; 0 refuses lists.
    pub(crate) batch_max: usize,
    /// How many keys one call of a link has.
    pub(crate) link_batch_max: usize,
    /// Documents that clients send by their digest, by names of the operator's.
    pub(crate) documents: BTreeMap<String, String>,
    /// Whether nothing but those is run.
    pub(crate) documents_only: bool,
}

impl Default for GraphqlEntry {
    fn default() -> Self {
        GraphqlEntry {
            introspection: true,
            graphiql: true,
            depth_max: 15,
            complexity_max: 1_000,
            aliases_max: 100,
            directives_max: 50,
            tokens_max: 10_000,
            batch_max: 0,
            link_batch_max: 1_000,
            documents: BTreeMap::new(),
            documents_only: false,
        }
    }
}

/// What a plugin says of the doors: `doors`, `queries` and `graphql_prefix` of `[plugin.NAME]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PluginDoors {
    /// The doors that it is served through; all that there are without it.
    pub(crate) only: Option<Vec<String>>,
    /// Functions that change nothing, as INTERFACE.FUNCTION.
    pub(crate) queries: Vec<String>,
    /// What stands before its names in GraphQL.
    pub(crate) graphql_prefix: Option<String>,
}

impl PluginDoors {
    /// The names that `doors` may have.
    pub(crate) const NAMES: [&'static str; 4] = ["rest", "grpc", "graphql", "jsonrpc"];

    /// Whether the plugin is served through `door`.
    pub(crate) fn has(&self, door: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only.iter().any(|name| name == door))
    }
}

/// A function that a route leads to: `function` of `[[route]]`, and where its parameters come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FunctionEntry {
    /// INTERFACE.FUNCTION.
    pub(crate) name: String,
    /// Where it stands.
    pub(crate) at: Span,
    /// The parameter that the whole body is.
    pub(crate) body: Option<String>,
    /// What parameters are called in the query, by their own names.
    pub(crate) query: BTreeMap<String, String>,
    /// The header fields that parameters are in, by their own names.
    pub(crate) headers: BTreeMap<String, String>,
    /// The status of a good answer.
    pub(crate) status: Option<u16>,
}

/// `[[link]]`: a field of one type that a function of another plugin loads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LinkEntry {
    /// The plugin, the type and its field: `products/order.user-id`.
    pub(crate) field: Place,
    /// The new field's name.
    pub(crate) name: String,
    /// The plugin, the interface and the function: `users/accounts.load-users`.
    pub(crate) load: Place,
    /// Where it stands.
    pub(crate) at: Span,
}

/// PLUGIN/NAME.NAME.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The plugin, which exists.
    pub(crate) plugin: String,
    /// The type, or the interface.
    pub(crate) within: String,
    /// The field, or the function.
    pub(crate) name: String,
}

impl Place {
    /// Reads `products/order.user-id`. A type's interface may stand before it: `products/orders.order.user-id`.
    pub(crate) fn parse(text: &str) -> Option<Place> {
        let (plugin, rest) = text.split_once('/')?;
        let (within, name) = rest.rsplit_once('.')?;
        let whole = [plugin, within, name].iter().all(|part| !part.is_empty());
        whole.then(|| Place { plugin: plugin.into(), within: within.into(), name: name.into() })
    }
}
