//! From texts under names to a type: what path parameters, queries, forms and configuration have in common.
//!
//! A value is parsed as what the type asks for, so `"7"` becomes a `u32`, an `f64` or a `String`. An error
//! names the key, and says what was wrong with the text in words that a client understands.

use std::borrow::Cow;
use std::fmt;

use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor,
    value::{BorrowedStrDeserializer, StrDeserializer},
};

/// How much of a wrong text is repeated in a message.
const QUOTED_CHARS_MAX: usize = 60;

/// How one text becomes a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lists {
    /// Not at all: a list is a key that occurs several times.
    Repeated,
    /// At commas: values of a configuration.
    Commas,
    /// At slashes: the parameter `{*rest}` of a path.
    Slashes,
}

/// What is wrong with which key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Error {
    /// `None` when it is not about one key.
    pub(crate) key: Option<Box<str>>,
    pub(crate) problem: Problem,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// The key is not there.
    Missing,
    /// What it says completes a sentence that begins with the key.
    Invalid(String),
}

impl Error {
    fn invalid(what: impl fmt::Display) -> Self {
        Error { key: None, problem: Problem::Invalid(what.to_string()) }
    }

    fn at(mut self, key: &str) -> Self {
        self.key.get_or_insert_with(|| key.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.key, &self.problem) {
            (Some(key), Problem::Missing) => write!(f, "\"{key}\" is missing"),
            (Some(key), Problem::Invalid(what)) => write!(f, "\"{key}\": {what}"),
            (None, Problem::Missing) => f.write_str("a value is missing"),
            (None, Problem::Invalid(what)) => f.write_str(what),
        }
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Error::invalid(message)
    }

    fn missing_field(field: &'static str) -> Self {
        Error { key: Some(field.into()), problem: Problem::Missing }
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Error::invalid(format_args!("is not known; known are {}", expected.join(", "))).at(field)
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Error::invalid(format_args!("{} is not one of {}", quoted(variant), expected.join(", ")))
    }

    fn invalid_length(len: usize, expected: &dyn de::Expected) -> Self {
        Error::invalid(format_args!("has {len} values, and needs {expected}"))
    }
}

fn quoted(text: &str) -> String {
    let mut shown: String = text.chars().take(QUOTED_CHARS_MAX).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("{shown:?}")
}

/// The texts, in their order; a key may occur more than once.
pub(crate) struct Pairs<'a> {
    pub(crate) pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    pub(crate) lists: Lists,
}

/// Pairs of a query or a form: `a=1&b=2`, percent-encoded, with `+` for a space (WHATWG URL,
/// application/x-www-form-urlencoded parsing).
pub(crate) fn url_encoded(text: &str) -> Pairs<'_> {
    let pairs = text.split('&').filter(|part| !part.is_empty()).map(|part| {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        (url_decode(key), url_decode(value))
    });
    Pairs { pairs: pairs.collect(), lists: Lists::Repeated }
}

fn url_decode(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let bytes = percent_decode(&text.replace('+', " "));
    match String::from_utf8(bytes) {
        Ok(text) => Cow::Owned(text),
        Err(error) => Cow::Owned(String::from_utf8_lossy(error.as_bytes()).into_owned()),
    }
}

/// A `%` that is not followed by two hex digits stands for itself.
pub(crate) fn percent_decode(text: &str) -> Vec<u8> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], digit(bytes.get(at + 1)), digit(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                out.push((high << 4 | low) as u8);
                at += 3;
            }
            (byte, ..) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}

/// `x-www-form-urlencoded` of a type with fields, the other way round: for queries that are sent.
#[cfg(any(feature = "client", not(target_family = "wasm")))]
pub(crate) fn url_encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'*' | b'-' | b'.' | b'_' => out.push(byte.into()),
            b' ' => out.push('+'),
            _ => {
                const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
                out.push('%');
                out.push(DIGITS[usize::from(byte >> 4)].into());
                out.push(DIGITS[usize::from(byte & 15)].into());
            }
        }
    }
}

impl<'de> Deserializer<'de> for Pairs<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_map(Fields { rest: self.pairs, lists: self.lists, current: None })
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    /// A list of pairs.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let pairs = self.pairs.into_iter().map(|(key, value)| (key.into_owned(), value.into_owned()));
        de::value::MapDeserializer::new(pairs).deserialize_seq(visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        tuple tuple_struct map struct enum identifier ignored_any
    }
}

struct Fields<'de> {
    rest: Vec<(Cow<'de, str>, Cow<'de, str>)>,
    lists: Lists,
    current: Option<(Cow<'de, str>, Vec<Cow<'de, str>>)>,
}

