//! Names that protobuf takes: each once within its scope, and none that its compilers call too alike.
//!
//! What is named first keeps the plain name, so what is added at the end of a list never renames anything.

use std::collections::HashSet;

use wharf_doors::names;

/// The longest name of a message; a longer one ends in a digest of it.
const NAME_LEN_MAX: usize = 96;

/// The names of one scope that are given away.
#[derive(Default)]
pub(crate) struct Scope(HashSet<String>);

impl Scope {
    /// The first of `wanted` that is free or, where none is, the last one with underscores.
    pub(crate) fn take(&mut self, wanted: impl IntoIterator<Item = String>) -> String {
        let mut last = String::new();
        for name in wanted {
            last = bounded(name);
            if self.0.insert(last.clone()) {
                return last;
            }
        }
        loop {
            last.push('_');
            if self.0.insert(last.clone()) {
                return last;
            }
        }
    }
}

/// The name of a field, and its name in JSON.
pub(crate) struct FieldName {
    pub(crate) proto: String,
    pub(crate) json: String,
}

/// The names of the fields of one message. Protobuf's compilers refuse two fields whose names are the same in camel case,
/// so the later one of `foo-1` and `foo1` is `foo1_x` here; its JSON name is `foo1_`, as at every door.
pub(crate) fn fields<'a>(wanted: impl Iterator<Item = &'a str> + Clone) -> Vec<FieldName> {
    let json = names::distinct(wanted.clone(), names::lower_camel);
    let mut taken = HashSet::new();
    wanted
        .zip(json)
        .map(|(name, json)| {
            let mut kebab = name.to_owned();
            while !taken.insert(names::lower_camel(&kebab)) {
                kebab.push_str("-x");
            }
            FieldName { proto: names::snake(&kebab), json }
        })
        .collect()
}

/// The values of an enum whose prefix is `prefix`, after its `UNSPECIFIED`, which is the first one here. Values are named in
/// the scope of the package; and protobuf's compilers refuse two that are the same in camel case.
pub(crate) fn enum_values<'a>(
    prefix: &str,
    cases: impl Iterator<Item = &'a str>,
    package: &mut Scope,
) -> Vec<String> {
    let mut taken = HashSet::new();
    std::iter::once("unspecified")
        .chain(cases)
        .map(|case| {
            let mut kebab = case.to_owned();
            loop {
                let name = format!("{prefix}_{}", names::screaming(&kebab));
                if !taken.contains(&names::upper_camel(&kebab)) && package.0.insert(name.clone()) {
                    taken.insert(names::upper_camel(&kebab));
                    return name;
                }
                kebab.push_str("-x");
            }
        })
        .collect()
}

/// The name as protobuf's compilers make it for JSON, which is also the camel case that they compare.
pub(crate) fn default_json(proto: &str) -> String {
    let mut json = String::with_capacity(proto.len());
    let mut upper = false;
    for c in proto.chars() {
        match c {
            '_' => upper = true,
            c if upper => {
                json.push(c.to_ascii_uppercase());
                upper = false;
            }
            c => json.push(c),
        }
    }
    json
}

fn bounded(name: String) -> String {
    if name.len() <= NAME_LEN_MAX {
        return name;
    }
    let head = &name[..name.floor_char_boundary(NAME_LEN_MAX - 16)];
    format!("{head}{:016X}", fnv1a(name.as_bytes()))
}

/// FNV-1a, 64 bits: a digest that stays the same from release to release. Nothing depends on its being hard to forge.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_are_one_in_camel_case_are_told_apart() {
        let named = fields(["foo-1", "foo1", "foo1-x", "bar-baz"].into_iter());
        let proto: Vec<_> = named.iter().map(|name| name.proto.as_str()).collect();
        assert_eq!(proto, ["foo_1", "foo1_x", "foo1_x_x", "bar_baz"]);
        let json: Vec<_> = named.iter().map(|name| name.json.as_str()).collect();
        assert_eq!(json, ["foo1", "foo1_", "foo1X", "barBaz"]);
    }

    #[test]
    fn values_of_enums_share_the_scope_of_their_package() {
        let mut package = Scope::default();
        let one = enum_values("ORDER_STATE", ["open", "unspecified"].into_iter(), &mut package);
        assert_eq!(one, ["ORDER_STATE_UNSPECIFIED", "ORDER_STATE_OPEN", "ORDER_STATE_UNSPECIFIED_X"]);
        let other = enum_values("ORDER", ["state-open"].into_iter(), &mut package);
        assert_eq!(other, ["ORDER_UNSPECIFIED", "ORDER_STATE_OPEN_X"]);
    }

    #[test]
    fn a_long_name_ends_in_its_digest() {
        let mut scope = Scope::default();
        let name = scope.take([format!("ListOf{}", "A".repeat(200))]);
        assert_eq!(name.len(), NAME_LEN_MAX);
        assert_ne!(name, scope.take([format!("ListOf{}B", "A".repeat(200))]));
    }

    #[test]
    fn the_first_free_name_is_taken_and_underscores_help_in_the_end() {
        let mut scope = Scope::default();
        assert_eq!(scope.take(["User".into(), "AdminUser".into()]), "User");
        assert_eq!(scope.take(["User".into(), "AdminUser".into()]), "AdminUser");
        assert_eq!(scope.take(["User".into(), "AdminUser".into()]), "AdminUser_");
    }
}
