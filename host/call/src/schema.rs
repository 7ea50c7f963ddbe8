//! What a plugin exports for its callers: interfaces, functions and types, as its WIT has them.
//!
//! A [`Schema`] is read from a component once, when it is loaded, and shared by every door. Names are those of the
//! WIT, in kebab case; each door has its own rules for turning them into its own.
//!
//! Start with [`Function`]: it describes a call as its callers see it, whatever the WIT had to write for it.

use std::fmt;

use crate::{Failure, Kind, Value};

/// What one component exports for its callers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schema {
    /// The exported interfaces, in the order of their full names.
    pub interfaces: Vec<Interface>,
    /// Every named type that a function uses, each once. A type names only types that stand before it.
    pub types: Vec<TypeDef>,
}

/// A package, as in `demo:users@1.2.0`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Package {
    /// `demo`.
    pub namespace: String,
    /// `users`.
    pub name: String,
    /// `1.2.0`, if it has a version.
    pub version: Option<String>,
}

/// An exported interface.
#[derive(Clone, Debug, PartialEq)]
pub struct Interface {
    /// The package that defines it.
    pub package: Package,
    /// Its name within the package.
    pub name: String,
    /// What its author says of it.
    pub docs: Docs,
    /// Its functions, in the order of the WIT. Functions of resources are not among them: see [`Flow`].
    pub functions: Vec<Function>,
}

/// One function, as its callers see it.
///
/// The WIT spells streams in several ways: `stream<T>` as a parameter or result, or a resource with `next`, with `push`
/// and `finish`, or with all three. They all look the same here.
#[derive(Clone, Debug, PartialEq)]
pub struct Function {
    /// The name in the WIT.
    pub name: String,
    /// What its author says of it.
    pub docs: Docs,
    /// Whether it is an `async func`.
    pub is_async: bool,
    /// The parameters that are sent once, in their order. A stream is none of them.
    pub params: Vec<Field>,
    /// The items that the caller streams, if it does.
    pub input: Option<Type>,
    /// What comes back when the call succeeds.
    pub output: Output,
    /// The `E` of `result<T, E>`, if there is one.
    pub error: Option<Type>,
}

/// What comes back from a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Nothing but the fact that it is done.
    Nothing,
    /// One value.
    Value(Type),
    /// Any number of values, one after the other.
    Stream(Type),
}

/// Who streams in a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Nobody.
    Unary,
    /// The plugin.
    ServerStream,
    /// The caller.
    ClientStream,
    /// Both, independently of each other.
    Bidirectional,
}

/// A parameter, or a field of a record.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// The name in the WIT.
    pub name: String,
    /// What its author says of it. Parameters have no docs in WIT.
    pub docs: Docs,
    /// Its type.
    pub ty: Type,
}

/// A WIT type. It is a finite tree: WIT has no recursive types.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// `bool`.
    Bool,
    /// `s8`.
    S8,
    /// `s16`.
    S16,
    /// `s32`.
    S32,
    /// `s64`.
    S64,
    /// `u8`.
    U8,
    /// `u16`.
    U16,
    /// `u32`.
    U32,
    /// `u64`.
    U64,
    /// `f32`.
    F32,
    /// `f64`.
    F64,
    /// `char`.
    Char,
    /// `string`.
    String,
    /// `list<u8>`; of exactly so many bytes where the list is fixed.
    Bytes(Option<u32>),
    /// `list<T>` of anything else.
    List(Box<Type>),
    /// `list<T, N>` of anything else.
    FixedList(Box<Type>, u32),
    /// `map<K, V>`; a key is a bool, an integer, a char or a string.
    Map(Box<Type>, Box<Type>),
    /// `tuple<…>`.
    Tuple(Vec<Type>),
    /// `option<T>`.
    Option(Box<Type>),
    /// `result<T, E>`, either of which may be missing.
    Result(Option<Box<Type>>, Option<Box<Type>>),
    /// A type of [`Schema::types`].
    Named(TypeId),
}

/// The position of a type in [`Schema::types`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeId(pub u32);

/// The position of a function: of its interface, and within that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FunctionId {
    /// The position in [`Schema::interfaces`].
    pub interface: u32,
    /// The position in [`Interface::functions`].
    pub function: u32,
}

/// A named type.
#[derive(Clone, Debug, PartialEq)]
pub struct TypeDef {
    /// The name in the WIT.
    pub name: String,
    /// The package and the interface that define it.
    pub package: Package,
    /// The interface that defines it, within the package.
    pub interface: String,
    /// What its author says of it.
    pub docs: Docs,
    /// What it is.
    pub kind: TypeKind,
}

/// What a named type is. An alias of an unnamed type is that type, and has no definition of its own.
#[derive(Clone, Debug, PartialEq)]
pub enum TypeKind {
    /// At least one field.
    Record(Vec<Field>),
    /// At least one case.
    Variant(Vec<Case>),
    /// At least one case, none with a payload.
    Enum(Vec<Case>),
    /// 1 to 32 flags.
    Flags(Vec<Case>),
}