impl<'de> MapAccess<'de> for Fields<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        // Few pairs at most: taking from the front costs less than an index.
        let (key, first) = self.rest.remove(0);
        let mut values = vec![first];
        let mut at = 0;
        while at < self.rest.len() {
            if self.rest[at].0 == key {
                values.push(self.rest.remove(at).1);
            } else {
                at += 1;
            }
        }
        let (key, _) = self.current.insert((key, values));
        match key {
            Cow::Borrowed(key) => seed.deserialize(BorrowedStrDeserializer::new(key)),
            Cow::Owned(key) => seed.deserialize(StrDeserializer::new(key)),
        }
        .map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let Some((key, values)) = self.current.take() else {
            return Err(Error::invalid("a value was asked for before its key"));
        };
        seed.deserialize(Values { values, lists: self.lists }).map_err(|error| error.at(&key))
    }
}

/// What one key has.
pub(crate) struct Values<'de> {
    pub(crate) values: Vec<Cow<'de, str>>,
    pub(crate) lists: Lists,
}

impl<'de> Values<'de> {
    fn one(mut self) -> Result<Value<'de>, Error> {
        match self.values.len() {
            1 => Ok(Value(self.values.remove(0))),
            n => Err(Error::invalid(format_args!("is given {n} times, and takes one value"))),
        }
    }

    fn all(self) -> Vec<Cow<'de, str>> {
        let split = match self.lists {
            Lists::Repeated => return self.values,
            Lists::Commas => ',',
            Lists::Slashes => '/',
        };
        let parts = self.values.iter().flat_map(|text| text.split(split).map(str::trim));
        let parts: Vec<Cow<'de, str>> = parts.map(|part| Cow::Owned(part.to_owned())).collect();
        // Nothing is the empty list, not a list of one empty text.
        if parts.len() == 1 && parts[0].is_empty() { Vec::new() } else { parts }
    }
}

macro_rules! one_value {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            self.one()?.$method(visitor)
        })*
    };
}

impl<'de> Deserializer<'de> for Values<'de> {
    type Error = Error;

    one_value! {
        deserialize_any deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_i128 deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64 deserialize_char deserialize_str deserialize_string
        deserialize_bytes deserialize_byte_buf deserialize_unit deserialize_map deserialize_identifier
    }

    /// An empty text is no value: what a form sends for a field that was left out.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.values.iter().all(|value| value.is_empty()) {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.one()?.deserialize_unit_struct(name, visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let mut items = Items(self.all().into_iter());
        let list = visitor.visit_seq(&mut items)?;
        match items.0.len() {
            0 => Ok(list),
            n => Err(Error::invalid(format_args!("has {n} values too many"))),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.one()?.deserialize_struct(name, fields, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.one()?.deserialize_enum(name, variants, visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }
}

pub(crate) struct Items<'de>(pub(crate) std::vec::IntoIter<Cow<'de, str>>);

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        self.0.next().map(|text| seed.deserialize(Value(text))).transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

/// One text.
pub(crate) struct Value<'de>(pub(crate) Cow<'de, str>);

impl Value<'_> {
    fn whole_number<T: std::str::FromStr<Err = std::num::ParseIntError>>(&self) -> Result<T, Error> {
        self.0.parse().map_err(|error: std::num::ParseIntError| {
            use std::num::IntErrorKind;
            let what = match error.kind() {
                IntErrorKind::PosOverflow => "is too large",
                IntErrorKind::NegOverflow => "is too small",
                _ if self.0.starts_with('-') && self.0[1..].parse::<u64>().is_ok() => "is below zero",
                _ => "is not a whole number",
            };
            Error::invalid(format_args!("{} {what}", quoted(&self.0)))
        })
    }

    fn number<T: std::str::FromStr>(&self) -> Result<T, Error> {
        self.0.parse().map_err(|_| Error::invalid(format_args!("{} is not a number", quoted(&self.0))))
    }
}

macro_rules! parsed {
    ($($method:ident $visit:ident $parse:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            visitor.$visit(self.$parse()?)
        })*
    };
}

impl<'de> Deserializer<'de> for Value<'de> {
    type Error = Error;

    parsed! {
        deserialize_i8 visit_i8 whole_number
        deserialize_i16 visit_i16 whole_number
        deserialize_i32 visit_i32 whole_number
        deserialize_i64 visit_i64 whole_number
        deserialize_i128 visit_i128 whole_number
        deserialize_u8 visit_u8 whole_number
        deserialize_u16 visit_u16 whole_number
        deserialize_u32 visit_u32 whole_number
        deserialize_u64 visit_u64 whole_number
        deserialize_u128 visit_u128 whole_number
        deserialize_f32 visit_f32 number
        deserialize_f64 visit_f64 number
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
            Cow::Owned(text) => visitor.visit_string(text),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &*self.0 {
            "true" => visitor.visit_bool(true),
            "false" => visitor.visit_bool(false),
            other => Err(Error::invalid(format_args!("{} is not true or false", quoted(other)))),
        }
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let mut chars = self.0.chars();
        match (chars.next(), chars.next()) {
            (Some(one), None) => visitor.visit_char(one),
            _ => Err(Error::invalid(format_args!("{} is not one character", quoted(&self.0)))),
        }
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_bytes(self.0.as_bytes())
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_byte_buf(self.0.into_owned().into_bytes())
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.0.is_empty() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.0.is_empty() {
            visitor.visit_unit()
        } else {
            Err(Error::invalid(format_args!("{} should be empty", quoted(&self.0))))
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_enum(Name(&self.0))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        str string seq tuple tuple_struct map struct identifier
    }
}

