//! Puts an animal's few lines into a component that is otherwise a good plugin.

use std::collections::BTreeMap;

use crate::ROOT;

/// What an animal may define itself: the part that it is in, how its text shows that it does, and what it is
/// without.
const DEFAULTS: &[(&str, &str, &str)] = &[
    ("store", "(memory ", r#"(memory (export "memory") 1)"#),
    // For what the built-ins hand over. It is asked for little, and only by some of the animals.
    (
        "store",
        r#"(export "realloc")"#,
        r#"(func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 32768))"#,
    ),
    ("guest", "(func $realloc ", REALLOC),
    ("guest", "(func $attack ", "(func $attack (param i32) (result i32) (call $answer))"),
    ("guest", "(func $post-return ", r#"(func $post-return (export "post-return") (param i32))"#),
];

/// Hands out one block after the other until an answer is given, then begins anew.
const REALLOC: &str = r#"
    (global $next (mut i32) (i32.const 4096))
    (func $realloc (export "realloc") (param i32 i32) (param $align i32) (param $size i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and
        (i32.add (global.get $next) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
      (global.set $next (i32.add (local.get $at) (local.get $size)))
      (block $fits
        (br_if $fits (i32.lt_u (global.get $next) (i32.shl (memory.size) (i32.const 16))))
        (br_if $fits (i32.ne (i32.const -1) (memory.grow
          (i32.add (i32.const 1) (i32.shr_u (local.get $size) (i32.const 16))))))
        (unreachable))
      (local.get $at))"#;

/// `ok({ status: 200, headers: [], body: whole("good\n") })` is at 64; `good\n` is at 128. A GET has a method of
/// three letters. `$armed` is 1 once an attack has begun.
const HANDLE: &str = r#"
    (data (i32.const 68) "\c8\00")
    (data (i32.const 80) "\01\00\00\00\80\00\00\00\05\00\00\00")
    (data (i32.const 128) "good\n")
    (global $armed (mut i32) (i32.const 0))
    (func (export "handle") (param $args i32) (result i32)
      (if (i32.eq (i32.load offset=4 (local.get $args)) (i32.const 3)) (then (return (call $answer))))
      (global.set $armed (i32.const 1))
      (call $attack (local.get $args)))"#;

const NEXT_CALL: &str = "(global.set $next (i32.const 4096))";

/// The answer of a synchronous function is where it lies.
const ANSWER: &str = "(i32.const 64)";

/// A task gives its answer, and ends by returning 0.
const TASK_ANSWER: &str = "(call $task-return (i32.const 0) (i32.const 200) (i32.const 0) (i32.const 0) \
    (i32.const 1) (i32.const 128) (i32.const 5) (i32.const 0)) (i32.const 0)";

/// A task answers with a stream, and has the writable ends of it.
const STREAM_ANSWER: &str = r#"
    (global $bytes (mut i32) (i32.const 0))
    (global $end (mut i32) (i32.const 0))
    (func $answer-with-stream
      (local $stream i64) (local $future i64)
      (local.set $stream (call $stream-new))
      (local.set $future (call $future-new))
      (global.set $bytes (i32.wrap_i64 (i64.shr_u (local.get $stream) (i64.const 32))))
      (global.set $end (i32.wrap_i64 (i64.shr_u (local.get $future) (i64.const 32))))
      (call $task-return (i32.const 0) (i32.const 200) (i32.const 0) (i32.const 0) (i32.const 2)
        (i32.wrap_i64 (local.get $stream)) (i32.wrap_i64 (local.get $future)) (i32.const 0)))"#;

const LIFT: &str = r#"(alias core export $guest "post-return" (core func $post-return))
  (func $handle (type $handle-type) (canon lift (core func $handle-core)
    (memory $memory) (realloc $realloc) (post-return $post-return)))"#;

const LIFT_TASK: &str = r#"(alias core export $guest "callback" (core func $callback))
  (func $handle (type $handle-type) (canon lift (core func $handle-core)
    (memory $memory) (realloc $realloc) async (callback $callback)))"#;

/// What an animal with an inner component has beside its own parts: a call of what the inner one exports.
const INNER: [(&str, &str); 3] = [
    (
        "component",
        r#"(import "inner" (instance $inner (export "attack" (func))))
  (core func $inner-attack (canon lower (func $inner "attack")))
  (core instance $inner-core (export "attack" (func $inner-attack)))"#,
    ),
    ("imports", r#"(import "inner" "attack" (func $inner))"#),
    ("with", r#"(with "inner" (instance $inner-core))"#),
];

/// The text of a component around `animal`, as `tests/components/zoo/frame.wat` explains it.
pub(super) fn around(animal: &str) -> String {
    let mut parts: BTreeMap<&str, String> = BTreeMap::new();
    let mut part = "guest";
    for line in animal.lines() {
        match line.strip_prefix(";; in ") {
            Some(next) => part = next,
            None => parts.entry(part).or_default().extend([line, "\n"]),
        }
    }
    let has = |parts: &BTreeMap<&str, String>, part, mark| {
        parts.get(part).is_some_and(|text: &String| text.contains(mark))
    };
    let (answer, lift) =
        if has(&parts, "guest", "(func $callback ") { (TASK_ANSWER, LIFT_TASK) } else { (ANSWER, LIFT) };
    let begin_anew = if has(&parts, "guest", "(func $realloc ") { "" } else { NEXT_CALL };
    for (part, mark, text) in DEFAULTS {
        if !has(&parts, part, mark) {
            parts.entry(part).or_default().push_str(text);
        }
    }
    let guest = parts.entry("guest").or_default();
    *guest += HANDLE;
    *guest += STREAM_ANSWER;
    *guest += &format!("(func $answer (result i32) {begin_anew} {answer})");
    parts.insert("lift", lift.to_owned());
    let inner = parts.remove("inner");
    if inner.is_some() {
        parts.extend(INNER.map(|(part, text)| (part, text.to_owned())));
    }
    let mut text = std::fs::read_to_string(format!("{ROOT}/tests/components/zoo/frame.wat")).unwrap();
    for part in ["store", "component", "imports", "guest", "with", "lift", "after"] {
        text = text.replace(&format!("{{{{{part}}}}}"), parts.get(part).map_or("", String::as_str));
    }
    match inner {
        Some(inner) => beside(&inner, &text),
        None => text,
    }
}

/// A component of two: `outer`, which is the plugin, and one around the core module `inner`, which it calls. Neither
/// holds the other: a component may not call into one that it holds.
fn beside(inner: &str, outer: &str) -> String {
    let (_, outer) = outer.split_once("(component\n").unwrap();
    // What the outer one imports, the whole imports for it.
    let (imports, _) = outer.split_once("  (alias export $wharf ").unwrap();
    format!(
        r#"(component
{imports}
  (component $inner-component
    {inner}
    (core instance $core (instantiate $inner))
    (func $attack (canon lift (core func $core "attack")))
    (export "attack" (func $attack)))
  (instance $inner (instantiate $inner-component))
  (component $outer-component
{outer}
  (instance $outer (instantiate $outer-component
    (with "wharf:plugin/types@0.1.0" (instance $wharf)) (with "inner" (instance $inner))))
  (alias export $outer "wharf:plugin/handler@0.1.0" (instance $handler))
  (export "wharf:plugin/handler@0.1.0" (instance $handler)))"#
    )
}
