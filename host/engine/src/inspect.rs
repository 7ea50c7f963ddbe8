//! What a file is, before anything of it runs: its exports, its imports, and what it would need granted.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use aws_lc_rs::digest;
use serde::Serialize;
use wasmtime::component::wit_parser::decoding::{DecodedWasm, decode};
use wasmtime::component::wit_parser::{Resolve, TypeDefKind, WorldId, WorldKey};
use wharf_call::Schema;
use wharf_call::ports::{Refusal, Stage};

use crate::config::PluginConfig;
use crate::framing;
use crate::imports::{self, Offer};
use crate::schema::{self, Plan};
use crate::worlds::WorldKind;

/// The stack for decoding a component: twice what it gets where it is decoded for the first time, so that what
/// fitted there fits everywhere.
const STACK_BYTES: usize = 2 * WORKER_STACK_BYTES;
/// The stack for decoding a component that nobody has decoded before.
pub(crate) const WORKER_STACK_BYTES: usize = 8 << 20;

/// What is known of a component without running it.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// SHA-256 of the bytes, in hex.
    pub sha256: String,
    /// The size in bytes.
    pub bytes: u64,
    /// The export that decides what it is, such as `wharf:plugin/handler@0.1.0`; of a service, which has no such export,
    /// the interfaces that it serves.
    pub world: Option<String>,
    /// Whether it exports `wharf:plugin/lifecycle`.
    pub lifecycle: bool,
    /// Why the host cannot run it, if it cannot.
    pub problem: Option<String>,
    /// Names of the exported interfaces and functions, sorted.
    pub exports: Vec<String>,
    /// The imported interfaces and functions, sorted.
    pub imports: Vec<ImportUse>,
    /// The component's world as WIT text.
    pub wit: String,
    /// What its callers can call: the functions of the interfaces that it defines itself.
    #[serde(serialize_with = "schema::serialize")]
    pub schema: Arc<Schema>,
}

/// One import of a component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ImportUse {
    /// The interface, with its package and version.
    pub interface: String,
    /// What it takes to get it.
    pub need: Need,
}

/// What it takes to get an import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// Every plugin has it.
    Always,
    /// The manifest has to give it.
    Grant {
        /// The section to write it in: `[plugin.NAME]` or `[plugin.NAME.grants]`.
        section: String,
        /// The manifest line.
        line: String,
    },
    /// This host does not offer it.
    NotOffered,
}

impl Inspection {
    /// Whether clients open sockets to it.
    pub fn opens_sockets(&self) -> bool {
        self.world.as_deref().and_then(WorldKind::of_export) == Some(WorldKind::Socket)
    }

    /// The world that the host runs it as.
    ///
    /// # Errors
    /// [`Stage::Inspect`], with what keeps the host from running it.
    pub(crate) fn kind(&self) -> Result<WorldKind, Refusal> {
        // What is not offered is said by `check_grants`, which knows the plugin's name.
        match self.world.as_deref() {
            Some(world) => Ok(WorldKind::of_export(world).unwrap_or(WorldKind::Service)),
            None => {
                Err(refusal(self.problem.clone().unwrap_or_else(|| "it implements no known world".into())))
            }
        }
    }

    /// Checks every import against what `plugin` was granted.
    ///
    /// # Errors
    /// [`Stage::Grant`], with a paragraph for each import that is not granted: the plugin, the interface
    /// and the manifest line to add.
    pub fn check_grants(&self, plugin: &PluginConfig) -> Result<(), Refusal> {
        let name = &plugin.name;
        let refused: Vec<String> = self
            .imports
            .iter()
            .filter_map(|import| match imports::offer(&import.interface) {
                Offer::Always => None,
                _ if import.need == Need::Always => None,
                Offer::Grant { granted, .. } if granted(&plugin.grants) => None,
                Offer::Grant { section, line, .. } => Some(format!(
                    "plugin {name:?} imports {}, which it was not granted. Add to wharf.toml:\n  \
                     {}\n  {line}",
                    import.interface,
                    header(name, section),
                )),
                Offer::No => Some(format!(
                    "plugin {name:?} imports {}, which this version of wharf does not offer: no line in \
                     wharf.toml grants it. Build the plugin without it.",
                    import.interface
                )),
            })
            .collect();
        if refused.is_empty() { Ok(()) } else { Err(Refusal::new(Stage::Grant, refused.join("\n"))) }
    }
}

