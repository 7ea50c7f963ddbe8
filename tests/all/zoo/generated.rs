//! Animals that are too large, or too broken, to be written down.

use std::fmt::Write;

/// What a generator makes.
pub(super) enum Made {
    /// Text: a component, or what goes into the frame.
    Text(String),
    /// Bytes that no text gives.
    Component(Vec<u8>),
}

/// Makes what `;; generate: NAME SIZE` names.
pub(super) fn make(what: &str) -> Made {
    let (name, size) = what.split_once(' ').unwrap_or((what, "0"));
    let size: usize = size.parse().unwrap_or_else(|_| panic!("{what:?}: {size:?} is no size"));
    match name {
        // Code.
        "functions" => Made::Text(repeated(size, |n| format!("(func (result i32) (i32.const {n}))"))),
        "blocks" => attack(format!("{} {} (unreachable)", "block ".repeat(size), "end ".repeat(size))),
        "branches" => branches(size),
        "locals" => locals(size),
        "instructions" => attack(format!(
            "(local i32) {} (unreachable)",
            repeated(size, |n| format!("local.get 1 i32.const {n} i32.rotl local.get 0 i32.xor local.set 1"))
        )),
        // The longest instructions that there are: twenty bytes each.
        "constants" => attack(format!("{} (unreachable)", "v128.const i64x2 0 0 drop\n".repeat(size))),
        "name" => Made::Text(format!(
            "(func $attack (param i32) (result i32) (call $deep (i32.const 50)))
             (func $deep (@name \"{}\") (param i32) (result i32)
               (if (i32.eqz (local.get 0)) (then (unreachable)))
               (i32.add (i32.const 1) (call $deep (i32.sub (local.get 0) (i32.const 1)))))",
            "x".repeat(size)
        )),
        // What an instance is made of.
        "tables" => Made::Text("(table 1 funcref)\n".repeat(size)),
        "core-instances" => Made::Text(format!(
            ";; in component\n(core module $empty)\n{}",
            "(core instance (instantiate $empty))\n".repeat(size)
        )),
        "data-segment" => Made::Text(format!(
            "(data (i32.const 65536) \"{}\")\n;; in store\n(memory (export \"memory\") 640)",
            "x".repeat(size)
        )),
        "data-segments" => Made::Text("(data (i32.const 1024) \"x\")\n".repeat(size)),
        // Types.
        "deep-type" => types(size, |n| format!("(list $t{n})")),
        "doubled-type" => types(size, |n| format!("(tuple $t{n} $t{n})")),
        "doubled-type-often" => Made::Text(format!(
            "(component\n(type $t0 (tuple u8 u8))\n{}\n{})",
            repeated(16, |n| format!("(type $t{} (tuple $t{n} $t{n}))", n + 1)),
            repeated(size, |n| format!("(import \"f{n}\" (func (param \"x\" $t16)))")),
        )),
        "record" => used(format!("(record {})", repeated(size, |n| format!("(field \"f{n}\" u8)")))),
        "variant" => used(format!("(variant {})", repeated(size, |n| format!("(case \"c{n}\" u64)")))),
        "flags" => used(format!("(flags {})", repeated(size, |n| format!("\"f{n}\"")))),
        "parameters" => Made::Text(format!(
            "(component\n(import \"f\" (func {})))",
            repeated(size, |n| format!("(param \"p{n}\" string)"))
        )),
        "types" => Made::Text(format!(
            "(component\n{})",
            repeated(size, |n| format!("(type (record (field \"f{n}\" u8)))"))
        )),
        // Names.
        "imports" => Made::Text(format!(
            "(component\n{})",
            repeated(size, |n| format!(
                "(import \"zoo:imports/i{n}@1.0.0\" (instance (export \"f\" (func))))"
            ))
        )),
        "exports" => Made::Text(format!(
            "(component\n(core module $m (func (export \"f\")))\n(core instance $m (instantiate $m))
             (func $f (canon lift (core func $m \"f\")))\n{})",
            repeated(size, |n| format!("(export \"f{n}\" (func $f))"))
        )),
        "import-name" => {
            Made::Text(format!("(component\n(import \"{}\" (func)))", vec!["x"; size].join("-")))
        }
        // Bytes.
        "nested-components" => Made::Component(nested_components(size)),
        "nested-types" => Made::Component(nested_types(size)),
        "claims" => Made::Component(section(7, &[0xff, 0xff, 0xff, 0xff, 0x0f])),
        "section-beyond-the-end" => Made::Component([HEADER, &[7, 0xff, 0xff, 0xff, 0xff, 0x0f, 0]].concat()),
        "endless-number" => Made::Component([HEADER, &[7], &[0x80; 64]].concat()),
        _ => panic!("nothing generates {what:?}"),
    }
}

fn repeated(count: usize, one: impl Fn(usize) -> String) -> String {
    (0..count).fold(String::new(), |mut text, n| {
        let _ = writeln!(text, "{}", one(n));
        text
    })
}

/// A guest whose attack is this code, which is there to be compiled.
fn attack(code: String) -> Made {
    Made::Text(format!("(func $attack (param i32) (result i32) {code})"))
}

/// `size` tables of a thousand branches each, into ten blocks.
fn branches(size: usize) -> Made {
    let targets = repeated(1000, |n| (n % 10).to_string());
    attack(format!(
        "{} {} {} (unreachable)",
        "block ".repeat(10),
        repeated(size, |_| format!("block local.get 0 br_table {targets} end")),
        "end ".repeat(10),
    ))
}

/// As many locals, each of which is made of all before it in a loop: they all live at once.
fn locals(size: usize) -> Made {
    let locals = "i64 ".repeat(size);
    let set = repeated(size, |n| {
        let (a, b) = (1 + n, 1 + (n * 7919 + 13) % size);
        format!("(local.set {a} (i64.add (local.get {a}) (i64.mul (local.get {b}) (i64.const {}))))", n + 3)
    });
    attack(format!(
        "(local {locals}) (loop $again {set} (br_if $again (i64.ne (local.get 1) (i64.const 0)))) (unreachable)"
    ))
}

/// `size` types, each made of the one before.
fn types(size: usize, next: impl Fn(usize) -> String) -> Made {
    Made::Text(format!(
        "(component\n(type $t0 (tuple u8 u8))\n{}\n(import \"f\" (func (param \"x\" $t{size}))))",
        repeated(size, |n| format!("(type $t{} {})", n + 1, next(n)))
    ))
}

/// A component that imports a function of this type.
fn used(text: String) -> Made {
    Made::Text(format!(
        "(component\n(type $t {text})\n(import \"t\" (type $named (eq $t)))\n(import \"f\" (func (param \"x\" $named))))"
    ))
}

const HEADER: &[u8] = b"\0asm\x0d\0\x01\0";

/// A component of one section.
fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [HEADER, &[id], &leb(content.len()), content].concat()
}

/// A component in a component in a component …
fn nested_components(size: usize) -> Vec<u8> {
    // From the inside out, backwards: each layer is written once.
    let mut reversed: Vec<u8> = HEADER.iter().rev().copied().collect();
    for _ in 0..size {
        let length = leb(reversed.len());
        reversed.extend(length.iter().rev());
        reversed.push(4);
        reversed.extend(HEADER.iter().rev());
    }
    reversed.reverse();
    reversed
}

/// The type of an instance that has the type of an instance that has …
fn nested_types(size: usize) -> Vec<u8> {
    let mut content = vec![1];
    content.extend([0x42, 1, 1].repeat(size));
    content.extend([0x42, 0]);
    section(7, &content)
}

/// An unsigned number in LEB128.
fn leb(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}
