//! The sections, in the order in which a manifest has them.

mod doors;
mod grants;
mod key_value;
mod limits;
mod plugin;
mod route;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use doors::{read_doors, read_graphql, read_links};
use key_value::{read_key_value, warn_of_unused_buckets};
use plugin::{Ceilings, read_plugins};
use route::{read_routes, refuse_equal_routes};
use toml::de::DeTable;
use wharf_engine::{EngineConfig, Residency};
use wharf_telemetry::{LogConfig, LogFormat};

use super::diagnostic::Diagnostics;
use super::section::{Found, Problems, Section, one_line};
use super::source::Source;
use super::{Admin, App, Manifest, Overrides, keys, syntax};
use wharf_call::suggest::nearest;

pub(super) fn read(source: Source) -> Result<Manifest, Diagnostics> {
    let source = Arc::new(source);
    let mut problems = Problems { source: &source, list: Diagnostics::default() };
    let parsed = syntax::parse(&mut problems);
    let read = if parsed.complete { sections(&mut problems, parsed.root.get_ref()) } else { None };
    let mut list = problems.list;
    list.sort();
    match read {
        Some(manifest) if list.errors() == 0 => Ok(Manifest { warnings: list, source, ..manifest }),
        _ => Err(list),
    }
}

/// Everything that can be read. `None` only together with an error.
fn sections(problems: &mut Problems<'_>, root: &DeTable<'_>) -> Option<Manifest> {
    let path = problems.source.path.clone();
    let dir = match path.parent() {
        Some(dir) if dir != Path::new("") => dir.to_owned(),
        _ => PathBuf::from("."),
    };
    refuse_unknown_sections(problems, root);
    let section = |problems: &mut Problems<'_>, id: &'static str| {
        let entry = root.get_key_value(id).map(|(key, value)| (key.span(), value));
        Section::open(problems, id, id.to_owned(), entry)
    };
    let app = section(problems, "app");
    let app = read_app(problems, &app, root, &dir);
    let (listen, admin) = (section(problems, "listen"), section(problems, "admin"));
    let (listen_http, admin) = read_listen(problems, &listen, &admin);
    let http = section(problems, "http");
    let http = read_http(problems, &http, listen_http);
    let engine = section(problems, "engine");
    let data = app.as_ref().map(|app| app.data.clone()).unwrap_or_default();
    let engine = read_engine(problems, &engine, &dir, &data);
    let memory = section(problems, "memory");
    let memory_total = memory.size(problems, "total").map(|found| found.value);
    let (key_value, buckets) = read_key_value(problems, root);
    let log = section(problems, "log");
    let log = read_log(problems, &log);
    let ceilings = Ceilings { dir: &dir, manifest: &path, data: &data, engine: &engine, http: &http };
    let plugins = read_plugins(problems, root, &ceilings);
    let routes = read_routes(problems, root, &plugins);
    let doors = section(problems, "doors");
    let doors = read_doors(problems, &doors);
    let graphql = section(problems, "graphql");
    let graphql = read_graphql(problems, &graphql);
    let links = read_links(problems, root, &plugins);
    refuse_equal_routes(problems, &routes);
    let granted = plugins.values().filter_map(|plugin| plugin.entry.as_ref());
    let granted = granted.flat_map(|entry| entry.config.grants.keyvalue.iter().map(String::as_str)).collect();
    warn_of_unused_buckets(problems, &buckets, &granted);
    let (warnings, source) = (Diagnostics::default(), Arc::new(Source::new(&path, "")));
    let plugins = plugins.into_iter().filter_map(|(name, plugin)| Some((name, plugin.entry?))).collect();
    let app = app?;
    Some(Manifest {
        path,
        dir,
        app,
        admin,
        http,
        engine,
        memory_total,
        key_value,
        log,
        plugins,
        routes,
        doors,
        graphql,
        links,
        warnings,
        overrides: Overrides::default(),
        source,
    })
}

