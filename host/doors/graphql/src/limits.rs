//! What a document may cost, decided before anything else looks at it.
//!
//! Tokens are counted, and object literals looked through, before the text is parsed, and fields before the document is validated: a fragment's cost is worked out
//! once, and counted wherever it is spread, so that documents which double with every fragment are refused in the time that
//! it takes to read them.

use std::collections::{HashMap, HashSet};

use async_graphql::parser::types::{
    Directive, ExecutableDocument, Field, OperationType, Selection, SelectionSet,
};
use async_graphql::{Name, Pos, Positioned};
use async_graphql_value::Value as Literal;

use crate::config::GraphqlConfig;

/// How deep brackets, and selections with the fragments in them, may be nested. It bounds recursion.
pub(crate) const NESTING_MAX: usize = 64;

/// How many lists may be within each other in introspection, as in graphql-js: `fields { type { fields { …`.
const INTROSPECTION_LISTS_MAX: u32 = 2;

/// How many times the fields of an operation all definitions of a document may have together. Validation looks at each with
/// the fragments that it spreads, whether it is executed or not.
const DOCUMENT_FIELDS: usize = 10;

/// The most bytes of a name or a number. Errors quote the names around them.
const WORD_BYTES_MAX: usize = 256;

/// Why a document is refused.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) text: String,
    pub(crate) at: Option<Pos>,
}

/// Counts tokens and nesting of a document's text. Fields that an object literal has twice are refused here, too (GraphQL,
/// section 5.6.3): the parser keeps the last of them and says nothing.
pub(crate) fn scan(text: &str, tokens_max: usize) -> Result<usize, Refusal> {
    let bytes = text.as_bytes();
    let (mut at, mut tokens) = (0, 0_usize);
    let mut within: Vec<Bracket<'_>> = Vec::new();
    // Where the last token is, if it is one that a field may be called by.
    let mut name: Option<(usize, usize)> = None;
    while let Some(&byte) = bytes.get(at) {
        let last = name;
        let length = match byte {
            b' ' | b'\t' | b'\n' | b'\r' | b',' | 0xef | 0xbb | 0xbf => {
                at += 1;
                continue;
            }
            b'#' => {
                at += bytes[at..]
                    .iter()
                    .position(|byte| matches!(byte, b'\n' | b'\r'))
                    .unwrap_or(bytes.len() - at);
                continue;
            }
            b'"' => string(&bytes[at..]),
            b'{' | b'[' | b'(' => {
                within.push(match byte {
                    b'{' if within.iter().any(|bracket| !matches!(bracket, Bracket::Selection)) => {
                        Bracket::Object(HashSet::new())
                    }
                    b'{' => Bracket::Selection,
                    _ => Bracket::Other,
                });
                if within.len() > NESTING_MAX {
                    return Err(refused(format!(
                        "The document nests brackets more than {NESTING_MAX} deep."
                    )));
                }
                1
            }
            b'}' | b']' | b')' => {
                within.pop();
                1
            }
            b':' => {
                if let (Some(Bracket::Object(fields)), Some((from, to))) = (within.last_mut(), last)
                    && !fields.insert(&text[from..to])
                {
                    let shown = &text[from..from + text[from..to].floor_char_boundary(64)];
                    let text = format!("The field \"{shown}\" is twice in one object.");
                    return Err(Refusal { text, at: Some(pos_of(bytes, from)) });
                }
                1
            }
            b'.' if bytes[at..].starts_with(b"...") => 3,
            byte if is_word(byte) => {
                let length = bytes[at..].iter().position(|&byte| !is_word(byte)).unwrap_or(bytes.len() - at);
                if length > WORD_BYTES_MAX {
                    let text = format!("A name or number is longer than {WORD_BYTES_MAX} bytes.");
                    return Err(Refusal { text, at: Some(pos_of(bytes, at)) });
                }
                length
            }
            _ => 1,
        };
        name = is_word(byte).then_some((at, at + length));
        at += length;
        tokens += 1;
        if tokens > tokens_max {
            return Err(refused(format!(
                "The document has more than {tokens_max} tokens, which is the limit."
            )));
        }
    }
    Ok(tokens)
}