/// The name of a case without content: no other fits into a text.
struct Name<'a>(&'a str);

impl<'de> EnumAccess<'de> for Name<'_> {
    type Error = Error;
    type Variant = Bare;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Bare), Error> {
        Ok((seed.deserialize(StrDeserializer::new(self.0))?, Bare))
    }
}

struct Bare;

impl Bare {
    fn refused<T>() -> Result<T, Error> {
        Err(Error::invalid("a case with content does not fit into a text"))
    }
}

impl<'de> VariantAccess<'de> for Bare {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, Error> {
        Self::refused()
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Error> {
        Self::refused()
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, Error> {
        Self::refused()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Order {
        OldestFirst,
        NewestFirst,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Id(u64);

    #[derive(Debug, PartialEq, Deserialize)]
    struct Search {
        q: String,
        page: Option<u32>,
        #[serde(default)]
        tag: Vec<String>,
        order: Option<Order>,
        after: Option<Id>,
    }

    fn search(query: &str) -> Result<Search, Error> {
        Search::deserialize(url_encoded(query))
    }

    #[test]
    fn texts_become_what_the_type_asks_for() {
        let found = search("q=caf%C3%A9+au+lait&page=2&tag=a&tag=b&order=newest_first&after=9&other=1");
        assert_eq!(
            found.expect("valid"),
            Search {
                q: "café au lait".into(),
                page: Some(2),
                tag: vec!["a".into(), "b".into()],
                order: Some(Order::NewestFirst),
                after: Some(Id(9)),
            }
        );
        let least = search("q=&page=&tag=").expect("valid");
        assert_eq!(
            least,
            Search { q: String::new(), page: None, tag: vec![String::new()], order: None, after: None }
        );
    }

    #[test]
    fn an_error_names_the_key_and_what_is_wrong() {
        for (query, says) in [
            ("", "\"q\" is missing"),
            ("q=a&page=x", "\"page\": \"x\" is not a whole number"),
            ("q=a&page=-1", "\"page\": \"-1\" is below zero"),
            ("q=a&page=99999999999", "\"page\": \"99999999999\" is too large"),
            ("q=a&page=1&page=2", "\"page\": is given 2 times, and takes one value"),
            ("q=a&order=best", "\"order\": \"best\" is not one of oldest_first, newest_first"),
        ] {
            assert_eq!(search(query).expect_err("invalid").to_string(), says, "{query}");
        }
    }

    #[test]
    fn lists_are_split_where_their_source_says() {
        #[derive(Debug, PartialEq, Deserialize)]
        struct Lists3 {
            list: Vec<u8>,
        }
        let read = |text: &'static str, lists| {
            Lists3::deserialize(Pairs { pairs: vec![("list".into(), text.into())], lists })
        };
        assert_eq!(read("1, 2,3", Lists::Commas).expect("valid").list, [1, 2, 3]);
        assert_eq!(read("1/2", Lists::Slashes).expect("valid").list, [1, 2]);
        assert!(read("", Lists::Commas).expect("valid").list.is_empty());
        let error = read("1,x", Lists::Commas).expect_err("x is no number");
        assert_eq!(error.to_string(), "\"list\": \"x\" is not a whole number");
    }

    #[test]
    fn a_percent_sign_that_begins_nothing_stands_for_itself() {
        assert_eq!(percent_decode("100%"), b"100%");
        assert_eq!(percent_decode("%4"), b"%4");
        assert_eq!(percent_decode("%zz%41"), b"%zzA");
        assert_eq!(percent_decode("%%41"), b"%A");
    }

    #[test]
    fn what_is_encoded_is_decoded_again() {
        let mut out = String::new();
        url_encode("a b&c=ü+%/?", &mut out);
        assert_eq!(out, "a+b%26c%3D%C3%BC%2B%25%2F%3F");
        assert_eq!(url_decode(&out), "a b&c=ü+%/?");
    }

    #[test]
    fn a_long_text_is_cut_in_messages() {
        let error = search(&format!("q=a&page={}", "x".repeat(500))).expect_err("no number").to_string();
        assert!(error.contains('…') && error.len() < 120, "{error}");
    }
}
