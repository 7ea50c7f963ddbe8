//! Numbers as GraphQL writes them.

use serde_json::Number;
use wharf_call::Value;
use wharf_doors::json::is_canonical;

use super::{InputError, View, expected};

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
