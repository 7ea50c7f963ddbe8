//! From values to JSON text.

use std::collections::HashMap;

use wharf_call::{Type, Value};

use super::plan::Named;
use super::{Plan, text};

/// Appends `value`, which is of `ty`, as JSON without whitespace. A value of another type, which no caller has, gives null
/// in its place.
pub fn encode(plan: &Plan, ty: &Type, value: &Value, out: &mut Vec<u8>) {
    match (ty, value) {
        (_, Value::Bool(true)) => out.extend_from_slice(b"true"),
        (_, Value::Bool(false)) => out.extend_from_slice(b"false"),
        // JavaScript and most parsers read numbers as doubles, which lose what is beyond 2^53.
        (Type::S64, Value::Signed(n)) => quoted(itoa::Buffer::new().format(*n), out),
        (Type::U64, Value::Unsigned(n)) => quoted(itoa::Buffer::new().format(*n), out),
        (_, Value::Signed(n)) => out.extend_from_slice(itoa::Buffer::new().format(*n).as_bytes()),
        (_, Value::Unsigned(n)) => out.extend_from_slice(itoa::Buffer::new().format(*n).as_bytes()),
        (_, Value::F32(n)) => single(*n, out),
        (_, Value::F64(n)) => double(*n, out),
        (_, Value::Char(c)) => string(c.encode_utf8(&mut [0; 4]), out),
        (_, Value::String(text)) => string(text, out),
        (_, Value::Bytes(bytes)) => {
            out.push(b'"');
            text::bytes_into(bytes, out);
            out.push(b'"');
        }
        (Type::List(item) | Type::FixedList(item, _), Value::List(items)) => {
            array(out, items, |value, out| encode(plan, item, value, out));
        }
        (Type::Tuple(types), Value::Tuple(items)) => {
            array(out, types.iter().zip(items), |(ty, value), out| encode(plan, ty, value, out));
        }
        (Type::Map(_, ty), Value::Map(entries)) => map(plan, ty, entries, out),
        (Type::Option(_), Value::Option(None)) => out.extend_from_slice(b"null"),
        (Type::Option(ty), Value::Option(Some(value))) if matches!(**ty, Type::Option(_)) => {
            wrapped(b"\"some\":", out, |out| encode(plan, ty, value, out));
        }
        (Type::Option(ty), Value::Option(Some(value))) => encode(plan, ty, value, out),
        (Type::Result(ok, _), Value::Result(Ok(value))) => {
            wrapped(b"\"ok\":", out, |out| payload(plan, ok.as_deref(), value.as_deref(), out));
        }
        (Type::Result(_, error), Value::Result(Err(value))) => {
            wrapped(b"\"error\":", out, |out| payload(plan, error.as_deref(), value.as_deref(), out));
        }
        (Type::Named(id), value) => named(plan, plan.named(*id), value, out),
        _ => out.extend_from_slice(b"null"),
    }
}

fn named(plan: &Plan, named: &Named, value: &Value, out: &mut Vec<u8>) {
    match (named, value) {
        (Named::Record(names, types), Value::Record(values)) => {
            out.push(b'{');
            for (at, (ty, value)) in types.iter().zip(values).enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                out.extend_from_slice(names.member(at));
                encode(plan, ty, value, out);
            }
            out.push(b'}');
        }
        (Named::Variant(names, types), Value::Variant(case, value)) => {
            let at = *case as usize;
            match types.get(at) {
                Some(Some(ty)) => {
                    wrapped(names.member(at), out, |out| payload(plan, Some(ty), value.as_deref(), out));
                }
                Some(None) => out.extend_from_slice(names.quoted(at)),
                None => out.extend_from_slice(b"null"),
            }
        }
        (Named::Enum(names), Value::Enum(case)) if (*case as usize) < names.len() => {
            out.extend_from_slice(names.quoted(*case as usize));
        }
        (Named::Flags(names), Value::Flags(set)) => {
            let set =
                (0..names.len()).filter(|at| set.checked_shr(*at as u32).is_some_and(|bits| bits & 1 == 1));
            array(out, set, |at, out| out.extend_from_slice(names.quoted(at)));
        }
        _ => out.extend_from_slice(b"null"),
    }
}

fn payload(plan: &Plan, ty: Option<&Type>, value: Option<&Value>, out: &mut Vec<u8>) {
    match (ty, value) {
        (Some(ty), Some(value)) => encode(plan, ty, value, out),
        _ => out.extend_from_slice(b"null"),
    }
}

fn wrapped(member: &[u8], out: &mut Vec<u8>, value: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'{');
    out.extend_from_slice(member);
    value(out);
    out.push(b'}');
}

fn array<T>(out: &mut Vec<u8>, items: impl IntoIterator<Item = T>, mut each: impl FnMut(T, &mut Vec<u8>)) {
    out.push(b'[');
    for (at, item) in items.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        each(item, out);
    }
    out.push(b']');
}

fn map(plan: &Plan, ty: &Type, entries: &[(Value, Value)], out: &mut Vec<u8>) {
    let keys: Vec<_> = entries.iter().map(|(key, _)| text::key_text(key)).collect();
    // Of equal keys the last one counts: an object has each name once.
    let last: HashMap<_, _> = keys.iter().map(String::as_str).zip(0..).collect();
    let kept = (0..entries.len()).filter(|at| last[keys[*at].as_str()] == *at);
    out.push(b'{');
    for (nth, at) in kept.enumerate() {
        if nth > 0 {
            out.push(b',');
        }
        string(&keys[at], out);
        out.push(b':');
        encode(plan, ty, &entries[at].1, out);
    }
    out.push(b'}');
}

/// Text that needs no escapes.
fn quoted(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

pub(crate) fn string(text: &str, out: &mut Vec<u8>) {
    // Most strings need no escapes, and a look for them is quicker than writing piece by piece.
    if text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
        return quoted(text, out);
    }
    // Writing to a vector does not fail.
    let _ = serde_json::to_writer(out, text);
}

fn double(n: f64, out: &mut Vec<u8>) {
    if n.is_finite() {
        let _ = serde_json::to_writer(out, &n);
    } else {
        quoted(
            if n.is_nan() {
                "NaN"
            } else if n > 0.0 {
                "Infinity"
            } else {
                "-Infinity"
            },
            out,
        );
    }
}

fn single(n: f32, out: &mut Vec<u8>) {
    if !n.is_finite() {
        return double(f64::from(n), out);
    }
    let start = out.len();
    let _ = serde_json::to_writer(&mut *out, &n);
    // Whoever reads it as a double and rounds that has to get the same float; the shortest text nearly always does it.
    let read = std::str::from_utf8(&out[start..]).ok().and_then(|text| text.parse::<f64>().ok());
    if read.is_none_or(|read| (read as f32).to_bits() != n.to_bits()) {
        out.truncate(start);
        double(f64::from(n), out);
    }
}
