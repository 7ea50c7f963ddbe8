//! What the types of one plugin are called.
//!
//! A type keeps its name, in upper camel case, behind the plugin's prefix. Types of one name in several interfaces of
//! a plugin get the interface's before it, all of them, unless they are the same. Types that have no name in WIT are called for
//! what they hold: `Tuple2OfStringAndU32`. Names are given in the order of the WIT; one that is taken gets underscores.

use std::collections::{HashMap, HashSet};

use wharf_call::{Case, Output, Schema, Type, TypeDef, TypeId, TypeKind};
use wharf_doors::names::{distinct, lower_camel, major, screaming, upper_camel};

/// Scalars of GraphQL and of this door, and the root types.
const RESERVED: [&str; 15] = [
    "Query",
    "Mutation",
    "Subscription",
    "Int",
    "Float",
    "String",
    "Boolean",
    "ID",
    "UInt32",
    "Int64",
    "UInt64",
    "Float32",
    "Float64",
    "Char",
    "Bytes",
];

/// The names of one plugin's types.
pub(crate) struct Names {
    types: Vec<TypeNames>,
    wrappers: HashMap<Type, TypeNames>,
}

/// An output type and its input type.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pair {
    pub(crate) output: String,
    pub(crate) input: String,
}

/// The names of one named type, or of one that has none in WIT, and of what it consists of.
#[derive(Clone, Debug, Default)]
pub(crate) struct TypeNames {
    pub(crate) name: Pair,
    /// Fields, cases, values of an enum, or flags.
    pub(crate) members: Vec<String>,
    /// The object of each case of a variant.
    pub(crate) cases: Vec<String>,
}

impl Names {
    pub(crate) fn new(schema: &Schema, prefix: &str) -> Self {
        let mut taken: HashSet<String> = RESERVED.iter().map(|&name| name.to_owned()).collect();
        let mut types: Vec<TypeNames> = Vec::new();
        let mut given: HashMap<String, usize> = HashMap::new();
        for (wanted, (at, def)) in outputs(schema, prefix).into_iter().zip(schema.types.iter().enumerate()) {
            let same = given.get(&wanted).filter(|&&first| same_def(schema, first, at, &mut HashSet::new()));
            let output = match same {
                Some(&first) => types[first].name.output.clone(),
                None => {
                    given.insert(wanted.clone(), at);
                    claim(&mut taken, wanted)
                }
            };
            types.push(TypeNames {
                name: Pair { output, input: String::new() },
                members: members(&def.kind),
                cases: Vec::new(),
            });
        }
        // What is derived comes after all that the author has named. Types that are the same share these, too.
        let mut derived: HashMap<String, (String, Vec<String>)> = HashMap::new();
        for (names, def) in types.iter_mut().zip(&schema.types) {
            let output = names.name.output.clone();
            let (input, cases) = derived.entry(output.clone()).or_insert_with(|| {
                let input = match def.kind {
                    TypeKind::Record(_) | TypeKind::Variant(_) => claim(&mut taken, format!("{output}Input")),
                    TypeKind::Enum(_) | TypeKind::Flags(_) => output.clone(),
                };
                let cases = match &def.kind {
                    TypeKind::Variant(cases) => cases
                        .iter()
                        .map(|case| claim(&mut taken, format!("{output}{}", upper_camel(&case.name))))
                        .collect(),
                    _ => Vec::new(),
                };
                (input, cases)
            });
            names.name.input = input.clone();
            names.cases = cases.clone();
        }
        let mut names = Names { types, wrappers: HashMap::new() };
        for def in &schema.types {
            match &def.kind {
                TypeKind::Record(fields) => {
                    fields.iter().for_each(|field| names.visit(&field.ty, &mut taken))
                }
                TypeKind::Variant(cases) => cases.iter().for_each(|case| {
                    if let Some(ty) = &case.ty {
                        names.visit_payload(ty, &mut taken);
                    }
                }),
                _ => {}
            }
        }
        for (_, _, function) in schema.functions() {
            function.params.iter().for_each(|param| names.visit(&param.ty, &mut taken));
            if let Output::Value(ty) | Output::Stream(ty) = &function.output {
                names.visit(ty, &mut taken);
            }
            if let Some(ty) = &function.error {
                names.visit(ty, &mut taken);
            }
        }
        names
    }