/// A case of a variant or an enum, or a flag.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// The name in the WIT.
    pub name: String,
    /// What its author says of it.
    pub docs: Docs,
    /// The payload; enums and flags have none.
    pub ty: Option<Type>,
}

/// What the WIT's author says of an item. All of it is empty for a component that does not carry its WIT.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Docs {
    /// The doc comment, without annotations. Markdown.
    pub text: String,
    /// Lines of the doc comment that begin with `@`, as name and argument: `@query`, `@kind conflict`.
    pub annotations: Vec<(String, String)>,
    /// Whether it is deprecated, and since which version of the package: `@deprecated(version = 1.2.0)`.
    pub deprecated: Option<String>,
}

impl Docs {
    /// Reads a doc comment.
    pub fn parse(comment: &str) -> Self {
        let mut docs = Docs::default();
        let mut text = Vec::new();
        for line in comment.lines() {
            match line.trim().strip_prefix('@') {
                Some(annotation) if annotation.starts_with(|c: char| c.is_ascii_lowercase()) => {
                    let (name, argument) = annotation.split_once(' ').unwrap_or((annotation, ""));
                    docs.annotations.push((name.to_owned(), argument.trim().to_owned()));
                }
                _ => text.push(line.trim_end()),
            }
        }
        docs.text = text.join("\n").trim().to_owned();
        docs
    }

    /// The argument of the annotation `name`, if it is there.
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.annotations.iter().find(|(has, _)| has == name).map(|(_, argument)| argument.as_str())
    }

    /// Its first paragraph on one line, for places with room for one.
    pub fn summary(&self) -> String {
        let first = self.text.split("\n\n").next().unwrap_or_default();
        first.lines().map(str::trim).collect::<Vec<_>>().join(" ")
    }
}

impl fmt::Display for Package {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.namespace, self.name)?;
        self.version.as_ref().map_or(Ok(()), |version| write!(f, "@{version}"))
    }
}

impl Interface {
    /// `demo:users/accounts@1.2.0`.
    pub fn full_name(&self) -> String {
        let Package { namespace, name, version } = &self.package;
        let version = version.as_ref().map(|version| format!("@{version}")).unwrap_or_default();
        format!("{namespace}:{name}/{}{version}", self.name)
    }
}

impl Function {
    /// Who streams in it.
    pub fn flow(&self) -> Flow {
        match (&self.input, &self.output) {
            (None, Output::Stream(_)) => Flow::ServerStream,
            (None, _) => Flow::Unary,
            (Some(_), Output::Stream(_)) => Flow::Bidirectional,
            (Some(_), _) => Flow::ClientStream,
        }
    }

    /// Whether the WIT says, with `@query`, that it changes nothing.
    pub fn is_query(&self) -> bool {
        self.docs.annotation("query").is_some()
    }
}

impl Schema {
    /// Whether there is nothing to call.
    pub fn is_empty(&self) -> bool {
        self.interfaces.is_empty()
    }

    /// The interface and the function at `id`, which is of this schema.
    pub fn function(&self, id: FunctionId) -> (&Interface, &Function) {
        let interface = &self.interfaces[id.interface as usize];
        (interface, &interface.functions[id.function as usize])
    }

    /// Every function with its position.
    pub fn functions(&self) -> impl Iterator<Item = (FunctionId, &Interface, &Function)> {
        self.interfaces.iter().zip(0..).flat_map(|(within, interface)| {
            within
                .functions
                .iter()
                .zip(0..)
                .map(move |(of, function)| (FunctionId { interface, function }, within, of))
        })
    }

    /// The definition of a named type.
    pub fn type_def(&self, id: TypeId) -> &TypeDef {
        &self.types[id.0 as usize]
    }

