//! WIT types become [`Type`]s and [`TypeDef`]s.

use std::collections::HashMap;

use wasmtime::component::wit_parser::{
    self as wit, Handle, InterfaceId, Resolve, Stability, TypeDefKind, TypeOwner,
};
use wharf_call::{Case, Docs, Field, Package, Type, TypeDef, TypeId, TypeKind};

use super::{DEPTH_MAX, MEMBERS_MAX, NAME_BYTES_MAX, NODES_MAX, Scalar, TYPES_MAX, package, shorten};

/// Reads types, each named one once.
pub(super) struct Types<'a> {
    pub(super) resolve: &'a Resolve,
    defs: Vec<TypeDef>,
    known: HashMap<wit::TypeId, Known>,
    nodes: usize,
    /// How deep the type that is being read is nested.
    depth: usize,
}

#[derive(Clone, Copy)]
struct Known {
    id: TypeId,
    /// How deep it nests others, itself included.
    height: usize,
}

impl<'a> Types<'a> {
    pub(super) fn new(resolve: &'a Resolve) -> Self {
        Types { resolve, defs: Vec::new(), known: HashMap::new(), nodes: 0, depth: 0 }
    }

    pub(super) fn finish(self) -> Vec<TypeDef> {
        self.defs
    }

    /// What a name stands for, when it is another name for it.
    pub(super) fn behind(&self, mut ty: wit::Type) -> wit::Type {
        // Each step goes to a type that was defined before: it ends.
        while let wit::Type::Id(id) = ty
            && let TypeDefKind::Type(of) = self.resolve.types[id].kind
        {
            ty = of;
        }
        ty
    }

