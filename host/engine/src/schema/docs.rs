//! The WIT that a component carries: where it is found, and what is taken from it.
//!
//! A component has the types of its WIT, but neither comments nor `@since` and `@deprecated`. Whoever builds it may put the
//! text into a custom section, [`SECTION`]: UTF-8, the packages of the exported interfaces and of the types that they
//! use, as `.wit` files have them; of several packages all but one as `package a:b@1.0.0 { … }`. The section is one of
//! the component, or of a core module in it, where a static of a Rust program ends up. Worlds in the text are passed
//! over, because what they import need not be there.
//!
//! Invariant: text that does not have the very types of the component is refused. A client that reads it would be told
//! of something that is not there.

use std::collections::HashMap;

use wasmparser::{Parser, Payload};
use wasmtime::component::wit_parser::Resolve;
use wharf_call::{Case, Docs, Field, Function, Interface, Output, Schema, Type, TypeId, TypeKind};

use super::{is_service, read_interfaces, shorten};

/// The name of the custom section.
pub(crate) const SECTION: &str = "wharf:wit";
/// The most text that is read, in bytes.
const TEXT_BYTES_MAX: usize = 1 << 20;
/// How deep types are nested in the text.
const NESTED_MAX: u32 = 256;
/// How many sections may be there: one for each core module that has one.
const SECTIONS_MAX: usize = 16;

/// Adds what the WIT text in `component` says to the `schema` of the same component. Without text it stays as it is.
///
/// # Errors
/// The text cannot be read, or is not that of the component; with what differs.
pub(crate) fn add(schema: &mut Schema, component: &[u8]) -> Result<(), String> {
    if schema.is_empty() {
        return Ok(());
    }
    let texts = texts(component)?;
    if texts.is_empty() {
        return Ok(());
    }
    let refused = |what: String| {
        format!(
            "the WIT text in its section {SECTION:?} {what}. Build it again, with the WIT that it is built from"
        )
    };
    let mut resolve = Resolve { all_features: true, ..Resolve::default() };
    for text in texts {
        if nests_deeper_than(text, NESTED_MAX) {
            return Err(refused(format!("nests types deeper than {NESTED_MAX}")));
        }
        let text = with_a_package(without_worlds(text));
        resolve.push_source("wharf.wit", &text).map_err(|error| {
            let said = error.to_string();
            refused(format!("cannot be read: {}", &said[..said.floor_char_boundary(1_000)]))
        })?;
    }
    let mut said = Vec::new();
    for interface in &schema.interfaces {
        let name = interface.full_name();
        let found = resolve.interfaces.iter().find(|(id, _)| resolve.id_of(*id).as_deref() == Some(&name));
        let Some((id, _)) = found else {
            return Err(refused(format!("has no interface {name}")));
        };
        if is_service(&name) {
            said.push((name, id));
        }
    }
    let (text, _) =
        read_interfaces(&resolve, &said).map_err(|what| refused(format!("cannot be served: {what}")))?;
    let mut taken = Taken { text: &text, types: HashMap::new() };
    taken.schema(schema).map_err(|what| refused(format!("is not that of the component: {what}")))?;
    let types = taken.types;
    for (id, of) in types {
        take_type_docs(schema, id, &text, of);
    }
    Ok(())
}

/// The texts of all sections, each once.
fn texts(component: &[u8]) -> Result<Vec<&str>, String> {
    let mut texts: Vec<&str> = Vec::new();
    let mut bytes = 0;
    for payload in Parser::new(0).parse_all(component) {
        let Payload::CustomSection(section) = payload.map_err(|error| error.to_string())? else { continue };
        if section.name() != SECTION {
            continue;
        }
        bytes += section.data().len();
        if bytes > TEXT_BYTES_MAX || texts.len() == SECTIONS_MAX {
            return Err(format!(
                "its WIT text, in sections {SECTION:?}, is larger than {TEXT_BYTES_MAX} bytes, or in more than \
                 {SECTIONS_MAX} sections"
            ));
        }
        let text = std::str::from_utf8(section.data())
            .map_err(|error| format!("the WIT text in its section {SECTION:?} is not UTF-8: {error}"))?;
        if !text.trim().is_empty() && !texts.contains(&text) {
            texts.push(text);
        }
    }
    Ok(texts)
}

