//! A type as its WIT has it.

use std::fmt;

use crate::{Schema, Type};

/// Shows a type in WIT's own words. Made by [`Schema::show`].
pub struct TypeText<'a> {
    schema: &'a Schema,
    ty: &'a Type,
}

impl Schema {
    /// `list<option<user>>` and the like; of a type of this schema.
    pub fn show<'a>(&'a self, ty: &'a Type) -> TypeText<'a> {
        TypeText { schema: self, ty }
    }
}

impl fmt::Display for TypeText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |ty| self.schema.show(ty);
        let word = match self.ty {
            Type::Bool => "bool",
            Type::S8 => "s8",
            Type::S16 => "s16",
            Type::S32 => "s32",
            Type::S64 => "s64",
            Type::U8 => "u8",
            Type::U16 => "u16",
            Type::U32 => "u32",
            Type::U64 => "u64",
            Type::F32 => "f32",
            Type::F64 => "f64",
            Type::Char => "char",
            Type::String => "string",
            Type::Bytes(None) => "list<u8>",
            Type::Bytes(Some(length)) => return write!(f, "list<u8, {length}>"),
            Type::List(item) => return write!(f, "list<{}>", show(item)),
            Type::FixedList(item, length) => return write!(f, "list<{}, {length}>", show(item)),
            Type::Map(key, value) => return write!(f, "map<{}, {}>", show(key), show(value)),
            Type::Option(some) => return write!(f, "option<{}>", show(some)),
            Type::Result(None, None) => "result",
            Type::Result(Some(ok), None) => return write!(f, "result<{}>", show(ok)),
            Type::Result(None, Some(error)) => return write!(f, "result<_, {}>", show(error)),
            Type::Result(Some(ok), Some(error)) => {
                return write!(f, "result<{}, {}>", show(ok), show(error));
            }
            Type::Named(id) => &self.schema.type_def(*id).name,
            Type::Tuple(types) => {
                f.write_str("tuple<")?;
                for (at, ty) in types.iter().enumerate() {
                    let comma = if at == 0 { "" } else { ", " };
                    write!(f, "{comma}{}", show(ty))?;
                }
                ">"
            }
        };
        f.write_str(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_reads_as_in_its_wit() {
        let ty = Type::Result(
            Some(Box::new(Type::List(Box::new(Type::Option(Box::new(Type::Bytes(Some(4)))))))),
            Some(Box::new(Type::Tuple(vec![Type::Char, Type::Map(Box::new(Type::U8), Box::new(Type::F64))]))),
        );
        let text = Schema::default().show(&ty).to_string();
        assert_eq!(text, "result<list<option<list<u8, 4>>>, tuple<char, map<u8, f64>>>");
    }
}
