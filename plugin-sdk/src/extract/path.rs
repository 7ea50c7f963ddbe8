use std::borrow::Cow;

use serde::de::{DeserializeOwned, Deserializer, Visitor};

use super::Extract;
use crate::call::Call;
use crate::text::{Error, Items, Lists, Pairs, Problem, Values};
use crate::{Context, Failure, Result};

/// The parameters of the pattern that matched: of the router's, or of the route in the manifest.
///
/// `T` is one value for a pattern with one parameter, a tuple in the order of the pattern, or a structure by
/// name. The values are percent-decoded. A `Vec` takes the segments of `{*rest}` apart.
///
/// ```
/// # use wharf_sdk as wharf;
/// use wharf::{Path, Router};
///
/// async fn one(Path(id): Path<u64>) -> String {
///     format!("note {id}\n")
/// }
///
/// async fn both(Path((user, id)): Path<(String, u64)>) -> String {
///     format!("note {id} of {user}\n")
/// }
///
/// #[derive(serde::Deserialize)]
/// struct File {
///     bucket: String,
///     rest: Vec<String>,
/// }
///
/// async fn file(Path(file): Path<File>) -> String {
///     format!("{} segments in {}\n", file.rest.len(), file.bucket)
/// }
///
/// #[wharf::router]
/// fn routes() -> Router {
///     Router::new()
///         .get("/notes/{id}", one)
///         .get("/users/{user}/notes/{id}", both)
///         .get("/files/{bucket}/{*rest}", file)
/// }
/// ```
///
/// A value that does not parse is a `bad_request` that names the parameter. A parameter that the pattern
/// does not have is `internal`: the client cannot mend it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned> Extract for Path<T> {
    async fn extract(call: &mut Call) -> Result<Self> {
        read(call.context()).map(Path)
    }
}

fn read<T: DeserializeOwned>(context: &Context) -> Result<T> {
    let params = context.params().map(|(name, value)| (Cow::Borrowed(name), Cow::Borrowed(value))).collect();
    T::deserialize(Params(params)).map_err(|error| match error {
        Error { key: Some(key), problem: Problem::Invalid(what) } if context.param(&key).is_some() => {
            Failure::bad_request(format!("the path's \"{key}\": {what}"))
        }
        error => {
            let names: Vec<_> = context.params().map(|(name, _)| name).collect();
            Failure::internal("internal error").with_details(format!(
                "Path<{}> does not fit the route {}, whose parameters are [{}]: {error}",
                std::any::type_name::<T>(),
                context.pattern(),
                names.join(", ")
            ))
        }
    })
}

/// Parameters by name, by order, or the only one.
struct Params<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'de> Params<'de> {
    fn named(self) -> Pairs<'de> {
        Pairs { pairs: self.0, lists: Lists::Slashes }
    }

    fn only(mut self) -> Result<(Cow<'de, str>, Values<'de>), Error> {
        match self.0.len() {
            1 => {
                let (name, value) = self.0.remove(0);
                Ok((name, Values { values: vec![value], lists: Lists::Slashes }))
            }
            n => Err(Error {
                key: None,
                problem: Problem::Invalid(format!("it takes one value, and the pattern has {n}")),
            }),
        }
    }

    fn in_order<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Error> {
        if len != self.0.len() {
            let what = format!("it takes {len} values, and the pattern has {}", self.0.len());
            return Err(Error { key: None, problem: Problem::Invalid(what) });
        }
        let (names, values): (Vec<_>, Vec<_>) = self.0.into_iter().unzip();
        let mut items = Items(values.into_iter());
        let left = |items: &Items<'_>| items.0.len();
        match visitor.visit_seq(&mut items) {
            Ok(value) => Ok(value),
            Err(Error { key: None, problem }) => {
                // What failed is what was taken last.
                let at = names.len() - left(&items);
                let key = at.checked_sub(1).map(|at| names[at].as_ref().into());
                Err(Error { key, problem })
            }
            Err(error) => Err(error),
        }
    }
}

macro_rules! only_value {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            let (name, values) = self.only()?;
            values.$method(visitor).map_err(|Error { key, problem }| Error {
                key: key.or(Some(name.as_ref().into())),
                problem,
            })
        })*
    };
}

impl<'de> Deserializer<'de> for Params<'de> {
    type Error = Error;

    only_value! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32
        deserialize_f64 deserialize_char deserialize_str deserialize_string deserialize_bytes
        deserialize_byte_buf deserialize_option deserialize_identifier
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.named().deserialize_any(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.named().deserialize_any(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.named().deserialize_any(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    /// Of one parameter, its segments; of several, all of them.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.0.len() == 1 {
            let (name, values) = self.only()?;
            return values.deserialize_seq(visitor).map_err(|Error { key, problem }| Error {
                key: key.or(Some(name.as_ref().into())),
                problem,
            });
        }
        let len = self.0.len();
        self.in_order(len, visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Error> {
        self.in_order(len, visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.in_order(len, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let (key, values) = self.only()?;
        values
            .deserialize_enum(name, variants, visitor)
            .map_err(|error| Error { key: Some(key.as_ref().into()), problem: error.problem })
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

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    fn path<T: DeserializeOwned>(params: &[(&str, &str)]) -> Result<T> {
        read(&Context::for_tests("/the/route", params))
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Note {
        user: String,
        id: u32,
    }

    #[test]
    fn parameters_are_read_by_name_by_order_or_alone() {
        let both = [("id", "7"), ("user", "ann")];
        assert_eq!(path::<Note>(&both).expect("by name"), Note { user: "ann".into(), id: 7 });
        assert_eq!(path::<(u32, String)>(&both).expect("by order"), (7, "ann".into()));
        assert_eq!(path::<u64>(&[("id", "7")]).expect("alone"), 7);
        assert_eq!(path::<(u64,)>(&[("id", "7")]).expect("alone"), (7,));
        assert_eq!(path::<String>(&[("id", "a b")]).expect("alone"), "a b");
        assert_eq!(path::<Vec<String>>(&[("rest", "a/b")]).expect("segments"), ["a", "b"]);
        let map = path::<std::collections::BTreeMap<String, String>>(&both).expect("a map");
        assert_eq!(map["user"], "ann");
    }

    #[test]
    fn a_value_that_does_not_parse_is_the_clients_mistake() {
        for failure in [
            path::<u32>(&[("id", "x")]).expect_err("no number"),
            path::<Note>(&[("user", "ann"), ("id", "x")]).expect_err("no number"),
            path::<(String, u32)>(&[("user", "ann"), ("id", "x")]).expect_err("no number"),
        ] {
            assert_eq!(failure.kind(), "bad_request");
            assert_eq!(failure.message(), "the path's \"id\": \"x\" is not a whole number");
        }
    }

    #[test]
    fn a_pattern_that_does_not_fit_is_the_plugins_mistake() {
        for failure in [
            path::<Note>(&[("id", "7")]).expect_err("no user"),
            path::<(u32, String)>(&[("id", "7")]).expect_err("one short"),
            path::<u32>(&[("id", "7"), ("user", "ann")]).expect_err("two"),
        ] {
            assert_eq!((failure.kind(), failure.message()), ("internal", "internal error"));
            let details = failure.details().expect("for the author");
            assert!(details.contains("/the/route") && details.contains("[id"), "{details}");
        }
    }
}