/// Whether types within types go so deep that the parser, which calls itself for each, is better not asked.
fn nests_deeper_than(text: &str, max: u32) -> bool {
    let mut open = 0_u32;
    let mut before = 0;
    for byte in text.bytes() {
        match byte {
            b'<' => open += 1,
            b'>' if before != b'-' => open = open.saturating_sub(1),
            // No type goes on behind the end of its item.
            b';' | b'}' => open = 0,
            _ => {}
        }
        if open > max {
            return true;
        }
        before = byte;
    }
    false
}

/// Gives text in which every package is nested the one that WIT wants around them.
fn with_a_package(text: String) -> String {
    let mut has_own = false;
    scan(&text, |item| has_own |= item.word == "package" && !item.is_block && item.depth == 0);
    if has_own { text } else { format!("package wharf-embedded:text;\n{text}") }
}

/// Replaces worlds by spaces, so that the lines of everything else stay what they are.
fn without_worlds(text: &str) -> String {
    let mut worlds = Vec::new();
    scan(text, |item| {
        if item.word == "world" {
            worlds.push(item.start..item.end);
        }
    });
    let mut bytes = text.as_bytes().to_vec();
    for world in worlds {
        bytes[world].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
    }
    // Whole items are replaced, and they begin and end with ASCII.
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

/// A package, interface, world or the like.
struct Item<'a> {
    /// Its first word.
    word: &'a str,
    /// Whether it is `… { … }`, and not `…;`.
    is_block: bool,
    /// Within how many packages it is.
    depth: u32,
    start: usize,
    end: usize,
}

