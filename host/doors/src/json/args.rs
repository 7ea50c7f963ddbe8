//! The parameters of a function, by name or in their order.

use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use wharf_call::{FunctionId, Type, Value};

use super::containers::{complete, members};
use super::context::Context;
use super::decode::Seed;
use super::error::Segment;
use super::{JsonError, Limits, Names, Plan};

/// The arguments of one call, while they are collected.
pub struct Args<'p> {
    plan: &'p Plan,
    names: &'p Names,
    types: Vec<Type>,
    slots: Vec<Option<Value>>,
    limits: Limits,
}

impl<'p> Args<'p> {
    /// None yet, for the function at `id`, which is of the plan's schema.
    pub fn new(plan: &'p Plan, id: FunctionId, limits: Limits) -> Self {
        let (_, function) = plan.schema().function(id);
        let types: Vec<_> = function.params.iter().map(|param| param.ty.clone()).collect();
        Args { plan, names: plan.params(id), slots: vec![None; types.len()], types, limits }
    }

    /// Gives the parameter at `position` its value.
    pub fn set(&mut self, position: usize, value: Value) {
        self.slots[position] = Some(value);
    }

    /// The whole text is the value of the parameter at `position`.
    ///
    /// # Errors
    /// As of [`super::decode`].
    pub fn decode_one(&mut self, position: usize, json: &[u8]) -> Result<(), JsonError> {
        self.slots[position] = Some(super::decode(self.plan, &self.types[position], json, self.limits)?);
        Ok(())
    }

    /// The value of the parameter at `position` from a path, a query or a header, where it was found as `texts`: several for a
    /// list, and JSON for what no text stands for. `name` is how the client knows it.
    ///
    /// # Errors
    /// As of [`super::parse_texts`] and [`super::decode`].
    pub fn set_texts(&mut self, position: usize, name: &str, texts: &[String]) -> Result<(), JsonError> {
        let ty = &self.types[position];
        let value = match texts {
            [json] if !super::is_textual(self.plan, ty) => {
                let decoded = super::decode(self.plan, ty, json.as_bytes(), self.limits);
                decoded.map_err(|error| {
                    let dot = if error.path.is_empty() || error.path.starts_with('[') { "" } else { "." };
                    JsonError { path: format!("{name}{dot}{}", error.path), text: error.text }
                })?
            }
            texts => super::parse_texts(self.plan, ty, name, texts)?,
        };
        self.slots[position] = Some(value);
        Ok(())
    }

    /// Takes parameters from an object with a member for each or, if `positional`, also from an array in their order. A
    /// parameter that has its value already is not taken a second time.
    ///
    /// # Errors
    /// As of [`super::decode`], with the parameter's name at the beginning of the path.
    pub fn decode(&mut self, json: &[u8], positional: bool) -> Result<(), JsonError> {
        let mut context = Context::new(self.plan, self.limits);
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        let all = All { context: &mut context, args: self, positional };
        let decoded = all.deserialize(&mut deserializer).and_then(|()| deserializer.end());
        decoded.map_err(|error| context.error(&error))
    }

    /// A value for each parameter, in their order.
    ///
    /// # Errors
    /// When one is missing that is no option.
    pub fn finish(self) -> Result<Vec<Value>, JsonError> {
        let mut context = Context::new(self.plan, self.limits);
        let values: Result<_, serde_json::Error> =
            complete(&mut context, self.names, &self.types, self.slots);
        values.map_err(|error| context.error(&error))
    }
}

/// The parameters of a call in one text: an object, nothing at all where none are needed, or, if `positional`, an array.
///
/// # Errors
/// As of [`Args::decode`] and [`Args::finish`].
pub fn decode_args(
    plan: &Plan,
    id: FunctionId,
    json: &[u8],
    positional: bool,
    limits: Limits,
) -> Result<Vec<Value>, JsonError> {
    let mut args = Args::new(plan, id, limits);
    if !json.trim_ascii().is_empty() {
        args.decode(json, positional)?;
    }
    args.finish()
}

struct All<'c, 'p, 'a> {
    context: &'c mut Context<'p>,
    args: &'c mut Args<'a>,
    positional: bool,
}

impl All<'_, '_, '_> {
    fn wrong<E: de::Error>(self, got: &str) -> E {
        let expected = if self.positional { "an object or an array" } else { "an object" };
        self.context.fail(format!("expected {expected} with the parameters, got {got}"))
    }
}

impl<'de> DeserializeSeed<'de> for All<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for All<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the parameters")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        members(self.context, &mut map, self.args.names, &self.args.types, &mut self.args.slots)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        if !self.positional {
            return Err(self.wrong("an array"));
        }
        let count = self.args.types.len();
        for at in 0.. {
            // A value for a parameter that does not exist is refused before it is read.
            if at == count {
                if seq.next_element::<de::IgnoredAny>()?.is_some() {
                    return Err(self.context.fail(format!("there are {count} parameters, and more values")));
                }
                break;
            }
            let next = seq.next_element_seed(Seed { context: self.context, ty: &self.args.types[at] });
            let segment = || Segment::Member(self.args.names.get(at).to_owned());
            match self.context.at(segment, next)? {
                Some(value) => self.args.slots[at] = Some(value),
                None => break,
            }
        }
        Ok(())
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<(), E> {
        Err(self.wrong(if value { "true" } else { "false" }))
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<(), E> {
        Err(self.wrong("a number"))
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<(), E> {
        Err(self.wrong("a number"))
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<(), E> {
        Err(self.wrong("a number"))
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<(), E> {
        Err(self.wrong("a string"))
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Err(self.wrong("null"))
    }
}