    /// The names of a named type.
    pub(crate) fn named(&self, id: TypeId) -> &TypeNames {
        &self.types[id.0 as usize]
    }

    /// The names of a tuple, a result, the entries of a map, or an option that is an object. Every one that a function
    /// uses has been visited.
    pub(crate) fn wrapper(&self, ty: &Type) -> &TypeNames {
        &self.wrappers[ty]
    }

    fn visit(&mut self, ty: &Type, taken: &mut HashSet<String>) {
        match ty {
            Type::List(item) | Type::FixedList(item, _) => self.visit(item, taken),
            Type::Option(item) => self.visit_payload(item, taken),
            Type::Map(key, value) => {
                self.visit(key, taken);
                self.visit(value, taken);
                self.wrap(ty, taken);
            }
            Type::Tuple(items) => {
                items.iter().for_each(|item| self.visit(item, taken));
                self.wrap(ty, taken);
            }
            Type::Result(ok, error) => {
                [ok, error].into_iter().flatten().for_each(|ty| self.visit_payload(ty, taken));
                self.wrap(ty, taken);
            }
            _ => {}
        }
    }

    /// Where null says something else already, an option is an object.
    fn visit_payload(&mut self, ty: &Type, taken: &mut HashSet<String>) {
        self.visit(ty, taken);
        if matches!(ty, Type::Option(_)) {
            self.wrap(ty, taken);
        }
    }

    fn wrap(&mut self, ty: &Type, taken: &mut HashSet<String>) {
        if !self.wrappers.contains_key(ty) {
            let entry = if matches!(ty, Type::Map(..)) { "Entry" } else { "" };
            let output = claim(taken, format!("{}{entry}", self.describe(ty)));
            let input = claim(taken, format!("{output}Input"));
            let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
            let (members, cases) = match ty {
                Type::Map(..) => (owned(&["key", "value"]), Vec::new()),
                Type::Tuple(items) => ((0..items.len()).map(|at| format!("f{at}")).collect(), Vec::new()),
                Type::Result(..) => {
                    let cases = ["Ok", "Error"].map(|case| claim(taken, format!("{output}{case}")));
                    (owned(&["ok", "error"]), cases.into())
                }
                _ => (owned(&["value"]), Vec::new()),
            };
            self.wrappers.insert(ty.clone(), TypeNames { name: Pair { output, input }, members, cases });
        }
    }

    /// What a type is called within another's name.
    fn describe(&self, ty: &Type) -> String {
        let or_nothing =
            |ty: &Option<Box<Type>>| ty.as_ref().map_or_else(|| "Nothing".to_owned(), |ty| self.describe(ty));
        match ty {
            Type::Bytes(Some(length)) => format!("Bytes{length}"),
            Type::Bytes(None) => "Bytes".to_owned(),
            Type::List(item) => format!("ListOf{}", self.describe(item)),
            Type::FixedList(item, length) => format!("List{length}Of{}", self.describe(item)),
            Type::Map(key, value) => format!("MapOf{}To{}", self.describe(key), self.describe(value)),
            Type::Tuple(items) => {
                let within: Vec<_> = items.iter().map(|item| self.describe(item)).collect();
                format!("Tuple{}Of{}", items.len(), within.join("And"))
            }
            Type::Option(item) => format!("OptionOf{}", self.describe(item)),
            Type::Result(ok, error) => format!("ResultOf{}Or{}", or_nothing(ok), or_nothing(error)),
            Type::Named(id) => self.named(*id).name.output.clone(),
            scalar => format!("{scalar:?}"),
        }
    }
}

fn claim(taken: &mut HashSet<String>, mut wanted: String) -> String {
    while !taken.insert(wanted.clone()) {
        wanted.push('_');
    }
    wanted
}

fn members(kind: &TypeKind) -> Vec<String> {
    match kind {
        TypeKind::Record(fields) => distinct(fields.iter().map(|field| field.name.as_str()), lower_camel),
        TypeKind::Variant(cases) => distinct(case_names(cases), lower_camel),
        TypeKind::Enum(cases) | TypeKind::Flags(cases) => distinct(case_names(cases), screaming),
    }
}

