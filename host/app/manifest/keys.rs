//! Every key of the manifest, in one table. The reader takes types, ranges and names from it, and the table
//! in `README.md` is generated from it, so the three cannot disagree.

use std::fmt;

use super::units::{show_duration, show_size};

/// One key.
#[derive(Debug)]
pub(super) struct Key {
    /// Where it stands; `NAME` for any name.
    pub(super) section: &'static str,
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// A TOML value, or words where the default depends on something. Tests compare it with the code.
    #[cfg_attr(not(test), expect(dead_code, reason = "for README.md, which a test generates"))]
    pub(super) default: &'static str,
    /// A TOML value to show in messages.
    pub(super) example: &'static str,
    #[cfg_attr(not(test), expect(dead_code, reason = "for README.md, which a test generates"))]
    pub(super) meaning: &'static str,
}

/// What a key's value may be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Text,
    Flag,
    Address,
    Path,
    /// Bytes, both ends included.
    Size(u64, u64),
    /// Milliseconds, both ends included.
    Time(u64, u64),
    /// Both ends included.
    Count(u64, u64),
    Choice(&'static [&'static str]),
    Texts,
    TextTable,
    /// An array of strings or, with more to say, tables; what it is an array of.
    Entries(&'static str),
    /// A section of its own.
    Table,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Text => f.write_str("a string"),
            Kind::Flag => f.write_str("true or false"),
            Kind::Address => f.write_str("an address with a port"),
            Kind::Path => f.write_str("a path"),
            Kind::Size(min, max) => write!(f, "a size, {} to {}", show_size(*min), show_size(*max)),
            Kind::Time(min, max) => {
                let show = |ms: &u64| show_duration(std::time::Duration::from_millis(*ms));
                write!(f, "a duration, {} to {}", show(min), show(max))
            }
            Kind::Count(min, max) => write!(f, "a whole number, {min} to {max}"),
            Kind::Choice(names) => {
                let names: Vec<_> = names.iter().map(|name| format!("{name:?}")).collect();
                f.write_str(&names.join(" or "))
            }
            Kind::Texts => f.write_str("an array of strings"),
            Kind::Entries(of) => write!(f, "an array of {of}"),
            Kind::TextTable => f.write_str("a table of strings"),
            Kind::Table => f.write_str("a table"),
        }
    }
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;
const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

macro_rules! keys {
    ($($section:literal { $($name:literal: $kind:expr, $default:literal $(e.g. $example:literal)?, $meaning:literal;)* })*) => {
        &[$($(Key {
            section: $section,
            name: $name,
            kind: $kind,
            default: $default,
            example: keys!(@example $default $($example)?),
            meaning: $meaning,
        },)*)*]
    };
    (@example $default:literal $example:literal) => { $example };
    (@example $default:literal) => { $default };
}