/// What the scanner is within.
enum Bracket<'t> {
    Selection,
    /// The fields of an object literal, so far.
    Object(HashSet<&'t str>),
    Other,
}

/// Line and column of a byte, both from 1; a column is a character.
fn pos_of(bytes: &[u8], at: usize) -> Pos {
    let before = &bytes[..at];
    let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
    let start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
    // Bytes that go on with a character are not one of their own.
    let column = before[start..].iter().filter(|&&byte| byte & 0xc0 != 0x80).count() + 1;
    Pos { line, column }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+')
}

/// The length of a string that begins here; of what is left, if it does not end.
fn string(bytes: &[u8]) -> usize {
    let block = bytes.starts_with(b"\"\"\"");
    let mut at = if block { 3 } else { 1 };
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if block && bytes[at..].starts_with(b"\\\"\"\"") => at += 4,
            b'\\' if !block => at += 2,
            b'"' if block && bytes[at..].starts_with(b"\"\"\"") => return at + 3,
            b'"' if !block => return at + 1,
            b'\n' | b'\r' if !block => return at,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn refused(text: impl Into<String>) -> Refusal {
    Refusal { text: text.into(), at: None }
}

/// What a selection costs.
#[derive(Clone, Copy, Default)]
struct Cost {
    fields: usize,
    /// Where variables are used.
    uses: usize,
    depth: usize,
    /// Fields that are not within another one.
    roots: usize,
    /// Selections within each other, fragments included.
    nesting: usize,
    /// Fields within each other that are called like the lists of introspection.
    lists: u32,
    /// The same, within introspection.
    introspected: u32,
}

impl Cost {
    fn beside(self, other: Cost) -> Cost {
        Cost {
            fields: self.fields.saturating_add(other.fields),
            uses: self.uses.saturating_add(other.uses),
            depth: self.depth.max(other.depth),
            roots: self.roots.saturating_add(other.roots),
            nesting: self.nesting.max(other.nesting),
            lists: self.lists.max(other.lists),
            introspected: self.introspected.max(other.introspected),
        }
    }
}

/// Refuses a document that costs more than it may, or whose fragments go in circles.
pub(crate) fn check(document: &ExecutableDocument, config: &GraphqlConfig) -> Result<(), Refusal> {
    let mut meter = Meter { document, known: HashMap::new(), aliases: 0, directives: 0 };
    let mut all = 0_usize;
    for name in document.fragments.keys() {
        let cost = meter.fragment(name, None, 0)?;
        all = all.saturating_add(cost.fields).saturating_add(cost.uses);
    }
    let mut costs = Vec::new();
    for (_, operation) in document.operations.iter() {
        meter.directives(&operation.node.directives);
        let cost = meter.selections(&operation.node.selection_set, 0)?;
        all = all.saturating_add(cost.fields).saturating_add(cost.uses);
        costs.push((operation.pos, operation.node.ty, cost));
    }
    let limits = [
        (meter.aliases, config.aliases_max, "aliases"),
        (meter.directives, config.directives_max, "directives"),
    ];
    for (has, may, what) in limits {
        if has > may {
            return Err(refused(format!("The document has {has} {what}, and may have {may}.")));
        }
    }
    for (pos, ty, cost) in costs {
        let limits = [
            (cost.depth, config.depth_max, "levels of fields"),
            (cost.fields, config.complexity_max, "fields, with those of fragments"),
            (cost.roots, config.root_fields_max, "fields at its root"),
        ];
        for (has, may, what) in limits {
            if has > may {
                let text = format!("The operation has {has} {what}, and may have {may}.");
                return Err(Refusal { text, at: Some(pos) });
            }
        }
        if cost.introspected > INTROSPECTION_LISTS_MAX {
            let text = "The operation introspects lists within lists too deep.".to_owned();
            return Err(Refusal { text, at: Some(pos) });
        }
        if ty == OperationType::Subscription && cost.roots > 1 {
            let text = "A subscription has one field at its root.".to_owned();
            return Err(Refusal { text, at: Some(pos) });
        }
    }
    let all_max = config.complexity_max.saturating_mul(DOCUMENT_FIELDS);
    if all > all_max {
        return Err(refused(format!(
            "The operations and fragments of the document have {all} fields and uses of variables together, and may have \
             {all_max}."
        )));
    }
    Ok(())
}

/// How often the arguments of a field have a variable in them. Their nesting was bounded by [`scan`].
fn used(field: &Field) -> usize {
    fn within(value: &Literal) -> usize {
        match value {
            Literal::Variable(_) => 1,
            Literal::List(items) => items.iter().map(within).sum(),
            Literal::Object(fields) => fields.values().map(within).sum(),
            _ => 0,
        }
    }
    field.arguments.iter().map(|(_, value)| within(&value.node)).sum()
}

struct Meter<'d> {
    document: &'d ExecutableDocument,
    /// `None` while it is being worked out.
    known: HashMap<&'d str, Option<Cost>>,
    aliases: usize,
    directives: usize,
}

