//! `wharf.toml`: the only reader of it.
//!
//! Reading is done in one pass that does not stop at the first error: every problem becomes a [`Diagnostic`]
//! with its place and the line to write. Nothing is bound, built or loaded before a manifest has been read
//! without errors, and on a reload nothing is swapped.
//!
//! The keys, their types, ranges and defaults are one table, `keys.rs`; `README.md` shows it. The sections
//! are read in `read.rs`, top to bottom as a manifest has them.
//!
//! What this deliberately does not do: look at component files, resolve routes (the gateway builds its table
//! and hands conflicts back to [`Manifest::route_diagnostic`]), or apply anything.

mod diagnostic;
mod doors;
mod keys;
mod read;
mod restart;
mod section;
mod source;
mod syntax;
mod units;

use std::collections::BTreeMap;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::Method;

pub(crate) use diagnostic::{Diagnostic, Diagnostics, Severity};
pub(crate) use doors::{DoorsEntry, FunctionEntry, GraphqlEntry, LinkEntry, PluginDoors};
use source::{Source, Span};
use wharf_engine::{EngineConfig, PluginConfig};
use wharf_gateway::{HostPattern, RoutePattern};
use wharf_telemetry::{LogConfig, LogFormat};

/// The name of the file in an application's folder.
pub(crate) const FILE_NAME: &str = "wharf.toml";

/// A larger manifest is refused unread.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A manifest without errors. All paths in it are ready to use.
#[derive(Clone, Debug)]
pub(crate) struct Manifest {
    /// The file itself.
    pub(crate) path: PathBuf,
    /// The folder of the file: what its paths are relative to, and where build commands run.
    pub(crate) dir: PathBuf,
    /// `[app]`.
    pub(crate) app: App,
    /// `[listen] admin` and `[admin]`.
    pub(crate) admin: Admin,
    /// `[listen] http` and `[http]`.
    pub(crate) http: wharf_gateway::Config,
    /// `[engine]`.
    pub(crate) engine: EngineConfig,
    /// `[memory] total` in bytes; the machine decides without it.
    pub(crate) memory_total: Option<u64>,
    /// `[keyvalue]`.
    pub(crate) key_value: KeyValueEntry,
    /// `[log]`.
    pub(crate) log: LogConfig,
    /// `[plugin.NAME]`, by name.
    pub(crate) plugins: BTreeMap<String, PluginEntry>,
    /// `[[route]]`, in the order of the file.
    pub(crate) routes: Vec<RouteEntry>,
    /// `[doors]`.
    pub(crate) doors: DoorsEntry,
    /// `[graphql]`.
    pub(crate) graphql: GraphqlEntry,
    /// `[[link]]`, in the order of the file.
    pub(crate) links: Vec<LinkEntry>,
    /// What is probably not meant, although it can be used.
    pub(crate) warnings: Diagnostics,
    overrides: Overrides,
    source: Arc<Source>,
}

/// What the command line sets instead of the manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Overrides {
    /// Instead of `[listen] http`.
    pub(crate) http: Option<SocketAddr>,
    /// Instead of `[listen] admin`.
    pub(crate) admin: Option<SocketAddr>,
    /// Instead of `[app] data`. The cache of compiled components stays where the file has it.
    pub(crate) data: Option<PathBuf>,
    /// Instead of `[log] format`.
    pub(crate) log_format: Option<LogFormat>,
}

/// `[app]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct App {
    /// The application's name.
    pub(crate) name: String,
    /// Where the host keeps what outlives it.
    pub(crate) data: PathBuf,
}

/// `[listen] admin` and `[admin]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Admin {
    /// Where the admin API listens: loopback, unless the manifest allows more.
    pub(crate) listen: SocketAddr,
    /// Whether that may be an address that other machines reach.
    pub(crate) allow_remote: bool,
    /// Names beside `localhost` and addresses that the admin API answers to.
    pub(crate) hosts: Vec<String>,
}

/// `[keyvalue]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyValueEntry {
    /// What holds for every bucket.
    pub(crate) config: wharf_state::Config,
    /// `[keyvalue.bucket.NAME] quota` in bytes, by name.
    pub(crate) quotas: BTreeMap<String, u64>,
}

/// `[plugin.NAME]`.
#[derive(Clone, Debug)]
pub(crate) struct PluginEntry {
    /// What the engine needs to know.
    pub(crate) config: PluginConfig,
    /// The component file.
    pub(crate) component: PathBuf,
    /// The digest that the file must have: 64 lower-case hex digits.
    pub(crate) sha256: Option<String>,
    /// The command that makes the component.
    pub(crate) build: Option<String>,
    /// Where the WIT is that the build puts into the component.
    pub(crate) wit: Option<PathBuf>,
    /// What it says of the doors.
    pub(crate) doors: PluginDoors,
    component_at: Span,
}

/// `[[route]]`.
#[derive(Clone, Debug)]
pub(crate) struct RouteEntry {
    /// The pattern of the path.
    pub(crate) pattern: RoutePattern,
    /// The pattern of the host; any without it.
    pub(crate) host: Option<HostPattern>,
    /// Methods, each once; any when there are none.
    pub(crate) methods: Vec<Method>,
    /// The plugin that answers, which exists.
    pub(crate) plugin: String,
    /// The function of the plugin that answers; its handler without one.
    pub(crate) function: Option<FunctionEntry>,
    /// Whether the same request made twice is as good as once.
    pub(crate) idempotent: bool,
    path_at: Span,
}