fn refuse_unknown_sections(problems: &mut Problems<'_>, root: &DeTable<'_>) {
    const SECTIONS: [&str; 13] = [
        "app", "listen", "admin", "http", "engine", "memory", "keyvalue", "log", "plugin", "route", "doors",
        "graphql", "link",
    ];
    for (key, value) in root {
        let name: &str = key.get_ref();
        // What these hold is checked where they are read.
        if SECTIONS.contains(&name) {
            continue;
        }
        if !value.get_ref().is_table() && !value.get_ref().is_array() {
            let written = one_line(problems.source.text.get(value.span()).unwrap_or_default());
            let problem = problems.error(&key.span(), format!("`{name}` is in no section"));
            match keys::KEYS.iter().find(|key| key.name == name) {
                Some(known) => problem
                    .help("put it below its section")
                    .write(format!("[{}]", known.section))
                    .write(format!("{name} = {written}")),
                None => problem.help(format!("the sections are {}", SECTIONS.join(", "))),
            };
            continue;
        }
        let problem = problems.error(&key.span(), format!("unknown section `{name}`"));
        match nearest(name, SECTIONS) {
            Some("route") => problem.help("did you mean `route`?").write("[[route]]"),
            Some("link") => problem.help("did you mean `link`?").write("[[link]]"),
            Some("plugin") => problem.help("did you mean `plugin`?").write("[plugin.NAME]"),
            Some(near) => problem.help(format!("did you mean `{near}`?")).write(format!("[{near}]")),
            None => problem.help(format!("the sections are {}", SECTIONS.join(", "))),
        };
    }
}

fn read_app(problems: &mut Problems<'_>, app: &Section<'_>, root: &DeTable<'_>, dir: &Path) -> Option<App> {
    if !app.exists() && !root.contains_key("app") {
        problems
            .error(&(0..0), "the section [app] is missing")
            .help("write")
            .write("[app]")
            .write("name = \"notes\"");
    }
    let name = app.parsed(problems, "name", |name| {
        let fits = (1..=64).contains(&name.len())
            && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'));
        let what = || format!("is {name:?}, but may have 1 to 64 of a-z, 0-9, - and _");
        if fits { Ok(name.to_owned()) } else { Err((what(), slug(name))) }
    });
    let name = app.required(problems, "name", name);
    let data = app.text(problems, "data").map_or_else(|| ".wharf".to_owned(), |found| found.value);
    Some(App { name: name?.value, data: dir.join(data) })
}

/// A name of the right form that resembles `name`.
fn slug(name: &str) -> Option<String> {
    let fitting = |char: char| {
        if char.is_ascii_alphanumeric() || char == '_' { char.to_ascii_lowercase() } else { '-' }
    };
    let slug: String = name.chars().map(fitting).take(64).collect();
    let slug = slug.trim_matches(|char: char| !char.is_ascii_alphanumeric()).to_owned();
    (!slug.is_empty()).then_some(slug)
}

fn read_listen(
    problems: &mut Problems<'_>,
    listen: &Section<'_>,
    admin: &Section<'_>,
) -> (SocketAddr, Admin) {
    let http = listen.address(problems, "http");
    let listen_admin = listen.address(problems, "admin");
    let allow_remote = admin.flag(problems, "allow_remote").unwrap_or(false);
    if let Some(Found { value, at }) = &listen_admin {
        if !value.ip().is_loopback() && !allow_remote {
            problems
                .error(at, format!("`admin` is {value}, which other machines can reach"))
                .help("listen on loopback, or allow it with")
                .write("[admin]")
                .write("allow_remote = true");
        }
        if let Some(http) = &http
            && http.value == *value
            && value.port() != 0
        {
            problems
                .error(at, "`admin` is the same address as `http`")
                .help("give it a port of its own")
                .write(format!("admin = \"{}\"", SocketAddr::new(value.ip(), value.port() ^ 1)));
        }
    }
    let hosts = admin.texts(problems, "hosts").map(|found| found.value).unwrap_or_default();
    for Found { value, at } in &hosts {
        if value.is_empty() || value.contains([':', '/', '*', ' ']) {
            let message = format!("{value:?} is not a host name");
            problems
                .error(at, message)
                .help("write a name without scheme, port and path")
                .write("hosts = [\"admin.example.com\"]");
        }
    }
    let hosts = hosts.into_iter().map(|host| host.value).collect();
    let http = http.map_or(wharf_gateway::Config::default().listen, |found| found.value);
    let listen = listen_admin.map_or(SocketAddr::from(([127, 0, 0, 1], 9090)), |found| found.value);
    (http, Admin { listen, allow_remote, hosts })
}

