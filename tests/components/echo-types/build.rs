//! Writes the WIT and its implementation: a function for every type within every other.

use std::env;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// A type: its name in function names, in WIT and in Rust.
#[derive(Clone)]
struct Type {
    name: String,
    wit: String,
    rust: String,
}

fn ty(name: &str, wit: &str, rust: &str) -> Type {
    Type { name: name.into(), wit: wit.into(), rust: rust.into() }
}

/// Types of which all others are made.
fn bases() -> Vec<Type> {
    let mut bases: Vec<Type> = [
        ("bool", "bool"),
        ("s8", "i8"),
        ("s16", "i16"),
        ("s32", "i32"),
        ("s64", "i64"),
        ("u8", "u8"),
        ("u16", "u16"),
        ("u32", "u32"),
        ("u64", "u64"),
        ("f32", "f32"),
        ("f64", "f64"),
        ("char", "char"),
        ("string", "String"),
    ]
    .iter()
    .map(|(wit, rust)| ty(wit, wit, rust))
    .collect();
    for (wit, rust) in [
        ("point", "Point"),
        ("person", "Person"),
        ("shape", "Shape"),
        ("color", "Color"),
        ("rights", "Rights"),
        ("order", "Order"),
    ] {
        bases.push(ty(wit, wit, rust));
    }
    bases
}

/// Everything that a type is put into.
fn within(base: &Type) -> Vec<Type> {
    let Type { name, wit, rust } = base;
    vec![
        base.clone(),
        ty(&format!("option-{name}"), &format!("option<{wit}>"), &format!("Option<{rust}>")),
        ty(
            &format!("optional-option-{name}"),
            &format!("option<option<{wit}>>"),
            &format!("Option<Option<{rust}>>"),
        ),
        ty(&format!("list-{name}"), &format!("list<{wit}>"), &format!("Vec<{rust}>")),
        ty(&format!("three-{name}"), &format!("list<{wit}, 3>"), &format!("[{rust}; 3]")),
        ty(&format!("pair-{name}"), &format!("tuple<{wit}, {wit}>"), &format!("({rust}, {rust})")),
        ty(&format!("ok-{name}"), &format!("tuple<result<{wit}>>"), &format!("(Result<{rust}, ()>,)")),
        ty(&format!("error-{name}"), &format!("tuple<result<_, {wit}>>"), &format!("(Result<(), {rust}>,)")),
        ty(
            &format!("result-{name}"),
            &format!("tuple<result<{wit}, string>>"),
            &format!("(Result<{rust}, String>,)"),
        ),
        ty(&format!("map-{name}"), &format!("map<string, {wit}>"), &format!("Map<String, {rust}>")),
        ty(
            &format!("deep-{name}"),
            &format!("list<option<tuple<list<{wit}>, result<{wit}, option<string>>>>>"),
            &format!("Vec<Option<(Vec<{rust}>, Result<{rust}, Option<String>>)>>"),
        ),
    ]
}

fn main() {
    let mut types: Vec<Type> = bases().iter().flat_map(within).collect();
    for (wit, rust) in
        [("bool", "bool"), ("s8", "i8"), ("u32", "u32"), ("s64", "i64"), ("u64", "u64"), ("char", "char")]
    {
        types.push(ty(
            &format!("map-by-{wit}"),
            &format!("map<{wit}, string>"),
            &format!("Map<{rust}, String>"),
        ));
    }
    types.push(ty("nothing-at-all", "tuple<result>", "(Result<(), ()>,)"));

    let mut wit = fs::read_to_string("types.wit.in").expect("the types");
    let mut rust = String::new();
    for Type { name, wit: ty, rust: own } in &types {
        writeln!(wit, "    echo-{name}: func(v: {ty}) -> {ty};").expect("a string");
        writeln!(rust, "    fn echo_{}(v: {own}) -> {own} {{ v }}", name.replace('-', "_"))
            .expect("a string");
    }
    wit.push_str("}\n\nworld echo-types {\n    export echo;\n}\n");

    // The macro wants the text of the WIT itself.
    let text =
        format!("wit_bindgen::generate!({{ inline: r#\"{wit}\"# }});\n\nimpl Guest for Echo {{\n{rust}}}\n");
    let out = env::var("OUT_DIR").expect("Cargo sets it");
    fs::write(Path::new(&out).join("echo.rs"), text).expect("OUT_DIR can be written to");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=types.wit.in");
}