/// Finds the items of WIT text, at its top and within nested packages. It knows comments and braces; what is no WIT is
/// for the parser to refuse.
fn scan<'a>(text: &'a str, mut found: impl FnMut(Item<'a>)) {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (0, 0);
    // The item that is being read, and the braces that are open in it.
    let (mut item, mut braces): (Option<(usize, &str)>, u32) = (None, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'/' if bytes.get(at + 1) == Some(&b'/') => {
                at = text[at..].find('\n').map_or(bytes.len(), |end| at + end);
                continue;
            }
            b'/' if bytes.get(at + 1) == Some(&b'*') => {
                at = skip_comment(bytes, at);
                continue;
            }
            b'{' => match item {
                // What is within is items again.
                Some((start, "package")) if braces == 0 => {
                    found(Item { word: "package", is_block: true, depth, start, end: at });
                    depth += 1;
                    item = None;
                }
                _ => braces += 1,
            },
            b'}' if braces > 0 => {
                braces -= 1;
                if braces == 0
                    && let Some((start, word)) = item.take()
                {
                    found(Item { word, is_block: true, depth, start, end: at + 1 });
                }
            }
            b'}' => depth = depth.saturating_sub(1),
            b';' if braces == 0 => {
                if let Some((start, word)) = item.take() {
                    found(Item { word, is_block: false, depth, start, end: at + 1 });
                }
            }
            // The gate of an item, `@since(version = 1.0.0)`, goes with the item.
            b'@' => match item {
                None => item = Some((at, "@")),
                Some((start, "")) => item = Some((start, "@")),
                Some(_) => {}
            },
            b')' if braces == 0 && matches!(item, Some((_, "@"))) => {
                item = item.map(|(start, _)| (start, ""))
            }
            byte if byte.is_ascii_alphabetic() => {
                let end = text[at..].find(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '%'));
                let end = end.map_or(bytes.len(), |end| at + end);
                match item {
                    None => item = Some((at, &text[at..end])),
                    Some((start, "")) => item = Some((start, &text[at..end])),
                    Some(_) => {}
                }
                at = end;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
}

/// The end of a block comment, which nests.
fn skip_comment(bytes: &[u8], mut at: usize) -> usize {
    let mut open = 0;
    while at < bytes.len() {
        match &bytes[at..bytes.len().min(at + 2)] {
            b"/*" => open += 1,
            b"*/" => open -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if open == 0 {
            return at;
        }
    }
    bytes.len()
}

/// Goes through the schema of a component and that of its text at once.
struct Taken<'a> {
    text: &'a Schema,
    /// Named types of the component that were compared, and what they are called in the text.
    types: HashMap<TypeId, TypeId>,
}

impl Taken<'_> {
    fn schema(&mut self, schema: &mut Schema) -> Result<(), String> {
        let Schema { interfaces, types } = schema;
        for interface in interfaces {
            let name = interface.full_name();
            let said = self.text.interfaces.iter().find(|said| said.full_name() == name);
            let said = said.ok_or_else(|| format!("it has no functions in {name}"))?;
            self.interface(types, interface, said).map_err(|what| format!("{name}: {what}"))?;
        }
        Ok(())
    }

    fn interface(
        &mut self,
        types: &[wharf_call::TypeDef],
        interface: &mut Interface,
        said: &Interface,
    ) -> Result<(), String> {
        if let Some(more) =
            said.functions.iter().find(|said| !interface.functions.iter().any(|own| own.name == said.name))
        {
            return Err(format!("it has a function {}, which the component has not", shorten(&more.name)));
        }
        for function in &mut interface.functions {
            let said = said.functions.iter().find(|said| said.name == function.name);
            let said = said.ok_or_else(|| format!("it has no function {}", function.name))?;
            self.function(types, function, said)
                .map_err(|what| format!("function {}: {what}", function.name))?;
            function.docs = said.docs.clone();
        }
        interface.docs = said.docs.clone();
        Ok(())
    }

    fn function(
        &mut self,
        types: &[wharf_call::TypeDef],
        own: &Function,
        said: &Function,
    ) -> Result<(), String> {
        if own.is_async != said.is_async {
            return Err("one is async, the other is not".into());
        }
        self.fields(types, &own.params, &said.params)?;
        self.optional(types, own.input.as_ref(), said.input.as_ref())
            .map_err(|_| "other items are streamed in")?;
        match (&own.output, &said.output) {
            (Output::Nothing, Output::Nothing) => {}
            (Output::Value(own), Output::Value(said)) | (Output::Stream(own), Output::Stream(said)) => {
                self.ty(types, own, said).map_err(|what| format!("what it returns: {what}"))?;
            }
            _ => return Err("something else is returned".into()),
        }
        self.optional(types, own.error.as_ref(), said.error.as_ref())
            .map_err(|what| format!("the error that it returns: {what}"))
    }

    fn optional(
        &mut self,
        types: &[wharf_call::TypeDef],
        own: Option<&Type>,
        said: Option<&Type>,
    ) -> Result<(), String> {
        match (own, said) {
            (None, None) => Ok(()),
            (Some(own), Some(said)) => self.ty(types, own, said),
            _ => Err("one has a type, the other has none".into()),
        }
    }

    fn fields(&mut self, types: &[wharf_call::TypeDef], own: &[Field], said: &[Field]) -> Result<(), String> {
        if own.len() != said.len() {
            return Err(format!("it has {} in the component and {} in the text", own.len(), said.len()));
        }
        for (own, said) in own.iter().zip(said) {
            if own.name != said.name {
                return Err(format!("{} is called {} in the text", own.name, said.name));
            }
            self.ty(types, &own.ty, &said.ty).map_err(|what| format!("{}: {what}", own.name))?;
        }
        Ok(())
    }

    fn cases(&mut self, types: &[wharf_call::TypeDef], own: &[Case], said: &[Case]) -> Result<(), String> {
        if own.len() != said.len() {
            return Err(format!(
                "it has {} cases in the component and {} in the text",
                own.len(),
                said.len()
            ));
        }
        for (own, said) in own.iter().zip(said) {
            if own.name != said.name {
                return Err(format!("{} is called {} in the text", own.name, said.name));
            }
            self.optional(types, own.ty.as_ref(), said.ty.as_ref())
                .map_err(|what| format!("{}: {what}", own.name))?;
        }
        Ok(())
    }

    /// Recursion is bounded by `DEPTH_MAX`, and each named type is looked at once.
    fn ty(&mut self, types: &[wharf_call::TypeDef], own: &Type, said: &Type) -> Result<(), String> {
        match (own, said) {
            (Type::List(own), Type::List(said)) | (Type::Option(own), Type::Option(said)) => {
                self.ty(types, own, said)
            }
            (Type::FixedList(own, n), Type::FixedList(said, m)) if n == m => self.ty(types, own, said),
            (Type::Map(key, value), Type::Map(said_key, said_value)) => {
                self.ty(types, key, said_key)?;
                self.ty(types, value, said_value)
            }
            (Type::Tuple(own), Type::Tuple(said)) if own.len() == said.len() => {
                own.iter().zip(said).try_for_each(|(own, said)| self.ty(types, own, said))
            }
            (Type::Result(ok, error), Type::Result(said_ok, said_error)) => {
                self.optional(types, ok.as_deref(), said_ok.as_deref())?;
                self.optional(types, error.as_deref(), said_error.as_deref())
            }
            (Type::Named(own), Type::Named(said)) => self.named(types, *own, *said),
            (own, said) if own == said => Ok(()),
            (_, said) => Err(format!("the text has {} there", self.text.show(said))),
        }
    }

    fn named(&mut self, types: &[wharf_call::TypeDef], id: TypeId, said_id: TypeId) -> Result<(), String> {
        let (own, said) = (&types[id.0 as usize], self.text.type_def(said_id));
        if let Some(known) = self.types.get(&id) {
            return if *known == said_id {
                Ok(())
            } else {
                Err(format!("{} is {} there", own.name, said.name))
            };
        }
        if (&own.package, &own.interface, &own.name) != (&said.package, &said.interface, &said.name) {
            return Err(format!("{} is {} there", own.name, said.name));
        }
        self.types.insert(id, said_id);
        let compared = match (&own.kind, &said.kind) {
            (TypeKind::Record(own), TypeKind::Record(said)) => self.fields(types, own, said),
            (TypeKind::Variant(own), TypeKind::Variant(said))
            | (TypeKind::Enum(own), TypeKind::Enum(said))
            | (TypeKind::Flags(own), TypeKind::Flags(said)) => self.cases(types, own, said),
            _ => Err("they are of different kinds".into()),
        };
        compared.map_err(|what| format!("type {}: {what}", own.name))
    }
}

fn take_type_docs(schema: &mut Schema, id: TypeId, text: &Schema, of: TypeId) {
    let (own, said) = (&mut schema.types[id.0 as usize], text.type_def(of));
    own.docs = said.docs.clone();
    let docs: Vec<&Docs> = match &said.kind {
        TypeKind::Record(fields) => fields.iter().map(|field| &field.docs).collect(),
        TypeKind::Variant(cases) | TypeKind::Enum(cases) | TypeKind::Flags(cases) => {
            cases.iter().map(|case| &case.docs).collect()
        }
    };
    let own: Vec<&mut Docs> = match &mut own.kind {
        TypeKind::Record(fields) => fields.iter_mut().map(|field| &mut field.docs).collect(),
        TypeKind::Variant(cases) | TypeKind::Enum(cases) | TypeKind::Flags(cases) => {
            cases.iter_mut().map(|case| &mut case.docs).collect()
        }
    };
    own.into_iter().zip(docs).for_each(|(own, said)| *own = said.clone());
}
