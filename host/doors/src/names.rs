//! From the kebab-case names of WIT to those of the doors.

use std::collections::HashSet;

use wharf_call::Package;

/// `user-id` as `userId`.
pub fn lower_camel(name: &str) -> String {
    let mut words = words(name);
    let mut out = words.next().unwrap_or_default();
    words.for_each(|word| out.push_str(&capitalised(&word)));
    out
}

/// `user-id` as `UserId`.
pub fn upper_camel(name: &str) -> String {
    words(name).map(|word| capitalised(&word)).collect()
}

/// `user-id` as `user_id`. No two names of one WIT scope have the same.
pub fn snake(name: &str) -> String {
    words(name).collect::<Vec<_>>().join("_")
}

/// `user-id` as `USER_ID`.
pub fn screaming(name: &str) -> String {
    snake(name).to_ascii_uppercase()
}

/// The names of one scope, in its order, each converted by `convert`. Where that was given away already, underscores
/// follow, of which no converted name has any at its end: a name that is added at the end never changes another.
pub fn distinct<'a>(
    names: impl IntoIterator<Item = &'a str>,
    convert: impl Fn(&str) -> String,
) -> Vec<String> {
    let mut taken = HashSet::new();
    names
        .into_iter()
        .map(|name| {
            let mut chosen = convert(name);
            while !taken.insert(chosen.clone()) {
                chosen.push('_');
            }
            chosen
        })
        .collect()
}

/// The part of a package's version that a breaking change changes: `1` of `1.4.2`, `0.3` of `0.3.1`.
pub fn major(version: &str) -> String {
    let mut parts = version.split(['.', '-', '+']);
    let (major, minor) = (parts.next().unwrap_or_default(), parts.next().unwrap_or("0"));
    if major == "0" { format!("0.{minor}") } else { major.to_owned() }
}

/// `demo:users@1`, as it stands in paths.
pub fn path_package(package: &Package) -> String {
    let Package { namespace, name, version } = package;
    match version {
        Some(version) => format!("{namespace}:{name}@{}", major(version)),
        None => format!("{namespace}:{name}"),
    }
}

/// `demo.users.v1`, the protobuf package.
pub fn proto_package(package: &Package) -> String {
    let Package { namespace, name, version } = package;
    let (namespace, name) = (snake(namespace), snake(name));
    match version {
        Some(version) => format!("{namespace}.{name}.v{}", major(version).replace('.', "_")),
        None => format!("{namespace}.{name}"),
    }
}

fn words(name: &str) -> impl Iterator<Item = String> + '_ {
    name.split('-').filter(|word| !word.is_empty()).map(str::to_ascii_lowercase)
}

fn capitalised(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + chars.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(version: Option<&str>) -> Package {
        Package { namespace: "my-demo".into(), name: "users".into(), version: version.map(str::to_owned) }
    }

    #[test]
    fn kebab_case_becomes_what_each_door_writes() {
        assert_eq!(lower_camel("get-user-ID2"), "getUserId2");
        assert_eq!(upper_camel("get-user"), "GetUser");
        assert_eq!(snake("get-user-ID"), "get_user_id");
        assert_eq!(screaming("in-progress"), "IN_PROGRESS");
    }

    #[test]
    fn the_later_of_names_that_would_be_one_gets_underscores() {
        assert_eq!(distinct(["foo1", "foo-1", "bar"], lower_camel), ["foo1", "foo1_", "bar"]);
        assert_eq!(distinct(["a-1-2", "a1-2", "a-12"], lower_camel), ["a12", "a12_", "a12__"]);
        assert_eq!(distinct(["a-1-2", "a1-2", "a-12"], snake), ["a_1_2", "a1_2", "a_12"]);
    }

    #[test]
    fn only_what_a_breaking_change_changes_is_in_a_name() {
        assert_eq!(path_package(&package(Some("1.4.2"))), "my-demo:users@1");
        assert_eq!(proto_package(&package(Some("1.4.2"))), "my_demo.users.v1");
        assert_eq!(path_package(&package(Some("0.3.1"))), "my-demo:users@0.3");
        assert_eq!(proto_package(&package(Some("0.3.1-rc.1"))), "my_demo.users.v0_3");
        assert_eq!(proto_package(&package(None)), "my_demo.users");
    }
}