/// Reads a component without compiling it.
///
/// # Errors
/// [`Stage::Inspect`] when the bytes are not a valid component; the message names what they are instead.
/// A valid component that the host cannot run is no error: see [`Inspection::problem`].
///
/// Types within types are decoded by a function that calls itself. A component that has more of them than
/// the stack has room for ends the process: one that nobody has vouched for is first inspected where that
/// hurts nobody, by the process that compiles it.
pub fn inspect(bytes: &[u8]) -> Result<Inspection, Refusal> {
    inspect_within(bytes, STACK_BYTES).map(|(inspection, _)| inspection)
}

/// The same, and how what it exports is called.
pub(crate) fn inspect_and_plan(bytes: &[u8]) -> Result<(Inspection, Plan), Refusal> {
    inspect_within(bytes, STACK_BYTES)
}

/// The same with a stack of `stack_bytes`: with less than [`inspect`] has, it ends sooner.
pub(crate) fn inspect_within(bytes: &[u8], stack_bytes: usize) -> Result<(Inspection, Plan), Refusal> {
    recognise(bytes)?;
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("wharf-inspect".into()).stack_size(stack_bytes);
        let thread = thread.spawn_scoped(scope, || inspect_here(bytes));
        let thread = thread.map_err(|error| refusal(format!("no thread can be started: {error}")))?;
        thread.join().unwrap_or_else(|_| Err(refusal("reading this component panicked")))
    })
}

/// Refuses what is no component, without decoding anything.
///
/// # Errors
/// As of [`inspect`].
pub(crate) fn recognise(bytes: &[u8]) -> Result<(), Refusal> {
    refuse_by_name(bytes)?;
    framing::check(bytes).map_err(refusal)
}

fn inspect_here(bytes: &[u8]) -> Result<(Inspection, Plan), Refusal> {
    // The decoder is given hostile bytes. A panic in it must not be one of the host's.
    let decoded = catch_unwind(AssertUnwindSafe(|| decode(bytes)));
    let (resolve, world) = match decoded {
        Ok(Ok(DecodedWasm::Component(resolve, world))) => (resolve, world),
        Ok(Ok(DecodedWasm::WitPackage(..))) => {
            return Err(refusal("this is a WIT package in binary form, not a component: it has no code"));
        }
        Ok(Err(error)) => return Err(refusal(format!("not a valid component: {error:#}"))),
        Err(_) => return Err(refusal("not a valid component: its types cannot be read")),
    };
    Ok(describe(bytes, &resolve, world))
}

/// The SHA-256 of `bytes` in lower-case hex.
pub fn sha256_hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let digest = digest::digest(&digest::SHA256, bytes);
    digest.as_ref().iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn refusal(message: impl Into<String>) -> Refusal {
    Refusal::new(Stage::Inspect, message)
}

/// Says what the bytes are when their first few show that they are not a component.
fn refuse_by_name(bytes: &[u8]) -> Result<(), Refusal> {
    const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
    const CORE_MODULE: &[u8] = b"\0asm\x01\0\0\0";
    if bytes.starts_with(COMPONENT) {
        return Ok(());
    }
    Err(refusal(if bytes.is_empty() {
        "the file is empty".to_owned()
    } else if bytes.starts_with(CORE_MODULE) {
        "this is a core WebAssembly module, not a component; build for the target wasm32-wasip2, or wrap it \
         with `wasm-tools component new`"
            .to_owned()
    } else if bytes.starts_with(b"\0asm") && bytes.len() >= 8 {
        let version = u16::from_le_bytes([bytes[4], bytes[5]]);
        let layer = u16::from_le_bytes([bytes[6], bytes[7]]);
        format!("this is WebAssembly of an unknown kind: version {version}, layer {layer}")
    } else if COMPONENT.starts_with(bytes) || CORE_MODULE.starts_with(bytes) {
        format!("the file is cut off: it ends after {} bytes, within the WebAssembly header", bytes.len())
    } else if bytes.starts_with(b"\x7fELF") {
        "this is precompiled native code (a .cwasm file); the host runs only code that it has compiled \
         itself: load the .wasm component it was made from"
            .to_owned()
    } else if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'(') {
        "this is WebAssembly text; turn it into a component with `wasm-tools parse`".to_owned()
    } else {
        let shown: Vec<String> = bytes.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        format!("this is not WebAssembly: it begins with {}, not with 00 61 73 6d", shown.join(" "))
    }))
}