    /// The definition behind a type, if it is none of those that are built in.
    pub(super) fn kind(&self, ty: wit::Type) -> Option<&'a TypeDefKind> {
        match self.behind(ty) {
            wit::Type::Id(id) => Some(&self.resolve.types[id].kind),
            _ => None,
        }
    }

    /// The type itself.
    ///
    /// # Errors
    /// It cannot be served, or is beyond a bound.
    pub(super) fn read(&mut self, ty: wit::Type) -> Result<Type, String> {
        self.ty(ty).map(|(ty, _)| ty)
    }

    /// The type and its height.
    fn ty(&mut self, ty: wit::Type) -> Result<(Type, usize), String> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(format!(
                "the types of the component come to more than {NODES_MAX} when they are written out: give a name to \
                 those that are used often, as a record"
            ));
        }
        let id = match self.behind(ty) {
            wit::Type::Id(id) => id,
            wit::Type::ErrorContext => {
                return Err(
                    "error-context cannot leave the plugin: return an error as a record or a variant".into(),
                );
            }
            built_in => return Ok((built_in_type(built_in), 1)),
        };
        if let Some(known) = self.known.get(&id).copied() {
            self.check_depth(known.height)?;
            return Ok((Type::Named(known.id), known.height));
        }
        self.check_depth(1)?;
        self.depth += 1;
        let read = self.defined(id);
        self.depth -= 1;
        let (ty, height) = read?;
        Ok((ty, height + 1))
    }

    fn check_depth(&self, height: usize) -> Result<(), String> {
        if self.depth + height <= DEPTH_MAX {
            return Ok(());
        }
        Err(format!("its types are nested deeper than {DEPTH_MAX}"))
    }

    /// The type with the definition `id`, and the height of what is in it.
    fn defined(&mut self, id: wit::TypeId) -> Result<(Type, usize), String> {
        let resolve = self.resolve;
        let def = &resolve.types[id];
        let mut height = 0;
        let mut within = |this: &mut Self, ty: wit::Type| {
            let (ty, h) = this.ty(ty)?;
            height = height.max(h);
            Ok::<_, String>(ty)
        };
        let kind = match &def.kind {
            TypeDefKind::List(item) if self.behind(*item) == wit::Type::U8 => {
                return Ok((Type::Bytes(None), 0));
            }
            TypeDefKind::FixedLengthList(item, length) if self.behind(*item) == wit::Type::U8 => {
                return Ok((Type::Bytes(Some(*length)), 0));
            }
            TypeDefKind::List(item) => Type::List(Box::new(within(self, *item)?)).into(),
            TypeDefKind::FixedLengthList(item, length) => {
                Type::FixedList(Box::new(within(self, *item)?), *length).into()
            }
            TypeDefKind::Map(key, value) => {
                let key = within(self, *key)?;
                if !is_key(&key) {
                    return Err("the key of a map is a bool, an integer, a char or a string".into());
                }
                Type::Map(Box::new(key), Box::new(within(self, *value)?)).into()
            }
            TypeDefKind::Tuple(tuple) => {
                bounded(tuple.types.len(), MEMBERS_MAX, "a tuple", "members")?;
                let types: Result<_, String> = tuple.types.iter().map(|ty| within(self, *ty)).collect();
                Type::Tuple(types?).into()
            }
            TypeDefKind::Option(some) => Type::Option(Box::new(within(self, *some)?)).into(),
            TypeDefKind::Result(result) => {
                let mut payload =
                    |ty: Option<wit::Type>| ty.map(|ty| within(self, ty).map(Box::new)).transpose();
                Type::Result(payload(result.ok)?, payload(result.err)?).into()
            }
            TypeDefKind::Record(record) => {
                bounded(record.fields.len(), MEMBERS_MAX, "a record", "fields")?;
                let field = |field: &wit::Field| {
                    Ok(Field {
                        name: name(&field.name)?,
                        docs: docs(&field.docs, &Stability::Unknown),
                        ty: within(self, field.ty)?,
                    })
                };
                Read::Named(TypeKind::Record(record.fields.iter().map(field).collect::<Result<_, String>>()?))
            }
            TypeDefKind::Variant(variant) => {
                bounded(variant.cases.len(), MEMBERS_MAX, "a variant", "cases")?;
                let case = |case: &wit::Case| {
                    Ok(Case {
                        name: name(&case.name)?,
                        docs: docs(&case.docs, &Stability::Unknown),
                        ty: case.ty.map(|ty| within(self, ty)).transpose()?,
                    })
                };
                Read::Named(TypeKind::Variant(variant.cases.iter().map(case).collect::<Result<_, String>>()?))
            }
            TypeDefKind::Enum(cases) => {
                bounded(cases.cases.len(), MEMBERS_MAX, "an enum", "cases")?;
                let cases = cases.cases.iter().map(|case| plain(&case.name, &case.docs));
                Read::Named(TypeKind::Enum(cases.collect::<Result<_, String>>()?))
            }
            TypeDefKind::Flags(flags) => {
                bounded(flags.flags.len(), 32, "flags", "names")?;
                let flags = flags.flags.iter().map(|flag| plain(&flag.name, &flag.docs));
                Read::Named(TypeKind::Flags(flags.collect::<Result<_, String>>()?))
            }
            other => return Err(not_served(other)),
        };
        let kind = match kind {
            Read::Plain(ty) => return Ok((ty, height)),
            Read::Named(kind) => kind,
        };
        if self.defs.len() == TYPES_MAX {
            return Err(format!("the component has more than {TYPES_MAX} named types"));
        }
        let (package, interface) =
            owner(resolve, def.owner).ok_or("a record, variant, enum or flags without an interface")?;
        let type_id = TypeId(u32::try_from(self.defs.len()).unwrap_or(u32::MAX));
        self.defs.push(TypeDef {
            name: name(def.name.as_deref().ok_or("a record, variant, enum or flags without a name")?)?,
            package,
            interface,
            docs: docs(&def.docs, &def.stability),
            kind,
        });
        self.known.insert(id, Known { id: type_id, height: height + 1 });
        Ok((Type::Named(type_id), height))
    }

    /// What a `stream` carries.
    ///
    /// # Errors
    /// It is none of what can be carried.
    pub(super) fn scalar(&self, item: Option<wit::Type>) -> Result<Scalar, String> {
        let Some(item) = item else {
            return Err("a stream of nothing cannot be served: give it a type".into());
        };
        Ok(match self.behind(item) {
            wit::Type::Bool => Scalar::Bool,
            wit::Type::S8 => Scalar::S8,
            wit::Type::S16 => Scalar::S16,
            wit::Type::S32 => Scalar::S32,
            wit::Type::S64 => Scalar::S64,
            wit::Type::U8 => Scalar::U8,
            wit::Type::U16 => Scalar::U16,
            wit::Type::U32 => Scalar::U32,
            wit::Type::U64 => Scalar::U64,
            wit::Type::F32 => Scalar::F32,
            wit::Type::F64 => Scalar::F64,
            wit::Type::Char => Scalar::Char,
            wit::Type::String => Scalar::String,
            wit::Type::ErrorContext | wit::Type::Id(_) => {
                return Err("a stream carries bools, numbers, chars or strings. For anything else return a resource: \
                            next: async func() -> result<option<T>, E> streams to the caller, push: async \
                            func(item: T) -> result<_, E> and finish: async func() -> result<R, E> from it"
                    .into());
            }
        })
    }
}

/// What a definition turned out to be.
enum Read {
    Plain(Type),
    Named(TypeKind),
}