    /// Whether `value` is one of `ty`.
    pub fn admits(&self, ty: &Type, value: &Value) -> bool {
        let payload = |ty: &Option<Box<Type>>, value: &Option<Box<Value>>| match (ty, value) {
            (Some(ty), Some(value)) => self.admits(ty, value),
            (None, None) => true,
            _ => false,
        };
        let all = |ty: &Type, items: &[Value]| items.iter().all(|item| self.admits(ty, item));
        match (ty, value) {
            (Type::Bool, Value::Bool(_))
            | (Type::S64, Value::Signed(_))
            | (Type::U64, Value::Unsigned(_))
            | (Type::F32, Value::F32(_))
            | (Type::F64, Value::F64(_))
            | (Type::Char, Value::Char(_))
            | (Type::String, Value::String(_)) => true,
            (Type::S8, Value::Signed(n)) => i8::try_from(*n).is_ok(),
            (Type::S16, Value::Signed(n)) => i16::try_from(*n).is_ok(),
            (Type::S32, Value::Signed(n)) => i32::try_from(*n).is_ok(),
            (Type::U8, Value::Unsigned(n)) => u8::try_from(*n).is_ok(),
            (Type::U16, Value::Unsigned(n)) => u16::try_from(*n).is_ok(),
            (Type::U32, Value::Unsigned(n)) => u32::try_from(*n).is_ok(),
            (Type::Bytes(length), Value::Bytes(bytes)) => length.is_none_or(|n| bytes.len() == n as usize),
            (Type::List(item), Value::List(items)) => all(item, items),
            (Type::FixedList(item, n), Value::List(items)) => items.len() == *n as usize && all(item, items),
            (Type::Map(key, value), Value::Map(entries)) => {
                entries.iter().all(|(k, v)| self.admits(key, k) && self.admits(value, v))
            }
            (Type::Tuple(types), Value::Tuple(items)) => {
                types.len() == items.len() && types.iter().zip(items).all(|(ty, item)| self.admits(ty, item))
            }
            (Type::Option(ty), Value::Option(value)) => {
                value.as_ref().is_none_or(|value| self.admits(ty, value))
            }
            (Type::Result(ok, _), Value::Result(Ok(value))) => payload(ok, value),
            (Type::Result(_, error), Value::Result(Err(value))) => payload(error, value),
            (Type::Named(id), value) => match (&self.type_def(*id).kind, value) {
                (TypeKind::Record(fields), Value::Record(values)) => {
                    fields.len() == values.len()
                        && fields.iter().zip(values).all(|(field, value)| self.admits(&field.ty, value))
                }
                (TypeKind::Variant(cases), Value::Variant(case, value)) => {
                    cases.get(*case as usize).is_some_and(|case| match (&case.ty, value) {
                        (Some(ty), Some(value)) => self.admits(ty, value),
                        (None, None) => true,
                        _ => false,
                    })
                }
                (TypeKind::Enum(cases), Value::Enum(case)) => (*case as usize) < cases.len(),
                (TypeKind::Flags(flags), Value::Flags(set)) => flags.len() >= 32 || *set < 1 << flags.len(),
                _ => false,
            },
            _ => false,
        }
    }

    /// What a client is told when a function returned `error` as the `E` of its `result<T, E>`, which is `ty`.
    ///
    /// | `E` | kind | text |
    /// |---|---|---|
    /// | a variant or an enum | the case: `not-found` is `not_found`; or `@kind conflict` in its doc comment | the payload if it is a string, its `message` if it is a record with one, the summary of the case's docs, its name |
    /// | a record with `kind: string` | that, as of [`Failure::from_guest`] | its `message: string` |
    /// | anything else | `unprocessable` | the string, if it is one |
    ///
    /// A case whose name is no kind counts as `unprocessable`, and keeps its name: an error that the contract declares is
    /// an answer, and the plugin has not failed. The error itself goes along as [`Failure::error`].
    pub fn failure(&self, ty: Option<&Type>, error: Option<Value>) -> Failure {
        let failure = match (ty, &error) {
            (Some(ty), Some(error)) => self.describe_error(ty, error),
            _ => Failure::declared(None, None, "The call was refused."),
        };
        match error {
            Some(error) => failure.with_error(error),
            None => failure,
        }
    }

    fn describe_error(&self, ty: &Type, error: &Value) -> Failure {
        let text = |text: Option<String>| text.unwrap_or_else(|| "The call was refused.".to_owned());
        let Type::Named(id) = ty else {
            let said = self.message(ty, error);
            return Failure::declared(None, None, text(said));
        };
        let (cases, at, payload) = match (&self.type_def(*id).kind, error) {
            (TypeKind::Variant(cases), Value::Variant(at, payload)) => (cases, *at, payload.as_deref()),
            (TypeKind::Enum(cases), Value::Enum(at)) => (cases, *at, None),
            (TypeKind::Record(fields), Value::Record(values)) => {
                let said = self.message(ty, error);
                let kind = string_field(fields, values, "kind");
                return Failure::declared(None, kind.as_deref(), text(said));
            }
            _ => return Failure::declared(None, None, text(None)),
        };
        let Some(case) = cases.get(at as usize) else {
            return Failure::declared(None, None, text(None));
        };
        let name = case.name.to_ascii_lowercase().replace('-', "_");
        let kind = case.docs.annotation("kind").and_then(Kind::from_name);
        let said = case.ty.as_ref().zip(payload).and_then(|(ty, payload)| self.message(ty, payload));
        let said = said.or_else(|| Some(case.docs.summary()).filter(|summary| !summary.is_empty()));
        Failure::declared(
            kind,
            Some(&name),
            said.unwrap_or_else(|| format!("{}.", case.name.replace('-', " "))),
        )
    }

    /// What a payload says in words.
    fn message(&self, ty: &Type, value: &Value) -> Option<String> {
        match (ty, value) {
            (Type::String, Value::String(text)) => Some(text.clone()),
            (Type::Named(id), Value::Record(values)) => match &self.type_def(*id).kind {
                TypeKind::Record(fields) => string_field(fields, values, "message"),
                _ => None,
            },
            _ => None,
        }
    }
}

fn string_field(fields: &[Field], values: &[Value], name: &str) -> Option<String> {
    let at = fields.iter().position(|field| field.name == name)?;
    match values.get(at)? {
        Value::String(text) => Some(text.clone()),
        _ => None,
    }
}