impl<'d> Meter<'d> {
    fn fragment(&mut self, name: &Name, at: Option<Pos>, level: usize) -> Result<Cost, Refusal> {
        match self.known.get(name.as_str()) {
            Some(Some(cost)) => return Ok(*cost),
            Some(None) => {
                return Err(Refusal { text: format!("The fragment \"{name}\" contains itself."), at });
            }
            None => {}
        }
        let Some((name, fragment)) = self.document.fragments.get_key_value(name) else {
            return Err(Refusal { text: format!("There is no fragment \"{name}\"."), at });
        };
        self.known.insert(name.as_str(), None);
        self.directives(&fragment.node.directives);
        let cost = self.selections(&fragment.node.selection_set, level)?;
        self.known.insert(name.as_str(), Some(cost));
        Ok(cost)
    }

    fn selections(&mut self, set: &'d Positioned<SelectionSet>, level: usize) -> Result<Cost, Refusal> {
        let mut sum = Cost::default();
        let too_deep = |at| {
            let text = format!("Selections are nested more than {NESTING_MAX} deep.");
            Refusal { text, at: Some(at) }
        };
        for selection in &set.node.items {
            // Before it is walked into: a chain of fragments is as long as the document.
            if level + 1 > NESTING_MAX {
                return Err(too_deep(selection.pos));
            }
            let mut cost = match &selection.node {
                Selection::Field(field) => {
                    self.directives(&field.node.directives);
                    self.aliases += usize::from(field.node.alias.is_some());
                    let inner = self.selections(&field.node.selection_set, level + 1)?;
                    let list = matches!(
                        field.node.name.node.as_str(),
                        "fields" | "interfaces" | "possibleTypes" | "inputFields"
                    );
                    let is_root = matches!(field.node.name.node.as_str(), "__schema" | "__type");
                    Cost {
                        fields: inner.fields.saturating_add(1),
                        uses: inner.uses.saturating_add(used(&field.node)),
                        depth: inner.depth + 1,
                        roots: 1,
                        nesting: inner.nesting,
                        lists: inner.lists + u32::from(list),
                        introspected: if is_root { inner.lists } else { inner.introspected },
                    }
                }
                Selection::InlineFragment(fragment) => {
                    self.directives(&fragment.node.directives);
                    self.selections(&fragment.node.selection_set, level + 1)?
                }
                Selection::FragmentSpread(spread) => {
                    self.directives(&spread.node.directives);
                    self.fragment(&spread.node.fragment_name.node, Some(spread.pos), level + 1)?
                }
            };
            cost.nesting += 1;
            // A fragment that is known already is not walked into again, and is as deep as it is.
            if cost.nesting > NESTING_MAX {
                return Err(too_deep(selection.pos));
            }
            sum = sum.beside(cost);
        }
        Ok(sum)
    }

    fn directives(&mut self, directives: &[Positioned<Directive>]) {
        self.directives += directives.len();
    }
}
