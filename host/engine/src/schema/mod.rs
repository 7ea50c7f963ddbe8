//! What a component exports for its callers, read from its binary: [`Schema`], and how each function is called.
//!
//! Every exported interface that is neither `wasi:` nor `wharf:plugin/` is a service. What the host cannot serve of it
//! is refused when the component is loaded, by interface and function, with what to write instead. A function that is
//! exported by itself, outside of an interface, is nobody's to call.
//!
//! A component is what somebody has uploaded, so all that is counted here is bounded:
//!
//! | what | at most |
//! |---|---|
//! | interfaces with functions | [`INTERFACES_MAX`] |
//! | functions, of all interfaces | [`FUNCTIONS_MAX`] |
//! | parameters of a function | [`PARAMS_MAX`] |
//! | named types that functions use | [`TYPES_MAX`] |
//! | fields, cases or flags of a type | [`MEMBERS_MAX`]; flags 32 |
//! | types within types, as they are written out | [`NODES_MAX`] |
//! | how deep types are nested | [`DEPTH_MAX`] |
//! | a name, in bytes | [`NAME_BYTES_MAX`] |
//!
//! `types.rs` reads types, `functions.rs` folds what a WIT writes for a stream into [`Function`], `docs.rs` finds the
//! WIT text that a component carries and takes its comments, `embed.rs` puts it there, `print.rs` shows a schema.

mod docs;
mod embed;
mod functions;
mod print;
mod types;

use wasmtime::component::wit_parser::{InterfaceId, Resolve, WorldId, WorldItem, WorldKey};
use wharf_call::{Function, Interface, Package, Schema};

pub(crate) use self::docs::add as add_docs;
pub use self::embed::embed_wit;
pub(crate) use self::print::serialize;
use self::types::{Types, docs as docs_of};

/// Interfaces that have functions.
pub(crate) const INTERFACES_MAX: usize = 256;
/// Functions of all interfaces together.
pub(crate) const FUNCTIONS_MAX: usize = 4_096;
/// Parameters of one function.
pub(crate) const PARAMS_MAX: usize = 256;
/// Named types.
pub(crate) const TYPES_MAX: usize = 8_192;
/// Fields of a record, cases of a variant or an enum, members of a tuple.
pub(crate) const MEMBERS_MAX: usize = 4_096;
/// Types within types, each time that they are written out. A type without a name is written out wherever it is used.
pub(crate) const NODES_MAX: usize = 65_536;
/// How deep types are nested, named ones included: whoever walks a value calls itself no deeper.
pub(crate) const DEPTH_MAX: usize = 64;
/// The bytes of a name.
pub(crate) const NAME_BYTES_MAX: usize = 128;

/// How the functions of a schema are called; in the same order.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) interfaces: Vec<InterfacePlan>,
}

#[derive(Debug)]
pub(crate) struct InterfacePlan {
    /// The export of the component, as in `demo:users/accounts@1.0.0`.
    pub(crate) export: String,
    pub(crate) functions: Vec<FunctionPlan>,
}

/// How one function is called.
#[derive(Debug, PartialEq)]
pub(crate) struct FunctionPlan {
    pub(crate) call: Method,
    /// The position of a parameter that is a stream, and of what.
    pub(crate) input: Option<(usize, Scalar)>,
    pub(crate) output: OutputPlan,
}

/// What the function itself returns, without the `result` around it.
#[derive(Debug, PartialEq)]
pub(crate) enum OutputPlan {
    Nothing,
    Value,
    Stream(Scalar),
    Resource(Box<ResourcePlan>),
}

/// A resource that is a stream.
#[derive(Debug, PartialEq)]
pub(crate) struct ResourcePlan {
    /// The export whose functions these are.
    pub(crate) export: String,
    pub(crate) next: Option<Method>,
    pub(crate) push: Option<Push>,
}

/// The caller's side of a resource that is a stream.
#[derive(Debug, PartialEq)]
pub(crate) struct Push {
    pub(crate) push: Method,
    pub(crate) finish: Method,
}

