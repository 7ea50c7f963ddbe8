//! Types of GraphQL made of those of WIT, and merged from several plugins.

use async_graphql::dynamic::TypeRef;
use indexmap::IndexMap;
use wharf_call::{Docs, Schema, Type, TypeKind};

use crate::naming::Names;

/// A type of GraphQL.
#[derive(Clone, Debug)]
pub(crate) struct Def {
    pub(crate) docs: Docs,
    pub(crate) kind: DefKind,
}

/// What a type of GraphQL is.
#[derive(Clone, Debug)]
pub(crate) enum DefKind {
    Object(Vec<FieldDef>),
    Input { fields: Vec<FieldDef>, one_of: bool },
    Union(Vec<String>),
    Enum(Vec<FieldDef>),
    Scalar(ScalarKind),
}

/// A field, or a value of an enum, which has no type.
#[derive(Clone, Debug)]
pub(crate) struct FieldDef {
    pub(crate) name: String,
    pub(crate) ty: TypeRef,
    pub(crate) docs: Docs,
}

/// The scalars that GraphQL does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScalarKind {
    UInt32,
    Int64,
    UInt64,
    Float32,
    Float64,
    Char,
    Bytes,
}

impl ScalarKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            ScalarKind::UInt32 => "UInt32",
            ScalarKind::Int64 => "Int64",
            ScalarKind::UInt64 => "UInt64",
            ScalarKind::Float32 => "Float32",
            ScalarKind::Float64 => "Float64",
            ScalarKind::Char => "Char",
            ScalarKind::Bytes => "Bytes",
        }
    }

    fn docs(self) -> &'static str {
        match self {
            ScalarKind::UInt32 => "A whole number from 0 to 4294967295.",
            ScalarKind::Int64 => {
                "A signed whole number of 64 bits, as a string of digits; a number is taken, too."
            }
            ScalarKind::UInt64 => {
                "An unsigned whole number of 64 bits, as a string of digits; a number is taken, too."
            }
            ScalarKind::Float32 => {
                "A floating-point number of 32 bits, or \"NaN\", \"Infinity\" or \"-Infinity\"."
            }
            ScalarKind::Float64 => {
                "A floating-point number of 64 bits, or \"NaN\", \"Infinity\" or \"-Infinity\"."
            }
            ScalarKind::Char => "One Unicode character, as a string.",
            ScalarKind::Bytes => "Bytes, in base64 (RFC 4648, section 4).",
        }
    }
}

impl Def {
    /// Whether two definitions of one name can be one: docs aside, they say the same.
    pub(crate) fn same(&self, other: &Def) -> bool {
        let fields = |a: &[FieldDef], b: &[FieldDef]| {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.name == b.name && a.ty == b.ty)
        };
        match (&self.kind, &other.kind) {
            (DefKind::Object(a), DefKind::Object(b)) | (DefKind::Enum(a), DefKind::Enum(b)) => fields(a, b),
            (DefKind::Input { fields: a, one_of }, DefKind::Input { fields: b, one_of: other }) => {
                one_of == other && fields(a, b)
            }
            (DefKind::Union(a), DefKind::Union(b)) => a == b,
            (DefKind::Scalar(a), DefKind::Scalar(b)) => a == b,
            _ => false,
        }
    }
}

/// Collects the definitions of one plugin.
pub(crate) struct Definer<'a> {
    pub(crate) schema: &'a Schema,
    pub(crate) names: &'a Names,
    /// By name.
    pub(crate) defs: IndexMap<String, Def>,
}