fn read_http(problems: &mut Problems<'_>, http: &Section<'_>, listen: SocketAddr) -> wharf_gateway::Config {
    let default = wharf_gateway::Config { listen, ..wharf_gateway::Config::default() };
    let p = problems;
    wharf_gateway::Config {
        listen,
        connections_max: number(http.count(p, "connections"), default.connections_max),
        header_bytes_max: number(http.size(p, "header_bytes"), default.header_bytes_max),
        header_count_max: number(http.count(p, "header_count"), default.header_count_max),
        target_bytes_max: number(http.size(p, "target_bytes"), default.target_bytes_max),
        body_bytes_max: number(http.size(p, "body_bytes"), default.body_bytes_max),
        whole_body_bytes: number(http.size(p, "whole_body"), default.whole_body_bytes),
        header_timeout: http.duration(p, "header_timeout").unwrap_or(default.header_timeout),
        idle_timeout: http.duration(p, "idle_timeout").unwrap_or(default.idle_timeout),
        body_progress_timeout: http
            .duration(p, "body_progress_timeout")
            .unwrap_or(default.body_progress_timeout),
        h2_streams_max: number(http.count(p, "h2_streams"), default.h2_streams_max),
        h2_pending_resets_max: number(http.count(p, "h2_pending_resets"), default.h2_pending_resets_max),
        h2_local_resets_max: number(http.count(p, "h2_local_resets"), default.h2_local_resets_max),
        drain_timeout: http.duration(p, "drain_timeout").unwrap_or(default.drain_timeout),
    }
}

/// A number that was read, in the width of its field; the ranges in `keys.rs` fit the fields.
fn number<T: TryFrom<u64>>(found: Option<Found<u64>>, default: T) -> T {
    found.and_then(|found| T::try_from(found.value).ok()).unwrap_or(default)
}

fn read_engine(problems: &mut Problems<'_>, engine: &Section<'_>, dir: &Path, data: &Path) -> EngineConfig {
    let default = EngineConfig::default();
    let cache = engine.text(problems, "cache");
    EngineConfig {
        cache_dir: cache.map_or_else(|| data.join("cache"), |found| dir.join(found.value)),
        instances_max: number(engine.count(problems, "instances"), default.instances_max),
        memory_bytes_max: number(engine.size(problems, "memory"), default.memory_bytes_max),
        component_bytes_max: number(engine.size(problems, "component_bytes"), default.component_bytes_max),
        stack_bytes: number(engine.size(problems, "stack"), default.stack_bytes),
        tick: engine.duration(problems, "tick").unwrap_or(default.tick),
        residency: Residency {
            memory_bytes: number(engine.size(problems, "resident_memory"), default.residency.memory_bytes),
            table_bytes: number(engine.size(problems, "resident_table"), default.residency.table_bytes),
            stack_bytes: number(engine.size(problems, "resident_stack"), default.residency.stack_bytes),
            pagemap_scan: engine.flag(problems, "pagemap_scan").unwrap_or(default.residency.pagemap_scan),
        },
        compile_time: engine.duration(problems, "compile_time").unwrap_or(default.compile_time),
        compile_memory_bytes: number(engine.size(problems, "compile_memory"), default.compile_memory_bytes),
        core_dump_bytes_max: number(engine.size(problems, "core_dump_bytes"), default.core_dump_bytes_max),
        // The wiring knows which program compiles, and where the data is if not where the file says.
        compile_command: None,
        core_dumps_dir: data.join("cores"),
    }
}

fn read_log(problems: &mut Problems<'_>, log: &Section<'_>) -> LogConfig {
    let default = LogConfig::default();
    let level = log.parsed(problems, "level", |level| match wharf_telemetry::check_level(level) {
        Ok(()) => Ok(level.to_owned()),
        Err(error) => {
            let near = nearest(level, ["error", "warn", "info", "debug", "trace", "off"]);
            Err((format!("is {level:?}: {error}"), near.map(str::to_owned)))
        }
    });
    LogConfig {
        format: log.choice(problems, "format").and_then(LogFormat::from_name).unwrap_or(default.format),
        level: level.map_or(default.level, |found| found.value),
        access: log.flag(problems, "access").unwrap_or(default.access),
    }
}
