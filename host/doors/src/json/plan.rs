use std::sync::Arc;

use wharf_call::{Case, Field, FunctionId, Schema, Type, TypeId, TypeKind};

use super::Names;
use crate::names::{distinct, lower_camel};

/// A schema with its JSON names, made once and shared by every call.
pub struct Plan {
    schema: Arc<Schema>,
    types: Vec<Named>,
    params: Vec<Vec<Names>>,
}

/// A named type with what decoding and encoding ask of it.
pub(super) enum Named {
    Record(Names, Vec<Type>),
    Variant(Names, Vec<Option<Type>>),
    Enum(Names),
    Flags(Names),
}

impl Plan {
    /// Gives every field, case and parameter of `schema` its name in JSON.
    pub fn new(schema: &Arc<Schema>) -> Self {
        let types = schema.types.iter().map(|def| match &def.kind {
            TypeKind::Record(fields) => {
                Named::Record(camel(fields), fields.iter().map(|field| field.ty.clone()).collect())
            }
            TypeKind::Variant(cases) => Named::Variant(
                Names::new(distinct(cases.iter().map(|case| &*case.name), lower_camel)),
                cases.iter().map(|case| case.ty.clone()).collect(),
            ),
            TypeKind::Enum(cases) => Named::Enum(kebab(cases)),
            TypeKind::Flags(flags) => Named::Flags(kebab(flags)),
        });
        let params = schema
            .interfaces
            .iter()
            .map(|interface| interface.functions.iter().map(|function| camel(&function.params)).collect());
        Plan { types: types.collect(), params: params.collect(), schema: schema.clone() }
    }

    /// The schema that it was made of.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// The JSON names of the parameters of the function at `id`, which is of the schema.
    pub fn params(&self, id: FunctionId) -> &Names {
        &self.params[id.interface as usize][id.function as usize]
    }

    /// The JSON names of the fields, cases or flags of a type of the schema.
    pub fn names(&self, id: TypeId) -> &Names {
        match self.named(id) {
            Named::Record(names, _) | Named::Variant(names, _) => names,
            Named::Enum(names) | Named::Flags(names) => names,
        }
    }

    pub(super) fn named(&self, id: TypeId) -> &Named {
        &self.types[id.0 as usize]
    }

    /// What a client is told that a value of `ty` is.
    pub(crate) fn describe(&self, ty: &Type) -> String {
        let within = |min: &str, max: &str| format!("a whole number from {min} to {max}");
        match ty {
            Type::Bool => "true or false".into(),
            Type::S8 => within("-128", "127"),
            Type::S16 => within("-32768", "32767"),
            Type::S32 => within("-2147483648", "2147483647"),
            Type::S64 => "a string with a whole number of 64 bits".into(),
            Type::U8 => within("0", "255"),
            Type::U16 => within("0", "65535"),
            Type::U32 => within("0", "4294967295"),
            Type::U64 => "a string with a whole number from 0, of 64 bits".into(),
            Type::F32 | Type::F64 => r#"a number, "NaN", "Infinity" or "-Infinity""#.into(),
            Type::Char => "a string of one character".into(),
            Type::String => "a string".into(),
            Type::Bytes(None) => "a string of base64".into(),
            Type::Bytes(Some(n)) => format!("a string of base64 for {n} bytes"),
            Type::List(_) => "an array".into(),
            Type::FixedList(_, n) => format!("an array of {n}"),
            Type::Map(..) => "an object".into(),
            Type::Tuple(types) => format!("an array of {}", types.len()),
            Type::Option(inner) if matches!(**inner, Type::Option(_)) => r#"null or {"some": …}"#.into(),
            Type::Option(inner) => format!("{} or null", self.describe(inner)),
            Type::Result(..) => r#"{"ok": …} or {"error": …}"#.into(),
            Type::Named(id) => {
                let name = &self.schema.type_def(*id).name;
                match self.named(*id) {
                    Named::Record(..) => format!("an object ({name})"),
                    Named::Variant(..) => format!("a case of {name}"),
                    Named::Enum(..) => format!("the name of a case of {name}"),
                    Named::Flags(..) => format!("an array of the names of {name}"),
                }
            }
        }
    }
}

fn camel(fields: &[Field]) -> Names {
    Names::new(distinct(fields.iter().map(|field| &*field.name), lower_camel))
}

fn kebab(cases: &[Case]) -> Names {
    Names::new(cases.iter().map(|case| case.name.clone()).collect())
}
