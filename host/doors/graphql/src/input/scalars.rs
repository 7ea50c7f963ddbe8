//! Numbers, bytes and enums as GraphQL writes them.

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use serde_json::Number;
use wharf_call::Value;
use wharf_doors::json::is_canonical;

use super::Decoder;
use super::error::{InputError, expected, list_names, shown};
use super::view::View;

/// Padding may be missing (RFC 4648, section 3.2), and the URL-safe alphabet is taken, too.
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASE64: GeneralPurpose = GeneralPurpose::new(&STANDARD, LENIENT);
const BASE64_URL: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, LENIENT);

pub(super) fn signed(view: &View<'_>, min: i64, max: i64, or_text: bool) -> Result<Value, InputError> {
    let number = match view {
        View::Number(number) => number.as_i64().or_else(|| whole(number).map(|number| number as i64)),
        View::Text(text) if or_text => {
            Some(text).filter(|text| is_canonical(text)).and_then(|text| text.parse().ok())
        }
        other => return Err(expected("a whole number", other)),
    };
    match number.filter(|number| (min..=max).contains(number)) {
        Some(number) => Ok(Value::Signed(number)),
        None => Err(InputError::new(format!("must be a whole number from {min} to {max}."))),
    }
}

pub(super) fn unsigned(view: &View<'_>, max: u64, or_text: bool) -> Result<Value, InputError> {
    let number = match view {
        View::Number(number) => number
            .as_u64()
            .or_else(|| whole(number).filter(|&number| number >= 0.0).map(|number| number as u64)),
        View::Text(text) if or_text => {
            Some(text).filter(|text| is_canonical(text)).and_then(|text| text.parse().ok())
        }
        other => return Err(expected("a whole number", other)),
    };
    match number.filter(|&number| number <= max) {
        Some(number) => Ok(Value::Unsigned(number)),
        None => Err(InputError::new(format!("must be a whole number from 0 to {max}."))),
    }
}

/// A number that was written with a fraction or an exponent and has none: `1.0`, `1e3`. Beyond 2^53 it may not be the one
/// that was meant.
fn whole(number: &Number) -> Option<f64> {
    number.as_f64().filter(|number| number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0)
}

pub(super) fn float(view: &View<'_>) -> Result<f64, InputError> {
    match view {
        View::Number(number) => {
            number.as_f64().ok_or_else(|| InputError::new("is out of the range of floating-point numbers."))
        }
        View::Text("NaN") => Ok(f64::NAN),
        View::Text("Infinity") => Ok(f64::INFINITY),
        View::Text("-Infinity") => Ok(f64::NEG_INFINITY),
        other => Err(expected("a number, \"NaN\", \"Infinity\" or \"-Infinity\"", other)),
    }
}

pub(super) fn enum_value(names: &[String], view: &View<'_>) -> Result<u32, InputError> {
    let (View::Name(text) | View::Text(text)) = view else {
        return Err(expected(&format!("one of {}", list_names(names)), view));
    };
    match names.iter().position(|name| name == text) {
        Some(at) => Ok(at as u32),
        None => {
            let text = format!("must be one of {}, and is {}.", list_names(names), shown(text));
            Err(InputError::new(text))
        }
    }
}

impl Decoder<'_> {
    pub(super) fn bytes(&self, view: &View<'_>, length: Option<u32>) -> Result<Value, InputError> {
        let View::Text(text) = view else { return Err(expected("a string in base64", view)) };
        self.charge(text.len())?;
        let url_safe = text.bytes().any(|byte| matches!(byte, b'-' | b'_'));
        let engine = if url_safe { &BASE64_URL } else { &BASE64 };
        let bytes = engine.decode(text).map_err(|_| InputError::new("is not base64 (RFC 4648)."))?;
        match length {
            Some(length) if bytes.len() != length as usize => {
                Err(InputError::new(format!("must be {length} bytes, and is {}.", bytes.len())))
            }
            _ => Ok(Value::Bytes(Bytes::from(bytes))),
        }
    }
}
