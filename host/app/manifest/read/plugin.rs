use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::de::DeTable;
use wharf_engine::{DirGrants, EngineConfig, Grants, Isolation, PluginConfig, PoolConfig};

use super::doors::read_plugin_doors;
use super::grants::{read_dirs, read_env, read_http, read_tcp};
use super::key_value::read_buckets;
use super::limits::read_limits;
use super::{number, slug};
use crate::manifest::PluginEntry;
use crate::manifest::section::{Found, Problems, Section, a};

/// What a plugin's own values are measured against.
pub(super) struct Ceilings<'a> {
    pub(super) dir: &'a Path,
    pub(super) manifest: &'a Path,
    pub(super) data: &'a Path,
    pub(super) engine: &'a EngineConfig,
    pub(super) http: &'a wharf_gateway::Config,
}

/// A plugin that is declared. Without an entry there is an error, but routes to it are not one more.
pub(super) struct Declared {
    pub(super) entry: Option<PluginEntry>,
}

/// `[plugin.NAME]`, all of them.
pub(super) fn read_plugins(
    problems: &mut Problems<'_>,
    root: &DeTable<'_>,
    ceilings: &Ceilings<'_>,
) -> BTreeMap<String, Declared> {
    let mut plugins = BTreeMap::new();
    let Some((key, value)) = root.get_key_value("plugin") else { return plugins };
    let Some(table) = value.get_ref().as_table() else {
        let message = format!("`plugin` must be a section for each plugin, not {}", a(value.get_ref()));
        problems
            .error(&key.span(), message)
            .help("write")
            .write("[plugin.notes]")
            .write("component = \"notes.wasm\"");
        return plugins;
    };
    for (key, value) in table {
        let name: &str = key.get_ref();
        let name_at = key.span();
        let fits = (1..=64).contains(&name.len())
            && name.starts_with(|char: char| char.is_ascii_lowercase())
            && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'));
        if !fits {
            let message = format!(
                "the plugin's name {name:?} must be a letter of a-z, then up to 63 of a-z, 0-9, - and _"
            );
            let slug = slug(name).filter(|slug| slug.starts_with(|char: char| char.is_ascii_lowercase()));
            let slug = slug.unwrap_or_else(|| "notes".into());
            problems.error(&name_at, message).help("for example").write(format!("[plugin.{slug}]"));
        }
        let at = (name_at.clone(), value);
        let section = Section::open(problems, "plugin.NAME", format!("plugin.{name}"), Some(at));
        let entry = read_plugin(problems, name, &section, ceilings);
        plugins.insert(name.to_owned(), Declared { entry });
    }
    guard_dirs(&mut plugins, ceilings);
    plugins
}

/// Says what no directory that is granted may hold: known when all plugins are.
fn guard_dirs(plugins: &mut BTreeMap<String, Declared>, ceilings: &Ceilings<'_>) {
    let components = plugins.values().filter_map(|plugin| Some(plugin.entry.as_ref()?.component.clone()));
    let code: Vec<PathBuf> = components.chain([ceilings.manifest.to_owned()]).collect();
    let secret = [ceilings.data.to_owned(), ceilings.engine.cache_dir.clone()];
    for entry in plugins.values_mut().filter_map(|plugin| plugin.entry.as_mut()) {
        let dirs = &mut entry.config.grants.dirs;
        if !dirs.dirs.is_empty() {
            (dirs.secret, dirs.code) = (secret.to_vec(), code.clone());
        }
    }
}

