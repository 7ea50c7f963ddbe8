//! Puts the WIT of a component into it, for whoever builds with tools that do not.

use std::collections::HashSet;
use std::path::Path;

use wasmparser::{BinaryReader, Parser, Payload};
use wasmtime::component::wit_parser::{InterfaceId, PackageId, Resolve, Type, TypeDefKind, TypeOwner};
use wit_component::{OutputToString, WitPrinter};

use super::docs::SECTION;
use crate::inspect;

/// The length of what stands before the first section: magic number, version and layer.
const PREAMBLE_BYTES: usize = 8;
/// The number of a custom section.
const CUSTOM: u8 = 0;

/// Gives `component` with the WIT of the interfaces that it exports for callers, comments and stability included, in the
/// custom section `wharf:wit`. A section that the component has there already is replaced; one that its code has brought
/// along, as the SDK's does, is left to it. What exports nothing for callers stays as it is.
///
/// `wit` is a file, or a folder as every tool of the component model takes it: one package, and those that it depends on
/// below `deps`. Blocks.
///
/// # Errors
/// The WIT cannot be read, or is not that of the component; or the component is not one that could be loaded. With what
/// to do.
pub fn embed_wit(component: &[u8], wit: &Path) -> Result<Vec<u8>, String> {
    let bare = without_section(component)?;
    let schema = inspect::inspect(&bare).map_err(|refused| refused.message)?.schema;
    if schema.is_empty() || has_section(&bare)? {
        return Ok(bare);
    }
    let mut resolve = Resolve { all_features: true, ..Resolve::default() };
    resolve
        .push_path(wit)
        .map_err(|error| format!("the WIT in {} cannot be read: {error:#}", wit.display()))?;
    let mut exports = Vec::new();
    for interface in &schema.interfaces {
        let name = interface.full_name();
        let found = resolve.interfaces.iter().find(|(id, _)| resolve.id_of(*id).as_deref() == Some(&name));
        let Some((id, _)) = found else {
            return Err(format!(
                "the WIT in {} has no interface {name}, which the component exports: it is the WIT of another build",
                wit.display()
            ));
        };
        exports.push(id);
    }
    let text = print(resolve, &exports)?;
    let mut made = bare;
    append_section(&mut made, &text);
    // Read as when it is loaded: the author is told now of what the host would refuse then.
    match inspect::inspect(&made).map_err(|refused| refused.message)?.problem {
        Some(problem) if problem.contains(SECTION) => Err(format!("the WIT in {}: {problem}", wit.display())),
        _ => Ok(made),
    }
}

/// The text of these interfaces and of those whose types they use: one package, and the others within it.
fn print(mut resolve: Resolve, exports: &[InterfaceId]) -> Result<String, String> {
    let mut needed = HashSet::new();
    let mut open = exports.to_vec();
    while let Some(id) = open.pop() {
        if needed.insert(id) {
            open.extend(used(&resolve, id));
        }
    }
    let mut packages: Vec<PackageId> = Vec::new();
    for (id, package) in resolve.packages.iter_mut() {
        package.interfaces.retain(|_, id| needed.contains(id));
        package.worlds.clear();
        if !package.interfaces.is_empty() {
            packages.push(id);
        }
    }
    let Some((main, nested)) = packages.split_first() else { return Ok(String::new()) };
    let mut printer = WitPrinter::new(OutputToString::default());
    printer
        .print(&resolve, *main, nested)
        .map_err(|error| format!("the WIT cannot be printed: {error:#}"))?;
    Ok(printer.output.into())
}

/// The interfaces whose types an interface names.
fn used(resolve: &Resolve, id: InterfaceId) -> Vec<InterfaceId> {
    let types = resolve.interfaces[id].types.values();
    let of = types.filter_map(|ty| match resolve.types[*ty].kind {
        TypeDefKind::Type(Type::Id(used)) => match resolve.types[used].owner {
            TypeOwner::Interface(owner) => Some(owner),
            _ => None,
        },
        _ => None,
    });
    of.collect()
}

/// Whether a section is there at any depth.
fn has_section(component: &[u8]) -> Result<bool, String> {
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload.map_err(|error| error.to_string())?;
        if matches!(payload, Payload::CustomSection(section) if section.name() == SECTION) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The component without the sections of this name that are its own, and not of a module within it.
///
/// The sections of a component are each a number, a length in LEB128 and so many bytes (component model, `Binary.md`).
fn without_section(component: &[u8]) -> Result<Vec<u8>, String> {
    let cut_off = |_| "the component is cut off within a section".to_owned();
    let (preamble, sections) = component.split_at(PREAMBLE_BYTES.min(component.len()));
    let mut kept = preamble.to_vec();
    let mut reader = BinaryReader::new(sections, 0);
    while !reader.eof() {
        let start = reader.original_position();
        let number = reader.read_u8().map_err(cut_off)?;
        let bytes = reader.read_var_u32().map_err(cut_off)?;
        let content = reader.read_bytes(bytes as usize).map_err(cut_off)?;
        let is_ours =
            number == CUSTOM && BinaryReader::new(content, 0).read_string().is_ok_and(|name| name == SECTION);
        if !is_ours {
            kept.extend_from_slice(&sections[start..reader.original_position()]);
        }
    }
    Ok(kept)
}

fn append_section(component: &mut Vec<u8>, text: &str) {
    let mut content = Vec::with_capacity(text.len() + SECTION.len() + 1);
    leb128(&mut content, SECTION.len());
    content.extend_from_slice(SECTION.as_bytes());
    content.extend_from_slice(text.as_bytes());
    component.push(CUSTOM);
    leb128(component, content.len());
    component.extend_from_slice(&content);
}

/// An unsigned number in LEB128, the shortest way.
fn leb128(out: &mut Vec<u8>, mut number: usize) {
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            return out.push(low);
        }
        out.push(low | 0x80);
    }
}