fn case_names(cases: &[Case]) -> impl Iterator<Item = &str> {
    cases.iter().map(|case| case.name.as_str())
}

/// The shortest names that tell types apart which are not the same.
fn outputs(schema: &Schema, prefix: &str) -> Vec<String> {
    let levels: [fn(&TypeDef) -> String; 4] = [
        |def| upper_camel(&def.name),
        |def| upper_camel(&format!("{}-{}", def.interface, def.name)),
        |def| upper_camel(&format!("{}-{}-{}", def.package.name, def.interface, def.name)),
        |def| {
            let version = def.package.version.as_deref().map(major).unwrap_or_default().replace('.', "-");
            upper_camel(&format!("{}-v{version}-{}-{}", def.package.name, def.interface, def.name))
        },
    ];
    let mut groups: HashMap<String, Vec<usize>> = HashMap::new();
    for (at, def) in schema.types.iter().enumerate() {
        groups.entry(levels[0](def)).or_default().push(at);
    }
    let mut wanted = vec![String::new(); schema.types.len()];
    for group in groups.values() {
        let tells_apart = |level: &&fn(&TypeDef) -> String| {
            let mut firsts: HashMap<String, usize> = HashMap::new();
            group.iter().all(|&at| match firsts.insert(level(&schema.types[at]), at) {
                Some(other) => same_def(schema, other, at, &mut HashSet::new()),
                None => true,
            })
        };
        let level = levels.iter().find(tells_apart).unwrap_or(&levels[3]);
        for &at in group {
            wanted[at] = format!("{prefix}{}", level(&schema.types[at]));
        }
    }
    wanted
}

/// Whether two definitions say the same, docs aside. `seen` has the pairs that are being compared, or were and are the
/// same: one difference ends it all.
fn same_def(schema: &Schema, a: usize, b: usize, seen: &mut HashSet<(usize, usize)>) -> bool {
    if a == b || !seen.insert((a, b)) {
        return true;
    }
    let (a, b) = (&schema.types[a], &schema.types[b]);
    match (&a.kind, &b.kind) {
        (TypeKind::Record(a), TypeKind::Record(b)) => {
            a.len() == b.len()
                && a.iter().zip(b).all(|(a, b)| a.name == b.name && same_type(schema, &a.ty, &b.ty, seen))
        }
        (TypeKind::Variant(a), TypeKind::Variant(b))
        | (TypeKind::Enum(a), TypeKind::Enum(b))
        | (TypeKind::Flags(a), TypeKind::Flags(b)) => {
            a.len() == b.len()
                && a.iter()
                    .zip(b)
                    .all(|(a, b)| a.name == b.name && same_option(schema, a.ty.as_ref(), b.ty.as_ref(), seen))
        }
        _ => false,
    }
}

fn same_option(
    schema: &Schema,
    a: Option<&Type>,
    b: Option<&Type>,
    seen: &mut HashSet<(usize, usize)>,
) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => same_type(schema, a, b, seen),
        (None, None) => true,
        _ => false,
    }
}

fn same_type(schema: &Schema, a: &Type, b: &Type, seen: &mut HashSet<(usize, usize)>) -> bool {
    match (a, b) {
        (Type::Named(a), Type::Named(b)) => {
            schema.type_def(*a).name == schema.type_def(*b).name
                && same_def(schema, a.0 as usize, b.0 as usize, seen)
        }
        (Type::List(a), Type::List(b)) | (Type::Option(a), Type::Option(b)) => same_type(schema, a, b, seen),
        (Type::FixedList(a, n), Type::FixedList(b, m)) => n == m && same_type(schema, a, b, seen),
        (Type::Map(a, c), Type::Map(b, d)) => same_type(schema, a, b, seen) && same_type(schema, c, d, seen),
        (Type::Tuple(a), Type::Tuple(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_type(schema, a, b, seen))
        }
        (Type::Result(a, c), Type::Result(b, d)) => {
            same_option(schema, a.as_deref(), b.as_deref(), seen)
                && same_option(schema, c.as_deref(), d.as_deref(), seen)
        }
        (a, b) => a == b,
    }
}