fn read_plugin(
    problems: &mut Problems<'_>,
    name: &str,
    plugin: &Section<'_>,
    ceilings: &Ceilings<'_>,
) -> Option<PluginEntry> {
    let component = plugin.parsed(problems, "component", |path| match path.split_once("://") {
        Some(_) => Err((format!("is {path:?}, but this version of wharf loads files only"), None)),
        None => Ok(ceilings.dir.join(path)),
    });
    let component = plugin.required(problems, "component", component);
    let sha256 = plugin.parsed(problems, "sha256", |digest| {
        let fits = digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
        let what = || ("must be 64 hex digits, as `wharf inspect FILE` prints them".to_owned(), None);
        if fits { Ok(digest.to_ascii_lowercase()) } else { Err(what()) }
    });
    let build = plugin.text(problems, "build").map(|found| found.value);
    let wit = plugin.text(problems, "wit");
    if let Some(Found { at, .. }) = wit.as_ref().filter(|_| build.is_none()) {
        problems
            .error(at, "`wit` is put into the component when it is built, and this plugin has no `build`")
            .help("say how it is built, or leave `wit` out");
    }
    let config = plugin.text_table(problems, "config");
    let debug_info = plugin.flag(problems, "debug_info").unwrap_or(false);
    let core_dumps = number(plugin.count(problems, "core_dumps"), PluginConfig::default().core_dumps);
    let doors = read_plugin_doors(problems, plugin);
    let mut part =
        |part: &str, id| Section::open(problems, id, format!("plugin.{name}.{part}"), plugin.entry(part));
    let (grants, limits, pool) = (
        part("grants", "plugin.NAME.grants"),
        part("limits", "plugin.NAME.limits"),
        part("pool", "plugin.NAME.pool"),
    );
    let (env, http) = (read_env(problems, &grants), read_http(problems, &grants));
    let keyvalue = read_buckets(problems, &grants);
    let dirs = DirGrants { dirs: read_dirs(problems, &grants, ceilings.dir), ..DirGrants::default() };
    let tcp = read_tcp(problems, &grants);
    let grants = Grants { config, env, http, keyvalue, dirs, tcp };
    let limits = read_limits(problems, &limits, ceilings, &grants);
    let pool = read_pool(problems, &pool, ceilings);
    let Found { value: component, at: component_at } = component?;
    let config = PluginConfig { name: name.to_owned(), grants, limits, pool, debug_info, core_dumps };
    Some(PluginEntry {
        config,
        component,
        sha256: sha256.map(|found| found.value),
        build,
        wit: wit.map(|found| ceilings.dir.join(found.value)),
        doors,
        component_at,
    })
}

fn read_pool(problems: &mut Problems<'_>, pool: &Section<'_>, ceilings: &Ceilings<'_>) -> PoolConfig {
    let default = PoolConfig::default();
    let max = pool.count(problems, "max");
    let instances = ceilings.engine.instances_max;
    if let Some(Found { value, at }) = max.as_ref().filter(|max| max.value > u64::from(instances)) {
        problems
            .error(at, format!("`max` is {value}, more than all plugins may have together, {instances} ([engine] instances)"))
            .help("lower it, or raise the ceiling, which needs a restart of a running host")
            .write("[engine]")
            .write(format!("instances = {value}"));
    }
    let max = number(max, default.max.min(instances));
    let min = pool.count(problems, "min");
    if let Some(Found { value, at }) = min.as_ref().filter(|min| min.value > u64::from(max)) {
        problems
            .error(at, format!("`min` is {value}, more than `max`, {max}"))
            .help("lower it, or write")
            .write(format!("max = {value}"));
    }
    let isolation =
        pool.choice(problems, "isolation").and_then(Isolation::from_name).unwrap_or(default.isolation);
    let concurrency = pool.count(problems, "concurrency");
    if let Some(Found { value, at }) = concurrency.as_ref().filter(|many| many.value > 1)
        && isolation != Isolation::Plugin
    {
        problems
            .error(
                at,
                format!("`concurrency` is {value}, but `isolation` gives calls instances of their own"),
            )
            .help("write")
            .write("concurrency = 1");
    }
    PoolConfig {
        min: number(min, default.min.min(max)),
        max,
        queue: number(pool.count(problems, "queue"), default.queue),
        reuse: number(pool.count(problems, "reuse"), default.reuse),
        idle: pool.duration(problems, "idle").unwrap_or(default.idle),
        concurrency: number(concurrency, default.concurrency),
        isolation,
    }
}