fn describe(bytes: &[u8], resolve: &Resolve, id: WorldId) -> (Inspection, Plan) {
    let world = &resolve.worlds[id];
    let mut exports: Vec<String> = world.exports.keys().map(|key| resolve.name_world_key(key)).collect();
    exports.sort();
    let mut imports: Vec<ImportUse> = world
        .imports
        .keys()
        // A bare name is a type that the world itself defines, or a function of no interface.
        .filter(|key| matches!(key, WorldKey::Interface(_)) || is_function(resolve, id, key))
        .map(|key| {
            let interface = resolve.name_world_key(key);
            let need = if is_types_only(resolve, key) { Need::Always } else { need(&interface) };
            ImportUse { need, interface }
        })
        .collect();
    imports.sort_by(|a, b| a.interface.cmp(&b.interface));

    let kinds: Vec<(&String, WorldKind)> =
        exports.iter().filter_map(|name| WorldKind::of_export(name).map(|kind| (name, kind))).collect();
    let lifecycle = exports.iter().any(|name| name == crate::worlds::LIFECYCLE);
    let served = schema::read(resolve, id).and_then(|(mut schema, plan)| {
        schema::add_docs(&mut schema, bytes)?;
        Ok((schema, plan))
    });
    let (schema, plan, unservable) = match served {
        Ok((schema, plan)) => (schema, plan, None),
        Err(what) => (Schema::default(), Plan::default(), Some(what)),
    };
    let (world_name, mut problem) = match kinds.as_slice() {
        _ if unservable.is_some() => (None, unservable),
        [(name, _)] => (Some((*name).clone()), None),
        [] if !schema.is_empty() => (Some(services(&schema)), None),
        [] => (None, Some(no_world(&exports, &imports))),
        several => {
            let names: Vec<&str> = several.iter().map(|(name, _)| name.as_str()).collect();
            (None, Some(format!("it exports {}: one component can be one of them", names.join(" and "))))
        }
    };
    let not_offered: Vec<&str> =
        imports.iter().filter(|i| i.need == Need::NotOffered).map(|i| i.interface.as_str()).collect();
    if problem.is_none() && !not_offered.is_empty() {
        problem = Some(format!("it imports {}, which this host does not offer", list(not_offered)));
    }
    let inspection = Inspection {
        sha256: sha256_hex(bytes),
        bytes: bytes.len() as u64,
        world: world_name,
        lifecycle,
        problem,
        exports,
        imports,
        wit: print_wit(resolve, id),
        schema: Arc::new(schema),
    };
    (inspection, plan)
}

/// What a component is that is called by its own interfaces only.
fn services(schema: &Schema) -> String {
    let names: Vec<String> = schema.interfaces.iter().map(|interface| interface.full_name()).collect();
    list(names.iter().map(String::as_str).collect())
}

/// Whether there is nothing behind an import: an interface of nothing but types, which others use.
fn is_types_only(resolve: &Resolve, key: &WorldKey) -> bool {
    let WorldKey::Interface(id) = key else { return false };
    let interface = &resolve.interfaces[*id];
    let is_resource = |id| matches!(resolve.types[id].kind, TypeDefKind::Resource);
    interface.functions.is_empty() && !interface.types.values().any(|id| is_resource(*id))
}

fn is_function(resolve: &Resolve, id: WorldId, key: &WorldKey) -> bool {
    use wasmtime::component::wit_parser::WorldItem;
    matches!(resolve.worlds[id].imports.get(key), Some(WorldItem::Function(_)))
}