impl Definer<'_> {
    /// How GraphQL writes `ty` where it is an answer; what that needs is defined.
    pub(crate) fn output(&mut self, ty: &Type) -> TypeRef {
        match ty {
            Type::Option(inner) => nullable(self.payload(inner, false)),
            ty => TypeRef::NonNull(Box::new(self.bare(ty, false))),
        }
    }

    /// How GraphQL writes `ty` where it is an argument.
    pub(crate) fn input(&mut self, ty: &Type) -> TypeRef {
        match ty {
            Type::Option(inner) => nullable(self.payload(inner, true)),
            ty => TypeRef::NonNull(Box::new(self.bare(ty, true))),
        }
    }

    fn either(&mut self, ty: &Type, input: bool) -> TypeRef {
        if input { self.input(ty) } else { self.output(ty) }
    }

    /// `ty` where null is taken already: an option is an object there.
    fn payload(&mut self, ty: &Type, input: bool) -> TypeRef {
        let Type::Option(inner) = ty else { return self.either(ty, input) };
        let name = self.wrapper(ty, input);
        if !self.defs.contains_key(&name) {
            let value = field("value", nullable(self.payload(inner, input)));
            self.add_object(&name, vec![value], input, false, Docs::default());
        }
        TypeRef::named_nn(name)
    }

    /// `ty`, which is no option, without saying whether it may be null.
    fn bare(&mut self, ty: &Type, input: bool) -> TypeRef {
        let scalar = match ty {
            Type::Bool => return TypeRef::named(TypeRef::BOOLEAN),
            Type::S8 | Type::S16 | Type::S32 | Type::U8 | Type::U16 => return TypeRef::named(TypeRef::INT),
            Type::String => return TypeRef::named(TypeRef::STRING),
            Type::U32 => ScalarKind::UInt32,
            Type::S64 => ScalarKind::Int64,
            Type::U64 => ScalarKind::UInt64,
            Type::F32 => ScalarKind::Float32,
            Type::F64 => ScalarKind::Float64,
            Type::Char => ScalarKind::Char,
            Type::Bytes(_) => ScalarKind::Bytes,
            Type::List(item) | Type::FixedList(item, _) => {
                return TypeRef::List(Box::new(self.either(item, input)));
            }
            Type::Map(key, value) => {
                let name = self.wrapper(ty, input);
                if !self.defs.contains_key(&name) {
                    let fields = vec![
                        field("key", self.either(key, input)),
                        field("value", self.either(value, input)),
                    ];
                    self.add_object(&name, fields, input, false, Docs::default());
                }
                return TypeRef::List(Box::new(TypeRef::NonNull(Box::new(TypeRef::named(name)))));
            }
            Type::Tuple(items) => {
                let name = self.wrapper(ty, input);
                if !self.defs.contains_key(&name) {
                    let fields = items
                        .iter()
                        .enumerate()
                        .map(|(at, item)| field(&format!("f{at}"), self.either(item, input)))
                        .collect();
                    self.add_object(&name, fields, input, false, Docs::default());
                }
                return TypeRef::named(name);
            }
            Type::Result(ok, error) => {
                let name = self.wrapper(ty, input);
                if !self.defs.contains_key(&name) {
                    let names = self.names.wrapper(ty);
                    let cases = names
                        .members
                        .iter()
                        .zip(&names.cases)
                        .zip([ok, error])
                        .map(|((member, object), ty)| {
                            (member.clone(), object.clone(), ty.as_deref(), Docs::default())
                        })
                        .collect();
                    self.add_cases(&name, cases, input, Docs::default());
                }
                return TypeRef::named(name);
            }
            Type::Named(id) => return self.named(*id, input),
            Type::Option(inner) => return nullable(self.payload(inner, input)),
        };
        self.scalar(scalar)
    }

    fn scalar(&mut self, kind: ScalarKind) -> TypeRef {
        let docs = Docs { text: kind.docs().to_owned(), ..Docs::default() };
        self.defs.entry(kind.name().to_owned()).or_insert(Def { docs, kind: DefKind::Scalar(kind) });
        TypeRef::named(kind.name())
    }

    fn wrapper(&self, ty: &Type, input: bool) -> String {
        let name = &self.names.wrapper(ty).name;
        if input { name.input.clone() } else { name.output.clone() }
    }

    fn named(&mut self, id: wharf_call::TypeId, input: bool) -> TypeRef {
        let (schema, all) = (self.schema, self.names);
        let (def, names) = (schema.type_def(id), all.named(id));
        let name = if input { names.name.input.clone() } else { names.name.output.clone() };
        let is_list = matches!(def.kind, TypeKind::Flags(_));
        if !self.defs.contains_key(&name) {
            match &def.kind {
                TypeKind::Record(fields) => {
                    let fields = fields
                        .iter()
                        .zip(&names.members)
                        .map(|(of, name)| FieldDef {
                            name: name.clone(),
                            ty: self.either(&of.ty, input),
                            docs: of.docs.clone(),
                        })
                        .collect();
                    self.add_object(&name, fields, input, false, def.docs.clone());
                }
                TypeKind::Variant(cases) => {
                    let cases = cases
                        .iter()
                        .zip(names.members.iter().zip(&names.cases))
                        .map(|(case, (member, object))| {
                            (member.clone(), object.clone(), case.ty.as_ref(), case.docs.clone())
                        })
                        .collect();
                    self.add_cases(&name, cases, input, def.docs.clone());
                }
                TypeKind::Enum(cases) | TypeKind::Flags(cases) => {
                    let values = cases.iter().zip(&names.members).map(|(case, member)| FieldDef {
                        docs: case.docs.clone(),
                        ..field(member, TypeRef::named(TypeRef::BOOLEAN))
                    });
                    let kind = DefKind::Enum(values.collect());
                    self.defs.insert(name.clone(), Def { docs: def.docs.clone(), kind });
                }
            }
        }
        match is_list {
            true => TypeRef::List(Box::new(TypeRef::named_nn(name))),
            false => TypeRef::named(name),
        }
    }

    /// A variant: a OneOf input object, or a union of an object for each case. Either way the case is a field, so that
    /// a query that asks for several cases never asks for one field in two types.
    fn add_cases(
        &mut self,
        name: &str,
        cases: Vec<(String, String, Option<&Type>, Docs)>,
        input: bool,
        docs: Docs,
    ) {
        let mut fields = Vec::new();
        let mut objects = Vec::new();
        for (member, object, payload, case_docs) in cases {
            let ty = match payload {
                None => TypeRef::named_nn(TypeRef::BOOLEAN),
                Some(ty) if input => self.payload(ty, true),
                Some(ty) => self.output(ty),
            };
            let ty = if input { nullable(ty) } else { ty };
            let field = FieldDef { docs: case_docs.clone(), ..field(&member, ty) };
            if input {
                fields.push(field);
            } else {
                self.add_object(&object, vec![field], false, false, case_docs);
                objects.push(object);
            }
        }
        if input {
            self.add_object(name, fields, true, true, docs);
        } else {
            self.defs.insert(name.to_owned(), Def { docs, kind: DefKind::Union(objects) });
        }
    }

    fn add_object(&mut self, name: &str, fields: Vec<FieldDef>, input: bool, one_of: bool, docs: Docs) {
        let kind = if input { DefKind::Input { fields, one_of } } else { DefKind::Object(fields) };
        self.defs.insert(name.to_owned(), Def { docs, kind });
    }
}

fn field(name: &str, ty: TypeRef) -> FieldDef {
    FieldDef { name: name.to_owned(), ty, docs: Docs::default() }
}

pub(crate) fn nullable(ty: TypeRef) -> TypeRef {
    match ty {
        TypeRef::NonNull(ty) => *ty,
        ty => ty,
    }
}