/// A function of the component.
#[derive(Debug, PartialEq)]
pub(crate) struct Method {
    /// The name within its interface, as in `get-user` or `[method]rows.next`.
    pub(crate) name: String,
    /// Whether it returns something.
    pub(crate) returns: bool,
    /// Whether that is a `result`.
    pub(crate) fallible: bool,
}

/// What a `stream<T>` can carry into and out of a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scalar {
    Bool,
    S8,
    S16,
    S32,
    S64,
    U8,
    U16,
    U32,
    U64,
    F32,
    F64,
    Char,
    String,
}

/// Whether callers are to see the exported interface with this full name.
pub(crate) fn is_service(export: &str) -> bool {
    !export.starts_with("wasi:") && !export.starts_with("wharf:plugin/")
}

/// Reads what the world `id` exports for callers.
///
/// # Errors
/// What of it cannot be served, and why.
pub(crate) fn read(resolve: &Resolve, id: WorldId) -> Result<(Schema, Plan), String> {
    let mut exported = Vec::new();
    for (key, item) in &resolve.worlds[id].exports {
        let WorldItem::Interface { id, .. } = item else { continue };
        match key {
            WorldKey::Interface(_) => {
                let name = resolve.name_world_key(key);
                if is_service(&name) {
                    exported.push((name, *id));
                }
            }
            WorldKey::Name(_) if resolve.interfaces[*id].functions.is_empty() => {}
            WorldKey::Name(name) => {
                return Err(format!(
                    "it exports an interface without a package, {name:?}: define it as an interface of a package, \
                     and export that"
                ));
            }
        }
    }
    exported.sort();
    read_interfaces(resolve, &exported)
}

/// Reads these interfaces, of which the names are those of the exports.
fn read_interfaces(resolve: &Resolve, exported: &[(String, InterfaceId)]) -> Result<(Schema, Plan), String> {
    let mut types = Types::new(resolve);
    let mut interfaces = Vec::new();
    let mut plan = Plan::default();
    let mut functions_left = FUNCTIONS_MAX;
    for (export, id) in exported {
        let wit = &resolve.interfaces[*id];
        functions::check_resources(resolve, export, *id)?;
        let own: Vec<_> = wit.functions.values().filter(|function| is_freestanding(function)).collect();
        if own.is_empty() {
            continue;
        }
        if interfaces.len() == INTERFACES_MAX {
            return Err(format!(
                "it exports more than {INTERFACES_MAX} interfaces: split it into several plugins"
            ));
        }
        functions_left = functions_left.checked_sub(own.len()).ok_or_else(|| {
            format!("its interfaces have more than {FUNCTIONS_MAX} functions: split it into several plugins")
        })?;
        let mut functions: Vec<Function> = Vec::with_capacity(own.len());
        let mut plans = Vec::with_capacity(own.len());
        for function in own {
            let (read, plan) = functions::read(&mut types, export, function)
                .map_err(|what| format!("{export}, function {}: {what}", shorten(&function.name)))?;
            functions.push(read);
            plans.push(plan);
        }
        let (package, name) = types::place(resolve, *id).ok_or_else(|| format!("{export} has no package"))?;
        interfaces.push(Interface { package, name, docs: docs_of(&wit.docs, &wit.stability), functions });
        plan.interfaces.push(InterfacePlan { export: export.clone(), functions: plans });
    }
    Ok((Schema { interfaces, types: types.finish() }, plan))
}

fn is_freestanding(function: &wasmtime::component::wit_parser::Function) -> bool {
    function.kind.resource().is_none()
}

/// A name as far as somebody reads it.
fn shorten(name: &str) -> String {
    match name.floor_char_boundary(NAME_BYTES_MAX) {
        cut if cut < name.len() => format!("{:?}…", &name[..cut]),
        _ => format!("{name:?}"),
    }
}

/// The package of an interface or a world.
fn package(resolve: &Resolve, id: wasmtime::component::wit_parser::PackageId) -> Package {
    let name = &resolve.packages[id].name;
    Package {
        namespace: name.namespace.clone(),
        name: name.name.clone(),
        version: name.version.as_ref().map(ToString::to_string),
    }
}

#[cfg(test)]
mod tests;