/// The refusal of a component that is nothing the host knows: all that it exports and imports, and which
/// part was expected.
fn no_world(exports: &[String], imports: &[ImportUse]) -> String {
    let near = exports.iter().find_map(|name| WorldKind::near_miss(name));
    let reason = near.unwrap_or_else(|| {
        format!(
            "no export is one of {}, and no interface of its own has functions",
            WorldKind::ALL.iter().filter_map(|kind| kind.export()).collect::<Vec<_>>().join(", ")
        )
    });
    format!(
        "the host does not know what to do with it: {reason}.\n  exports: {}\n  imports: {}",
        list(exports.iter().map(String::as_str).collect()),
        list(imports.iter().map(|import| import.interface.as_str()).collect()),
    )
}

/// As many names as somebody reads, each as far as somebody reads it: a component may have a million, of 100 KB.
fn list(names: Vec<&str>) -> String {
    const NAMES_MAX: usize = 30;
    const NAME_BYTES_MAX: usize = 200;
    let shown: Vec<String> = names
        .iter()
        .take(NAMES_MAX)
        .map(|name| match name.floor_char_boundary(NAME_BYTES_MAX) {
            cut if cut < name.len() => format!("{}…", &name[..cut]),
            _ => (*name).to_owned(),
        })
        .collect();
    match names.len() {
        0 => "nothing".to_owned(),
        1..=NAMES_MAX => shown.join(", "),
        more => format!("{} and {} more", shown.join(", "), more - NAMES_MAX),
    }
}

fn need(interface: &str) -> Need {
    match imports::offer(interface) {
        Offer::Always => Need::Always,
        Offer::Grant { section, line, .. } => {
            Need::Grant { section: header("NAME", section), line: line.to_owned() }
        }
        Offer::No => Need::NotOffered,
    }
}

/// `[plugin.notes]`, or a section of it.
fn header(plugin: &str, section: &str) -> String {
    let dot = if section.is_empty() { "" } else { "." };
    format!("[plugin.{plugin}{dot}{section}]")
}

fn print_wit(resolve: &Resolve, id: WorldId) -> String {
    let mut printer = wit_component::WitPrinter::default();
    let Some(package) = resolve.worlds[id].package else { return String::new() };
    match printer.print(resolve, package, &[]) {
        Ok(()) => printer.output.to_string(),
        Err(error) => format!("// the WIT cannot be printed: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(bytes: &[u8]) -> String {
        inspect(bytes).map(|_| ()).expect_err("must be refused").message
    }

    #[test]
    fn what_is_not_a_component_is_refused_by_name() {
        assert_eq!(message(b""), "the file is empty");
        assert!(message(b"\0asm\x01\0\0\0").starts_with("this is a core WebAssembly module"));
        assert!(message(b"\0as").starts_with("the file is cut off: it ends after 3 bytes"));
        assert!(message(b"\x7fELF\x02\x01").starts_with("this is precompiled native code (a .cwasm file)"));
        assert!(message(b"  (component)").starts_with("this is WebAssembly text"));
        assert!(message(b"\0asm\x09\0\x01\0").contains("version 9, layer 1"));
        assert_eq!(
            message(b"GIF89a"),
            "this is not WebAssembly: it begins with 47 49 46 38, not with 00 61 73 6d"
        );
    }

    #[test]
    fn a_component_that_exports_nothing_says_what_was_expected() {
        let inspection = inspect(b"\0asm\x0d\0\x01\0").expect("an empty component is valid");
        let problem = inspection.problem.expect("it has no world");
        assert!(problem.contains("wharf:plugin/handler@0.1.0"), "{problem}");
        assert!(problem.contains("exports: nothing"), "{problem}");
    }

    #[test]
    fn a_list_of_names_is_as_long_as_somebody_reads() {
        assert_eq!(list(vec![]), "nothing");
        assert_eq!(list(vec!["a", "b"]), "a, b");
        assert!(list(vec!["n"; 1_000]).ends_with("n, n and 970 more"));
        let long = "é".repeat(1_000);
        assert_eq!(list(vec![&long]), format!("{}…", "é".repeat(100)));
    }

    #[test]
    fn the_digest_is_sha_256() {
        assert_eq!(sha256_hex(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
