//! JSON whose objects have each member once: what stands twice is refused, for nobody knows which of them counts.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value as Json};

/// Reads `text`. Nesting is bounded by the parser, at 128.
///
/// # Errors
/// A sentence without its subject, such as `is not JSON: …` or `has the member "a" twice …`.
pub(crate) fn parse(text: &[u8]) -> Result<Json, String> {
    serde_json::from_slice(text).map(|Unique(json)| json).map_err(|error| match error.is_data() {
        true => format!("has {error}."),
        false => format!("is not JSON: {error}."),
    })
}

struct Unique(Json);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Tree).map(Unique)
    }
}

struct Tree;

impl<'de> Visitor<'de> for Tree {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Json, E> {
        Ok(Json::Number(number.into()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Json, E> {
        Ok(Json::Number(number.into()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Json, E> {
        Ok(Number::from_f64(number).map_or(Json::Null, Json::Number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Json, E> {
        Ok(Json::String(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Json, E> {
        Ok(Json::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
        let mut items = Vec::new();
        while let Some(Unique(item)) = seq.next_element()? {
            items.push(item);
        }
        Ok(Json::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut members = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            if members.contains_key(&name) {
                let shown = &name[..name.floor_char_boundary(64)];
                return Err(A::Error::custom(format!("the member {shown:?} twice")));
            }
            let Unique(value) = map.next_value()?;
            members.insert(name, value);
        }
        Ok(Json::Object(members))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn json_is_read_as_it_is() {
        let text = r#"{"a":[null,true,-1,18446744073709551615,1.5,"x\n"],"b":{"a":1},"":{}}"#;
        assert_eq!(parse(text.as_bytes()).unwrap(), serde_json::from_str::<Json>(text).unwrap());
        assert!(parse(b"{\"a\":").unwrap_err().starts_with("is not JSON: EOF"));
        assert!(parse(b"1 2").unwrap_err().starts_with("is not JSON: trailing"));
        assert!(parse(b"\"\xff\"").unwrap_err().starts_with("is not JSON: "));
        assert!(parse("[".repeat(100_000).as_bytes()).unwrap_err().contains("recursion limit exceeded"));
    }

    #[test]
    fn a_member_that_is_there_twice_is_refused_wherever_it_is() {
        for text in [r#"{"a":1,"a":1}"#, r#"[{"b":{"a":1,"c":2,"\u0061":3}}]"#] {
            let error = parse(text.as_bytes()).unwrap_err();
            assert!(error.starts_with("has the member \"a\" twice at line 1"), "{error}");
        }
    }
}
