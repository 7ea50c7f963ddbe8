//! Values that stand alone as text: in a path, a query or a header, and as the key of a map.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use wharf_call::{Type, TypeKind, Value};

use super::{JsonError, Plan};

/// As MAPPING.md has it: padding or none.
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
static STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
static URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// The bytes of base64 in either alphabet.
pub(super) fn bytes_from(text: &str) -> Option<Bytes> {
    let engine = if text.bytes().any(|byte| matches!(byte, b'-' | b'_')) { &URL_SAFE } else { &STANDARD };
    engine.decode(text).ok().map(Bytes::from)
}

/// Appends `bytes` as base64.
pub(super) fn bytes_into(bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    // It fits: that is how long base64 is.
    let written = STANDARD.encode_slice(bytes, &mut out[start..]).unwrap_or(0);
    out.truncate(start + written);
}

/// Whether a whole number is in its one spelling: no plus, no zeros in front.
pub fn is_canonical(digits: &str) -> bool {
    let digits = digits.strip_prefix('-').unwrap_or(digits);
    digits == "0" || digits.starts_with(|first: char| matches!(first, '1'..='9'))
}

/// The whole number of `text`, if it is one of `ty`.
pub(super) fn integer_from(ty: &Type, text: &str) -> Option<Value> {
    if !is_canonical(text) {
        return None;
    }
    match ty {
        Type::U8 | Type::U16 | Type::U32 | Type::U64 => unsigned(ty, text.parse().ok()?),
        _ => signed(ty, text.parse().ok()?),
    }
}

/// `n` as a value of the unsigned type `ty`, if it is within its bounds.
pub(super) fn unsigned(ty: &Type, n: u64) -> Option<Value> {
    let max = match ty {
        Type::U8 => u64::from(u8::MAX),
        Type::U16 => u64::from(u16::MAX),
        Type::U32 => u64::from(u32::MAX),
        Type::U64 => u64::MAX,
        _ => return None,
    };
    (n <= max).then_some(Value::Unsigned(n))
}

/// `n` as a value of the signed type `ty`, if it is within its bounds.
pub(super) fn signed(ty: &Type, n: i64) -> Option<Value> {
    let fits = match ty {
        Type::S8 => i8::try_from(n).is_ok(),
        Type::S16 => i16::try_from(n).is_ok(),
        Type::S32 => i32::try_from(n).is_ok(),
        Type::S64 => true,
        _ => false,
    };
    fits.then_some(Value::Signed(n))
}

/// The float of a number that was read with 64 bits, if it is within the bounds of `ty`.
pub(super) fn float(ty: &Type, n: f64) -> Option<Value> {
    match ty {
        Type::F64 => Some(Value::F64(n)),
        Type::F32 if (n as f32).is_finite() || !n.is_finite() => Some(Value::F32(n as f32)),
        _ => None,
    }
}

/// The three floats that JSON has no number for.
pub(super) fn float_named(ty: &Type, name: &str) -> Option<Value> {
    let n = match name {
        "NaN" => f64::NAN,
        "Infinity" => f64::INFINITY,
        "-Infinity" => f64::NEG_INFINITY,
        _ => return None,
    };
    float(ty, n)
}

/// The one character of `text`.
pub(super) fn char_from(text: &str) -> Option<Value> {
    let mut chars = text.chars();
    let first = chars.next()?;
    chars.next().is_none().then_some(Value::Char(first))
}

/// The key of a map, of type `ty`, as the text of a member's name.
pub(super) fn key_from(ty: &Type, text: &str) -> Option<Value> {
    match ty {
        Type::Bool => text.parse().ok().map(Value::Bool),
        Type::Char => char_from(text),
        Type::String => Some(Value::String(text.to_owned())),
        _ => integer_from(ty, text),
    }
}

/// The key of a map as the text of a member's name.
pub fn key_text(key: &Value) -> String {
    match key {
        Value::Bool(value) => value.to_string(),
        Value::Signed(n) => n.to_string(),
        Value::Unsigned(n) => n.to_string(),
        Value::Char(c) => c.to_string(),
        Value::String(text) => text.clone(),
        // No other type is one of keys.
        _ => String::new(),
    }
}

/// Whether a value of `ty` can stand in a path, a query or a header: a boolean, a number, a character, a string, bytes, or an
/// enum.
pub fn is_scalar(plan: &Plan, ty: &Type) -> bool {
    match ty {
        Type::Named(id) => matches!(plan.schema().type_def(*id).kind, TypeKind::Enum(_)),
        Type::List(_) | Type::FixedList(..) | Type::Map(..) => false,
        Type::Tuple(_) | Type::Option(_) | Type::Result(..) => false,
        _ => true,
    }
}

