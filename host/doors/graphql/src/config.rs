//! What the manifest says about GraphQL.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use wharf_doors::websocket::SocketLimits;

/// How plugins are served as GraphQL. Everything that a client can make large has a bound here.
#[derive(Clone, Debug)]
pub struct GraphqlConfig {
    /// What is said of single plugins, by their names in the manifest.
    pub plugins: BTreeMap<String, PluginOptions>,
    /// Whether `__schema` and `__type` are answered. Default true.
    pub introspection: bool,
    /// Whether a browser that asks for HTML gets GraphiQL. Default true.
    pub graphiql: bool,
    /// The most bytes of a request's body. Default 1 MiB.
    pub body_bytes_max: u64,
    /// The most bytes of a query. Default 64 KiB.
    pub query_bytes_max: usize,
    /// The most tokens of a query, counted before it is parsed. Default 10,000.
    pub tokens_max: usize,
    /// How deep fields may be nested, fragments included. The query with which clients introspect takes 15. Default 15.
    pub depth_max: usize,
    /// The most fields of an operation, those of a fragment counted wherever it is spread. All operations and fragments of a
    /// document together may have ten times as many, with the variables that they use. Default 1,000.
    pub complexity_max: usize,
    /// The most aliases of a document. Default 100.
    pub aliases_max: usize,
    /// The most fields at the root of an operation: each is a call of a plugin. Default 50.
    pub root_fields_max: usize,
    /// The most directives of a document. Default 50.
    pub directives_max: usize,
    /// The most operations in one body; 0 refuses batches. Default 0.
    pub batch_max: usize,
    /// The most bytes that the arguments of one operation take in the host's memory: a variable counts wherever it is
    /// used. Default 16 MiB.
    pub args_bytes_max: usize,
    /// The most bytes of one response, with what it takes to load its linked values. Default 16 MiB.
    pub response_bytes_max: usize,
    /// The most keys of one call that loads linked values. Default 1,000.
    pub load_batch_max: usize,
    /// The most different keys that one operation loads. Default 10,000.
    pub loads_max: usize,
    /// Queries that are known beforehand.
    pub persisted: PersistedConfig,
    /// What holds for one WebSocket.
    pub socket: SocketConfig,
}

/// What the manifest says of one plugin: `[plugin.NAME]`.
#[derive(Clone, Debug, Default)]
pub struct PluginOptions {
    /// Stands before the names of its types and, in lower case, of its fields: `Shop` makes `ShopUser` and
    /// `shopGetUser`.
    pub prefix: Option<String>,
    /// Functions that change nothing, beside those that the WIT marks with `@query`: `accounts.get-user`, or
    /// `get-user` where one interface has it.
    pub queries: Vec<String>,
}

/// Queries that are known beforehand.
#[derive(Clone, Debug)]
pub struct PersistedConfig {
    /// How many queries are kept that clients register by their hash (Apollo's automatic persisted queries); 0 switches
    /// it off. Their texts together take at most 4 MiB. Default 1,000.
    pub automatic_max: usize,
    /// Trusted documents: SHA-256 of a query in hex, and the query.
    pub trusted: HashMap<String, String>,
    /// Whether nothing but trusted documents is answered. Default false.
    pub only: bool,
}

/// What holds for one WebSocket.
#[derive(Clone, Copy, Debug)]
pub struct SocketConfig {
    /// Sizes and silence.
    pub limits: SocketLimits,
    /// How long the client may take to send `connection_init`. Default 3 s.
    pub init: Duration,
    /// The most operations at once. Default 100.
    pub operations_max: usize,
}

impl Default for GraphqlConfig {
    fn default() -> Self {
        GraphqlConfig {
            plugins: BTreeMap::new(),
            introspection: true,
            graphiql: true,
            body_bytes_max: 1 << 20,
            query_bytes_max: 64 << 10,
            tokens_max: 10_000,
            depth_max: 15,
            complexity_max: 1_000,
            aliases_max: 100,
            root_fields_max: 50,
            directives_max: 50,
            batch_max: 0,
            args_bytes_max: 16 << 20,
            response_bytes_max: 16 << 20,
            load_batch_max: 1_000,
            loads_max: 10_000,
            persisted: PersistedConfig::default(),
            socket: SocketConfig::default(),
        }
    }
}

impl Default for PersistedConfig {
    fn default() -> Self {
        PersistedConfig { automatic_max: 1_000, trusted: HashMap::new(), only: false }
    }
}

impl Default for SocketConfig {
    fn default() -> Self {
        SocketConfig { limits: SocketLimits::default(), init: Duration::from_secs(3), operations_max: 100 }
    }
}

/// A field that is loaded by another function: the DataLoader.
///
/// `products/order.user-id -> users/accounts.load-users` adds `user: User` to the type `Order`. The function takes one list of
/// keys (strings, integers or an enum) and returns `list<option<T>>`, of the same length and in the same order. The keys of
/// one execution step are loaded together, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkSpec {
    /// The plugin with the type that gets the field: `products`.
    pub plugin: String,
    /// The record, by its name in the WIT: `order`.
    pub type_name: String,
    /// Its field with the key, or with an option or a list of keys: `user-id`.
    pub field: String,
    /// The name of the new field in GraphQL: `user`.
    pub as_name: String,
    /// What loads it.
    pub load: LoadSpec,
}

/// A function that loads values by their keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadSpec {
    /// `users`.
    pub plugin: String,
    /// `accounts`.
    pub interface: String,
    /// `load-users`.
    pub function: String,
}

impl std::fmt::Display for LinkSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let LinkSpec { plugin, type_name, field, load, .. } = self;
        let LoadSpec { plugin: by, interface, function } = load;
        write!(f, "{plugin}/{type_name}.{field} -> {by}/{interface}.{function}")
    }
}
