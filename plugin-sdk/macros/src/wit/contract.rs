//! The WIT, read: which interfaces the component exports, and the text that it carries.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use wit_bindgen_core::wit_parser::{
    Docs, InterfaceId, PackageId, PackageName, Resolve, SourceMap, Type, TypeDefKind, TypeOwner, WorldId,
    WorldItem, WorldKey,
};
use wit_component::{OutputToString, WitPrinter};

use super::arguments::{Arguments, Source};

/// The contracts with the host that a service fulfils besides its own.
const PLUGIN: [(&str, &str); 2] = [
    ("types.wit", include_str!("../../../../wit/types.wit")),
    ("lifecycle.wit", include_str!("../../../../wit/lifecycle.wit")),
];
/// The types of both, which the SDK has.
pub(crate) const TYPES: &str = "wharf:plugin/types@0.1.0";
const LIFECYCLE: &str = "wharf:plugin/lifecycle@0.1.0";
const HANDLER: &str = "wharf:plugin/handler@0.1.0";

pub(crate) struct Contract {
    pub(crate) resolve: Resolve,
    /// What is generated: the exports, and the lifecycle.
    pub(crate) world: WorldId,
    /// What is served, in the order of the WIT.
    pub(crate) exports: Vec<InterfaceId>,
    /// Interfaces whose types, or functions, the exports or the plugin use.
    pub(crate) imports: Vec<InterfaceId>,
    /// The key of the lifecycle, unless that is a handler's.
    pub(crate) lifecycle: Option<InterfaceId>,
    /// The WIT of the exports with its documentation.
    pub(crate) text: String,
    /// What was read, so that a change is seen.
    pub(crate) files: Vec<PathBuf>,
}

impl Contract {
    pub(crate) fn read(arguments: &Arguments) -> Result<Self> {
        let mut resolve = Resolve::default();
        // With the file, the line and what stands there.
        let (main, files) =
            push(&mut resolve, &arguments.source).map_err(|error| anyhow!(resolve.render_error(&error)))?;
        let own = own_world(&resolve, main, arguments)?;
        let world = add_world(&mut resolve, main, own, !arguments.handler)?;
        let mut contract = Contract {
            resolve,
            world,
            exports: Vec::new(),
            imports: Vec::new(),
            lifecycle: None,
            text: String::new(),
            files,
        };
        contract.sort_items()?;
        contract.text = contract.print(main)?;
        contract.drop_annotations();
        Ok(contract)
    }

    /// Whether what is generated mentions [`TYPES`]: with a handler's lifecycle it may not.
    pub(crate) fn uses_types(&self) -> bool {
        let imports = &self.resolve.worlds[self.world].imports;
        imports.keys().any(|key| self.resolve.name_world_key(key) == TYPES)
    }

    fn sort_items(&mut self) -> Result<()> {
        let world = &self.resolve.worlds[self.world];
        for (key, item) in &world.exports {
            match (self.resolve.name_world_key(key).as_str(), item) {
                (LIFECYCLE, WorldItem::Interface { id, .. }) => self.lifecycle = Some(*id),
                (HANDLER, _) => {
                    bail!("the world exports {HANDLER}: leave that out, `#[wharf::handler]` exports it")
                }
                (name, WorldItem::Function(_)) => {
                    bail!("the world exports the function `{name}` by itself: put it into an interface")
                }
                (name, WorldItem::Interface { .. }) if matches!(key, WorldKey::Name(_)) => {
                    bail!(
                        "the world exports the interface `{name}`, which has no package: define it beside the world"
                    )
                }
                (_, WorldItem::Interface { id, .. }) => self.exports.push(*id),
                (_, WorldItem::Type { .. }) => {}
            }
        }
        for item in world.imports.values() {
            if let WorldItem::Interface { id, .. } = item
                && self.resolve.id_of(*id).is_some_and(|name| !name.starts_with("wharf:plugin/"))
            {
                self.imports.push(*id);
            }
        }
        Ok(())
    }

    /// The WIT of what is served, as text: the package, and the others that it uses in nested notation.
    fn print(&self, main: PackageId) -> Result<String> {
        let mut needed = HashSet::new();
        self.exports.iter().for_each(|id| need(&self.resolve, *id, &mut needed));
        let mut resolve = self.resolve.clone();
        let mut others = Vec::new();
        for (id, package) in resolve.packages.iter_mut() {
            package.interfaces.retain(|_, id| needed.contains(id));
            package.worlds.clear();
            if id != main && !package.interfaces.is_empty() {
                others.push(id);
            }
        }
        let mut printer = WitPrinter::new(OutputToString::default());
        printer.print(&resolve, main, &others)?;
        Ok(printer.output.into())
    }