/// Whether a value of `ty` is written as texts where there is room for several of a name, as in a query: a scalar, an option of
/// one, a list of them, or flags. Anything else is JSON there.
pub fn is_textual(plan: &Plan, ty: &Type) -> bool {
    match ty {
        Type::Option(inner) => !matches!(**inner, Type::Option(_)) && is_textual(plan, inner),
        Type::List(item) | Type::FixedList(item, _) => is_scalar(plan, item),
        Type::Named(id) => {
            matches!(plan.schema().type_def(*id).kind, TypeKind::Enum(_) | TypeKind::Flags(_))
        }
        ty => is_scalar(plan, ty),
    }
}

/// Whether no text at all is a value of `ty`: an option, a list, or flags.
pub fn may_be_absent(plan: &Plan, ty: &Type) -> bool {
    match ty {
        Type::Option(_) | Type::List(_) => true,
        Type::Named(id) => matches!(plan.schema().type_def(*id).kind, TypeKind::Flags(_)),
        _ => false,
    }
}

/// The value of type `ty` of a parameter that stands in a path, a query or a header, where it was found as `texts`: of a
/// scalar exactly one, of a list of scalars any number, of flags the names. `name` is how the client knows the parameter.
///
/// # Errors
/// When it is not one of `ty`.
pub fn parse_texts(plan: &Plan, ty: &Type, name: &str, texts: &[String]) -> Result<Value, JsonError> {
    let wrong = |text: String| JsonError { path: name.to_owned(), text };
    let many =
        |item: &Type| texts.iter().map(|text| parse(plan, item, name, text)).collect::<Result<Vec<_>, _>>();
    match ty {
        Type::Option(_) if texts.is_empty() => Ok(Value::NONE),
        Type::Option(inner) => parse_texts(plan, inner, name, texts).map(Value::some),
        Type::List(item) => many(item).map(Value::List),
        Type::FixedList(item, n) if texts.len() == *n as usize => many(item).map(Value::List),
        Type::FixedList(_, n) => Err(wrong(format!("expected {n} of them, got {}", texts.len()))),
        Type::Named(id) if matches!(plan.schema().type_def(*id).kind, TypeKind::Flags(_)) => {
            let mut set = 0;
            for text in texts {
                let at = plan.names(*id).position(text, 0);
                let at = at.ok_or_else(|| wrong(no_such_name(plan, ty, text)))?;
                set |= 1 << at;
            }
            Ok(Value::Flags(set))
        }
        _ => match texts {
            [text] => parse(plan, ty, name, text),
            [] => Err(wrong(format!("is missing; expected {}", plan.describe(ty)))),
            _ => Err(wrong(format!("is there {} times; expected {} once", texts.len(), plan.describe(ty)))),
        },
    }
}

fn parse(plan: &Plan, ty: &Type, name: &str, text: &str) -> Result<Value, JsonError> {
    let value = match ty {
        Type::Bool => text.parse().ok().map(Value::Bool),
        Type::String => Some(Value::String(text.to_owned())),
        Type::Char => char_from(text),
        Type::F32 | Type::F64 => float_named(ty, text).or_else(|| {
            // Of the spellings that Rust knows, those of JSON: no `inf`, `+1`, `.5` or `1.`.
            let bare = !text.starts_with(char::is_whitespace) && !text.ends_with(char::is_whitespace);
            let number = serde_json::from_str::<f64>(text).ok().filter(|_| bare)?;
            float(ty, number)
        }),
        Type::Bytes(length) => {
            let bytes = bytes_from(text);
            bytes.filter(|bytes| length.is_none_or(|n| bytes.len() == n as usize)).map(Value::Bytes)
        }
        Type::Named(id) => {
            let at = plan.names(*id).position(text, 0).and_then(|at| u32::try_from(at).ok());
            let Some(at) = at else {
                return Err(JsonError { path: name.to_owned(), text: no_such_name(plan, ty, text) });
            };
            Some(Value::Enum(at))
        }
        _ => integer_from(ty, text),
    };
    value.ok_or_else(|| JsonError {
        path: name.to_owned(),
        text: format!("expected {}, got {:?}", plan.describe(ty), super::error::shown(text)),
    })
}

/// What is said of a name that `ty`, an enum, flags or a variant, does not have.
pub(super) fn no_such_name(plan: &Plan, ty: &Type, name: &str) -> String {
    let Type::Named(id) = ty else { return String::new() };
    let names = plan.names(*id);
    let near = wharf_call::suggest::nearest(name, names.iter());
    let hint = match near {
        Some(near) => format!("; did you mean {near:?}?"),
        None if names.len() <= 12 => {
            let all: Vec<_> = names.iter().map(|name| format!("{name:?}")).collect();
            format!("; there are {}", all.join(", "))
        }
        None => String::new(),
    };
    format!("{} has no {:?}{hint}", plan.schema().type_def(*id).name, super::error::shown(name))
}