impl From<Type> for Read {
    fn from(ty: Type) -> Self {
        Read::Plain(ty)
    }
}

impl Scalar {
    /// The items that callers see. Bytes come in pieces, of which the ends mean nothing.
    pub(super) fn item(self) -> Type {
        match self {
            Scalar::Bool => Type::Bool,
            Scalar::S8 => Type::S8,
            Scalar::S16 => Type::S16,
            Scalar::S32 => Type::S32,
            Scalar::S64 => Type::S64,
            Scalar::U8 => Type::Bytes(None),
            Scalar::U16 => Type::U16,
            Scalar::U32 => Type::U32,
            Scalar::U64 => Type::U64,
            Scalar::F32 => Type::F32,
            Scalar::F64 => Type::F64,
            Scalar::Char => Type::Char,
            Scalar::String => Type::String,
        }
    }
}

fn built_in_type(ty: wit::Type) -> Type {
    match ty {
        wit::Type::Bool => Type::Bool,
        wit::Type::S8 => Type::S8,
        wit::Type::S16 => Type::S16,
        wit::Type::S32 => Type::S32,
        wit::Type::S64 => Type::S64,
        wit::Type::U8 => Type::U8,
        wit::Type::U16 => Type::U16,
        wit::Type::U32 => Type::U32,
        wit::Type::U64 => Type::U64,
        wit::Type::F32 => Type::F32,
        wit::Type::F64 => Type::F64,
        wit::Type::Char => Type::Char,
        // The caller has dealt with the two that are left.
        wit::Type::String | wit::Type::ErrorContext | wit::Type::Id(_) => Type::String,
    }
}

fn is_key(ty: &Type) -> bool {
    matches!(
        ty,
        Type::Bool
            | Type::S8
            | Type::S16
            | Type::S32
            | Type::S64
            | Type::U8
            | Type::U16
            | Type::U32
            | Type::U64
            | Type::Char
            | Type::String
    )
}

fn not_served(kind: &TypeDefKind) -> String {
    match kind {
        TypeDefKind::Stream(_) => "a stream within another type cannot be served: a function has at most one stream \
                                   parameter, and returns a stream by itself or as result<stream<T>, E>"
            .into(),
        TypeDefKind::Future(_) => "a future cannot be served: make the function async, and return the value".into(),
        TypeDefKind::Resource | TypeDefKind::Handle(Handle::Own(_) | Handle::Borrow(_)) => {
            "a resource can only be returned, by itself or as result<R, E>, and has the functions next, or push and \
             finish, or all three: pass an id instead"
                .into()
        }
        other => format!("{} cannot be served", other.as_str()),
    }
}

fn plain(of: &str, comment: &wit::Docs) -> Result<Case, String> {
    Ok(Case { name: name(of)?, docs: docs(comment, &Stability::Unknown), ty: None })
}

fn bounded(count: usize, max: usize, what: &str, of: &str) -> Result<(), String> {
    if count <= max {
        Ok(())
    } else {
        Err(format!("{what} has {count} {of}: {max} are the most that can be served"))
    }
}

/// A name that is short enough.
pub(super) fn name(name: &str) -> Result<String, String> {
    if name.len() <= NAME_BYTES_MAX {
        return Ok(name.to_owned());
    }
    Err(format!("the name {} is longer than {NAME_BYTES_MAX} bytes", shorten(name)))
}

fn owner(resolve: &Resolve, owner: TypeOwner) -> Option<(Package, String)> {
    match owner {
        TypeOwner::Interface(id) => place(resolve, id),
        TypeOwner::World(id) => {
            let world = &resolve.worlds[id];
            Some((package(resolve, world.package?), world.name.clone()))
        }
        TypeOwner::None => None,
    }
}

/// The package and the name of an interface.
pub(super) fn place(resolve: &Resolve, id: InterfaceId) -> Option<(Package, String)> {
    let interface = &resolve.interfaces[id];
    Some((package(resolve, interface.package?), interface.name.clone()?))
}

/// What the author says of an item. Since when it is there becomes the annotation `since`.
pub(super) fn docs(comment: &wit::Docs, stability: &Stability) -> Docs {
    let mut docs = comment.contents.as_deref().map(Docs::parse).unwrap_or_default();
    match stability {
        Stability::Unknown => {}
        Stability::Stable { since, deprecated } => {
            docs.annotations.push(("since".to_owned(), since.to_string()));
            docs.deprecated = deprecated.as_ref().map(ToString::to_string);
        }
        Stability::Unstable { deprecated, .. } => {
            docs.deprecated = deprecated.as_ref().map(ToString::to_string);
        }
    }
    docs
}