    /// `@query` and the like are for the host: in Rust's documentation they would be noise.
    fn drop_annotations(&mut self) {
        let clean = |docs: &mut Docs| {
            let Some(text) = &mut docs.contents else { return };
            let annotation = |line: &str| {
                line.trim()
                    .strip_prefix('@')
                    .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()))
            };
            let lines: Vec<_> = text.lines().filter(|line| !annotation(line)).collect();
            *text = lines.join("\n").trim().to_owned();
        };
        for (_, interface) in self.resolve.interfaces.iter_mut() {
            clean(&mut interface.docs);
            interface.functions.values_mut().for_each(|function| clean(&mut function.docs));
        }
        for (_, ty) in self.resolve.types.iter_mut() {
            clean(&mut ty.docs);
            match &mut ty.kind {
                TypeDefKind::Record(record) => {
                    record.fields.iter_mut().for_each(|field| clean(&mut field.docs))
                }
                TypeDefKind::Variant(of) => of.cases.iter_mut().for_each(|case| clean(&mut case.docs)),
                TypeDefKind::Enum(of) => of.cases.iter_mut().for_each(|case| clean(&mut case.docs)),
                TypeDefKind::Flags(of) => of.flags.iter_mut().for_each(|flag| clean(&mut flag.docs)),
                _ => {}
            }
        }
    }
}

/// Reads the package. The second is the files that it is in.
fn push(resolve: &mut Resolve, source: &Source) -> Result<(PackageId, Vec<PathBuf>)> {
    match source {
        Source::Inline(text) => Ok((resolve.push_str("wit!", &text.value())?, Vec::new())),
        Source::Path(path) => {
            let root = std::env::var("CARGO_MANIFEST_DIR").context("Cargo did not say where the crate is")?;
            let path = Path::new(&root).join(path);
            let (main, sources) = resolve
                .push_path(&path)
                .with_context(|| format!("the WIT is looked for in {}", path.display()))?;
            Ok((main, sources.paths().map(Path::to_owned).collect()))
        }
    }
}

/// The world that the author has written, if there is one.
fn own_world(resolve: &Resolve, main: PackageId, arguments: &Arguments) -> Result<Option<WorldId>> {
    if let Some(name) = &arguments.world {
        return resolve.select_world(&[main], Some(&name.value())).map(Some);
    }
    let worlds = &resolve.packages[main].worlds;
    match worlds.len() {
        0 | 1 => Ok(worlds.values().next().copied()),
        _ => {
            let names: Vec<_> = worlds.keys().map(|name| format!("`{name}`")).collect();
            bail!(
                "the package has the worlds {}: write `wharf::wit!(\"wit\", world = \"name\")` with the one that \
                 this plugin implements",
                names.join(", ")
            )
        }
    }
}

/// The world that is generated: what the author's world has, or every interface with functions where there is none;
/// and the lifecycle.
fn add_world(
    resolve: &mut Resolve,
    main: PackageId,
    own: Option<WorldId>,
    lifecycle: bool,
) -> Result<WorldId> {
    let mut items = String::new();
    match own {
        Some(world) => {
            let name = &resolve.worlds[world].name;
            items += &format!("include {};\n", resolve.id_of_name(main, name));
        }
        None => {
            let package = &resolve.packages[main];
            for (name, id) in &package.interfaces {
                if !resolve.interfaces[*id].functions.is_empty() {
                    items += &format!("export {};\n", resolve.id_of_name(main, name));
                }
            }
            if items.is_empty() {
                bail!(
                    "the package {} has no interface with functions: there is nothing to serve",
                    package.name
                );
            }
        }
    }
    if lifecycle {
        items += &format!("export {LIFECYCLE};\n");
        add_plugin(resolve)?;
    }
    let package = resolve
        .push_str("wharf-services", &format!("package wharf:services;\nworld services {{\n{items}}}\n"))?;
    resolve.select_world(&[package], None)
}

/// The package with the lifecycle, unless the author's WIT has it.
fn add_plugin(resolve: &mut Resolve) -> Result<()> {
    let known = |name: &PackageName| name.namespace == "wharf" && name.name == "plugin";
    if resolve.package_names.keys().any(known) {
        return Ok(());
    }
    let mut sources = SourceMap::default();
    PLUGIN.iter().for_each(|(name, text)| sources.push_str(name, *text));
    let group = sources.parse().map_err(|(_, error)| error)?;
    resolve.push_group(group)?;
    Ok(())
}

/// The interface, and those whose types it uses.
fn need(resolve: &Resolve, id: InterfaceId, needed: &mut HashSet<InterfaceId>) {
    if !needed.insert(id) {
        return;
    }
    for ty in resolve.interfaces[id].types.values() {
        if let TypeDefKind::Type(Type::Id(used)) = resolve.types[*ty].kind
            && let TypeOwner::Interface(owner) = resolve.types[used].owner
        {
            need(resolve, owner, needed);
        }
    }
}