use Kind::{Address, Choice, Count, Entries, Flag, Path, Size, Table, Text, TextTable, Texts, Time};
pub(super) const KEYS: &[Key] = keys! {
    "app" {
        "name": Text, "required" e.g. "\"notes\"", "The application: 1 to 64 of `a-z`, `0-9`, `-`, `_`.";
        "data": Path, "\".wharf\"", "Where the host keeps its cache, its token and its stores.";
    }
    "listen" {
        "http": Address, "\"127.0.0.1:8080\"", "Where clients connect. Port 0 lets the system choose.";
        "admin": Address, "\"127.0.0.1:9090\"", "Where the admin API listens; only loopback without `allow_remote`.";
    }
    "admin" {
        "allow_remote": Flag, "false", "Lets `listen.admin` be an address that other machines reach.";
        "hosts": Texts, "[]" e.g. "[\"admin.example.com\"]", "Names beside `localhost` and addresses that the admin API answers to.";
    }
    "http" {
        "connections": Count(1, 1_000_000), "10000", "Open connections; more wait in the kernel.";
        "header_bytes": Size(KIB, MIB), "\"64KiB\"", "Request line and header fields together.";
        "header_count": Count(1, 1_000), "72", "How many header fields.";
        "target_bytes": Size(256, 32 * KIB), "\"8KiB\"", "The request target; longer ones get a 414.";
        "body_bytes": Size(0, TIB), "\"16MiB\"", "The body of a request; a plugin's `limits.request_body` may be lower.";
        "whole_body": Size(0, 16 * MIB), "\"64KiB\"", "Bodies up to this are handed over whole, longer ones as streams.";
        "header_timeout": Time(10, 5 * MINUTE), "\"10s\"", "From the first byte of a head to its last.";
        "idle_timeout": Time(10, HOUR), "\"1m\"", "Silence of a connection between requests.";
        "body_progress_timeout": Time(10, HOUR), "\"20s\"", "Silence within a body, in either direction.";
        "h2_streams": Count(1, 10_000), "100", "Streams at once of one HTTP/2 connection.";
        "h2_pending_resets": Count(1, 10_000), "20", "Streams that a peer may reset before they are accepted.";
        "h2_local_resets": Count(1, 100_000), "256", "Streams that the host resets because of a peer's errors.";
        "drain_timeout": Time(0, HOUR), "\"10s\"", "How long requests in flight may go on after a stop.";
    }
    "engine" {
        "instances": Count(1, 100_000), "1000", "Instances of all plugins together.";
        "memory": Size(64 * KIB, 4 * GIB), "\"256MiB\"", "The ceiling of every plugin's `limits.memory`.";
        "component_bytes": Size(KIB, GIB), "\"64MiB\"", "The largest component.";
        "stack": Size(64 * KIB, 8 * MIB), "\"512KiB\"", "The stack of a guest's call.";
        "tick": Time(1, 10), "\"1ms\"", "How often a running guest is interrupted. Guests that compute for longer take turns of it, one on each core.";
        "compile_time": Time(100, HOUR), "\"1m\"", "How long compiling one component may take.";
        "compile_memory": Size(64 * MIB, 64 * GIB), "\"2GiB\"", "What compiling one component may allocate.";
        "core_dump_bytes": Size(MIB, TIB), "\"1GiB\"", "What the core dumps of all plugins may have together; the oldest are removed.";
        "resident_memory": Size(0, 16 * MIB), "\"256KiB\"", "What an ended instance leaves of each linear memory for the next, clean.";
        "resident_table": Size(0, MIB), "\"64KiB\"", "The same of each table.";
        "resident_stack": Size(0, MIB), "\"16KiB\"", "The same of each stack.";
        "pagemap_scan": Flag, "true", "Whether to ask the kernel what has to be cleaned, where it can tell and there is no swap.";
        "cache": Path, "`cache` in `app.data`" e.g. "\".wharf/cache\"", "Where compiled components are kept.";
    }
    "memory" {
        "total": Size(16 * MIB, 16 * TIB), "half of the machine's, at least 256MiB" e.g. "\"1GiB\"", "What all work in flight may hold together.";
    }
    "keyvalue" {
        "quota": Size(KIB, 16 * TIB), "\"64MiB\"", "The keys and values of one bucket together.";
        "value_bytes": Size(KIB, 16 * MIB), "\"1MiB\"", "The largest value.";
        "cache": Size(MIB, 16 * GIB), "\"32MiB\"", "How much of the store is kept in memory.";
        "bucket": Table, "none" e.g. "{ notes = { quota = \"1GiB\" } }", "What is otherwise for one bucket; see below.";
    }
    "keyvalue.bucket.NAME" {
        "quota": Size(KIB, 16 * TIB), "`keyvalue.quota`" e.g. "\"1GiB\"", "The keys and values of this bucket together.";
    }
    "log" {
        "format": Choice(&["auto", "text", "json"]), "\"auto\"", "`auto` is text on a terminal and JSON elsewhere.";
        "level": Text, "\"info\"", "What is logged: `info`, or `warn,wharf_engine=debug`.";
        "access": Flag, "true", "One line for each request, whatever `level` says.";
    }
    "plugin.NAME" {
        "component": Path, "required" e.g. "\"notes.wasm\"", "The component file.";
        "sha256": Text, "none" e.g. "\"<64 hex digits>\"", "Refuses a file with another digest.";
        "build": Text, "none" e.g. "\"cargo build --release --target wasm32-wasip2\"", "The command that makes the component, run in the manifest's folder.";
        "wit": Path, "none" e.g. "\"wit\"", "Its WIT, a file or a folder, whose comments the build puts into the component; the Rust SDK does that itself.";
        "config": TextTable, "none" e.g. "{ title = \"My notes\" }", "Offered to the plugin as `wasi:config/store`.";
        "debug_info": Flag, "false", "Keeps the component's DWARF, for source lines in backtraces; only of a plugin that is trusted.";
        "core_dumps": Count(0, 100), "0", "How many core dumps of its traps are kept, the newest; see [Core dumps](#core-dumps).";
        "doors": Texts, "all of `[doors]`" e.g. "[\"rest\", \"grpc\"]", "What its functions are served through: `rest`, `grpc`, `graphql`, `jsonrpc`.";
        "queries": Texts, "[]" e.g. "[\"accounts.get-user\"]", "Functions that change nothing, beside those that say `@query` in their WIT.";
        "graphql_prefix": Text, "none" e.g. "\"Shop\"", "What stands before its names in GraphQL, where two plugins have the same.";
        "grants": Table, "nothing" e.g. "{ env = {} }", "What the plugin may use; see below.";
        "limits": Table, "see below" e.g. "{ memory = \"64MiB\" }", "What the plugin may use up; see below.";
        "pool": Table, "see below" e.g. "{ max = 64 }", "How its instances are kept; see below.";
    }
    "plugin.NAME.grants" {
        "env": TextTable, "none" e.g. "{ LANG = \"C\" }", "Environment variables; there are none without it.";
        "keyvalue": Texts, "none" e.g. "[\"notes\"]", "The buckets that the plugin may open with `wasi:keyvalue`; plugins with the same one share it.";
        "http": Entries("origins"), "none" e.g. "[\"https://api.example.com\"]", "Where its own requests may go; see [Outbound HTTP](#outbound-http).";
        "dirs": Entries("tables"), "none" e.g. "[{ path = \"data\", at = \"/data\", write = true }]", "Directories, read-only unless `write` is set; see [Directories](#directories).";
        "tcp": Entries("peers"), "none" e.g. "[\"db.example.com:5432\"]", "Whom it may connect to over TCP; see [TCP](#tcp).";
    }
    "plugin.NAME.limits" {
        "observe": Texts, "[]" e.g. "[\"cpu\", \"log_lines\"]", "Keys of this section whose excess is counted and logged and passes; see [Limits](#limits).";
        "memory": Size(64 * KIB, 4 * GIB), "\"64MiB\"", "Memories and tables of one instance; at most `engine.memory`.";
        "cpu": Time(1, 10 * MINUTE), "\"50ms\"", "What one call may compute. Waiting is not billed.";
        "wall": Time(1, HOUR), "\"5s\"", "From the admission of a call to the head of its response.";
        "calls": Count(1, 1_000_000), "`pool.max` and `pool.queue` together" e.g. "100", "Calls at once, those that wait for an instance included; more get a 503.";
        "stream_idle": Time(1, 24 * HOUR), "\"1m\"", "Silence of a streamed response.";
        "stream_total": Time(1, 168 * HOUR), "\"1h\"", "From the head of a streamed response to its end.";
        "stream_cpu": Count(1, 100), "50", "What a stream may compute for as long as it lasts, in percent of one core; ten seconds' worth may come at once.";
        "request_body": Size(0, TIB), "\"16MiB\"", "The body of a request; at most `http.body_bytes`.";
        "request_headers": Size(256, MIB), "`http.header_bytes`" e.g. "\"8KiB\"", "All header fields of a request; at most `http.header_bytes`.";
        "request_header_count": Count(1, 1_000), "`http.header_count`" e.g. "32", "How many header fields a request has; at most `http.header_count`.";
        "response_body": Size(0, TIB), "\"1GiB\"", "The body of a response.";
        "response_headers": Size(256, MIB), "\"64KiB\"", "All header fields of a response.";
        "response_header_count": Count(1, 1_000), "100", "How many header fields a response has.";
        "handles": Count(16, 10_000), "10000; 256 with `dirs` or `tcp`" e.g. "256", "What one instance may hold open at once: bodies, streams, files, sockets.";
        "resources": Count(16, 100_000), "10000", "Handles to resources within one instance, its own included.";
        "streams": Count(16, 100_000), "10000", "Streams, futures and tasks of one instance at once.";
        "hostcall_bytes": Size(64 * KIB, 4 * GIB), "\"16MiB\"", "What one call between plugin and host may copy out of the plugin: a whole body, a line, a value.";
        "argument_bytes": Size(64 * KIB, GIB), "\"16MiB\"", "The arguments of one typed call, or one item that its caller streams, as the host holds them on their way into the plugin: 64 bytes for every number, text or byte of a `list<u8>`, and twice the length of texts. For large bytes, `stream<u8>` is the better type.";
        "random_bytes": Size(64, 16 * MIB), "\"1MiB\"", "Random bytes that one call may ask for.";
        "chunk_bytes": Size(4 * KIB, MIB), "\"64KiB\"", "What the host takes of a stream at a time; two such pieces wait at most.";
        "log_line": Size(64, 64 * KIB), "\"4KiB\"", "One line of the plugin's output; the rest of a longer one is the next line.";
        "log_lines": Count(0, 1_000_000), "100", "Lines a second: stdout, stderr and `wasi:logging` of all instances together.";
        "log_bytes": Size(8 * KIB, GIB), "\"64KiB\"", "What these lines have a second; more of either is dropped and counted.";
        "http_calls": Count(1, 100_000), "256", "Outbound calls at once, each until its response has been read; one more fails at once.";
        "http_connections": Count(1, 10_000), "64", "Outbound connections at once; a call that needs one more waits for its connect timeout.";
        "http_request_body": Size(0, TIB), "\"1GiB\"", "The body of an outbound call.";
        "http_response_body": Size(0, TIB), "\"1GiB\"", "The body of an outbound call's response.";
        "http_response_headers": Size(8 * KIB, MIB), "\"64KiB\"", "All header fields of an outbound call's response.";
        "http_response_header_count": Count(1, 1_000), "100", "How many header fields an outbound call's response has.";
        "http_idle": Time(1, HOUR), "\"30s\"", "How long an outbound connection is kept without a call.";
    }
    "plugin.NAME.pool" {
        "min": Count(0, 10_000), "1", "Instances that are kept when nobody calls; with 0 the plugin goes to zero.";
        "max": Count(1, 10_000), "64", "Instances at once; at most `engine.instances`.";
        "queue": Count(0, 100_000), "1024", "Calls that may wait for an instance; more get a 503.";
        "reuse": Count(1, 1_000_000_000), "10000", "Calls before an instance is replaced.";
        "concurrency": Count(1, 1_000), "1", "Calls at once in one instance; see [Concurrency](#concurrency) before you raise it.";
        "idle": Time(100, 24 * HOUR), "\"1m\"", "How long an instance beyond `min` is kept without a call.";
        "isolation": Choice(&["plugin", "caller", "request"]), "\"plugin\"", "Who shares an instance: all callers, one caller, or nobody; see [Isolation](#isolation).";
    }
    "doors" {
        "rest": Flag, "true", "JSON: `POST /rpc/PACKAGE/INTERFACE/FUNCTION`.";
        "openapi": Flag, "true", "Its document at `/openapi.json`, and Swagger UI at `/docs/`.";
        "grpc": Flag, "true", "gRPC and gRPC-Web at `/PACKAGE.SERVICE/METHOD`.";
        "reflection": Flag, "true", "Tells gRPC clients what there is, and gives out the `.proto` files at `/proto/`.";
        "graphql": Flag, "true", "GraphQL at `/graphql`; see `[graphql]`.";
        "jsonrpc": Flag, "true", "JSON-RPC 2.0 at `/jsonrpc`.";
        "host": Text, "any" e.g. "\"api.example.com\"", "The host that all of these are at.";
        "message_bytes": Size(KIB, 64 * MIB), "\"4MiB\"", "The largest message in either direction.";
        "batch": Count(1, 10_000), "100", "Calls in one batch of JSON-RPC.";
    }
    "graphql" {
        "introspection": Flag, "true", "Whether clients may ask for the schema.";
        "graphiql": Flag, "true", "Gives a browser an editor for queries.";
        "depth": Count(1, 100), "15", "How deep selections are nested.";
        "complexity": Count(1, 1_000_000), "1000", "How many fields an operation selects, with those of its fragments.";
        "aliases": Count(0, 10_000), "100", "How many aliases a document has.";
        "directives": Count(0, 10_000), "50", "How many directives a document has.";
        "tokens": Count(10, 1_000_000), "10000", "How many tokens a document has.";
        "batch": Count(0, 1_000), "0", "How many operations one request may have in a list; 0 refuses lists.";
        "link_batch": Count(1, 10_000), "1000", "How many keys one call of a `[[link]]` gets; more are several calls.";
        "documents": TextTable, "none" e.g. "{ users = \"{ users { id } }\" }", "Queries that clients may send by their SHA-256, each under a name of yours.";
        "documents_only": Flag, "false", "Runs nothing but `documents`.";
    }
    "link" {
        "field": Text, "required" e.g. "\"notes/note.author-id\"", "The field that holds the key, as PLUGIN/TYPE.FIELD.";
        "as": Text, "required" e.g. "\"author\"", "The name of the new field in GraphQL.";
        "load": Text, "required" e.g. "\"notes/authors.load-authors\"", "The function that takes a list of keys, as PLUGIN/INTERFACE.FUNCTION.";
    }
    "route" {
        "path": Text, "required" e.g. "\"/notes/{id}\"", "Segments are literal, `{name}`, or a last `{*rest}`.";
        "host": Text, "any" e.g. "\"api.example.com\"", "A host name without a port; `*.example.com` is any name below it.";
        "methods": Texts, "any" e.g. "[\"GET\", \"POST\"]", "Upper-case methods; GET includes HEAD.";
        "plugin": Text, "required" e.g. "\"notes\"", "Who answers.";
        "function": Text, "none: its handler" e.g. "\"accounts.get-user\"", "The function of the plugin that answers, as INTERFACE.FUNCTION; see [Functions](#functions).";
        "body": Text, "none" e.g. "\"user\"", "The parameter that the whole body is; without it, members of the body are parameters.";
        "query": TextTable, "none" e.g. "{ text = \"q\" }", "Parameters that come from the query, each with what it is called there.";
        "headers": TextTable, "none" e.g. "{ version = \"if-match\" }", "Parameters that come from a header field, each with its name.";
        "status": Count(200, 299), "200, or 204 for nothing" e.g. "201", "The status of a good answer.";
        "idempotent": Flag, "false", "Whether the same request made twice is as good as once, whatever its method; see [Concurrency](#concurrency).";
    }
};

/// Keys that the design has and this version does not: refused, because a key that does nothing is a lie.
pub(super) const LATER: &[(&str, &str, &str)] = &[
    ("plugin.NAME.grants", "models", "a plugin cannot run models"),
    ("plugin.NAME.grants", "plugins", "a plugin cannot call other plugins"),
    ("plugin.NAME.grants", "secrets", "a plugin is given no secrets"),
    ("route", "middleware", "requests go straight to the plugin"),
    ("route", "upstream", "a route leads to a plugin"),
];

/// The keys of one section.
pub(super) fn of(section: &str) -> impl Iterator<Item = &'static Key> {
    KEYS.iter().filter(move |key| key.section == section)
}