impl Manifest {
    /// Reads `wharf.toml` in a folder, or the file itself.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of its lines.
    pub(crate) fn read(dir_or_file: &Path) -> Result<Manifest, Diagnostics> {
        let path = if dir_or_file.is_dir() { dir_or_file.join(FILE_NAME) } else { dir_or_file.to_owned() };
        // Shorter in messages.
        let path = path.strip_prefix(".").map(Path::to_owned).unwrap_or(path);
        match read_bounded(&path) {
            Ok(bytes) => match std::str::from_utf8(&bytes) {
                Ok(text) => Self::parse(text, &path),
                Err(error) => {
                    let valid = String::from_utf8_lossy(&bytes);
                    let source = Source::new(&path, &valid);
                    let at = error.valid_up_to();
                    let message = "the manifest is not UTF-8 text";
                    let mut problem = Diagnostic::at(&source, Severity::Error, &(at..at + 1), message);
                    problem.help("save the file as UTF-8");
                    Err(problem.into())
                }
            },
            Err((message, help)) => {
                let mut problem = Diagnostic::nowhere(path, Severity::Error, message);
                problem.help(help);
                Err(problem.into())
            }
        }
    }

    /// Reads a manifest from its text. `path` is what messages name and what paths are relative to.
    ///
    /// # Errors
    /// As [`Manifest::read`].
    pub(crate) fn parse(text: &str, path: &Path) -> Result<Manifest, Diagnostics> {
        read::read(Source::new(path, text))
    }

    /// Puts what the command line says in the place of what the file says.
    ///
    /// # Errors
    /// When the admin API would be open to other machines and the file does not allow it.
    pub(crate) fn set(&mut self, overrides: Overrides) -> Result<(), String> {
        if let Some(admin) =
            overrides.admin.filter(|admin| !admin.ip().is_loopback() && !self.admin.allow_remote)
        {
            return Err(format!(
                "--admin {admin} would let other machines reach the admin API. Allow it in {}:\n  [admin]\n  allow_remote = true",
                self.path.display()
            ));
        }
        if let Some(data) = &overrides.data {
            self.app.data.clone_from(data);
            // The token is in it: no directory that is granted may hold it, wherever it is.
            for plugin in self.plugins.values_mut() {
                plugin.config.grants.dirs.secret.push(data.clone());
            }
        }
        self.http.listen = overrides.http.unwrap_or(self.http.listen);
        self.admin.listen = overrides.admin.unwrap_or(self.admin.listen);
        self.log.format = overrides.log_format.unwrap_or(self.log.format);
        self.overrides = overrides;
        Ok(())
    }

    /// Every bucket that some plugin is granted, with its quota in bytes.
    pub(crate) fn buckets(&self) -> BTreeMap<String, u64> {
        let granted = self.plugins.values().flat_map(|entry| &entry.config.grants.keyvalue);
        let default = self.key_value.config.bucket_bytes_max;
        granted.map(|name| (name.clone(), *self.key_value.quotas.get(name).unwrap_or(&default))).collect()
    }

    /// A problem that was found with the route at `index` of [`Manifest::routes`], and with another one.
    pub(crate) fn route_diagnostic(
        &self,
        index: usize,
        other: Option<usize>,
        message: impl Into<String>,
    ) -> Diagnostic {
        let at = |index: usize| self.routes.get(index).map_or(0..0, |route| route.path_at.clone());
        let mut problem = Diagnostic::at(&self.source, Severity::Error, &at(index), message);
        if let Some(other) = other {
            problem.see(&self.source, &at(other), "the other route");
        }
        problem
    }

    /// Of the plugins that `has_functions` says no to, those that nobody can reach: probably a route was forgotten.
    pub(crate) fn idle_plugins(&self, has_functions: impl Fn(&str) -> bool) -> Diagnostics {
        let idle =
            |name: &&String| !has_functions(name) && !self.routes.iter().any(|route| route.plugin == **name);
        let warn = |name: &String| {
            let at = self.plugins.get(name).map_or(0..0, |plugin| plugin.component_at.clone());
            let message = format!("no route leads to the plugin {name:?}");
            let mut problem = Diagnostic::at(&self.source, Severity::Warning, &at, message);
            problem
                .help("add one")
                .write("[[route]]")
                .write("path = \"/{*rest}\"")
                .write(format!("plugin = {name:?}"));
            problem
        };
        self.plugins.keys().filter(idle).map(warn).collect()
    }

    /// The same without the functions that routes and links lead to.
    pub(crate) fn without_functions(mut self) -> Self {
        self.links.clear();
        self.routes.iter_mut().for_each(|route| route.function = None);
        self
    }

    /// A problem that was found at a place of the file.
    pub(crate) fn diagnostic(&self, at: &Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic::at(&self.source, Severity::Error, at, message)
    }

    /// A problem that was found with a plugin's component, such as one that its grants do not cover.
    pub(crate) fn plugin_diagnostic(&self, name: &str, message: impl Into<String>) -> Diagnostic {
        let at = self.plugins.get(name).map_or(0..0, |plugin| plugin.component_at.clone());
        Diagnostic::at(&self.source, Severity::Error, &at, message)
    }
}

/// The bytes, or what is wrong and what to do.
fn read_bounded(path: &Path) -> Result<Vec<u8>, (String, String)> {
    let mut bytes = Vec::new();
    let read =
        std::fs::File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) if bytes.len() as u64 > FILE_BYTES_MAX => {
            Err(("the manifest is larger than 1MiB".into(), "is this the right file?".into()))
        }
        Ok(_) => Ok(bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err((
            "there is no manifest here".into(),
            format!("name a folder with a {FILE_NAME}, or write one that starts with [app]"),
        )),
        Err(error) => {
            Err((format!("the manifest cannot be read: {error}"), "check the file's permissions".into()))
        }
    }
}

#[cfg(test)]
mod tests;
