//! Objects and lists.

use std::collections::HashSet;

use wharf_call::{Field, Type, Value};
use wharf_doors::json::key_text;

use super::Decoder;
use super::error::{InputError, expected, list_names, shown};
use super::scalars::enum_value;
use super::view::{Input, View};
use crate::model::Plugin;

impl<'a> Decoder<'a> {
    pub(super) fn record(
        &self,
        plugin: &Plugin,
        fields: &[Field],
        names: &[String],
        input: Option<Input<'a>>,
    ) -> Result<Value, InputError> {
        let given = self.object(input, names)?;
        let values = fields.iter().zip(names).zip(given);
        let values = values.map(|((field, name), input)| {
            self.decode(plugin, &field.ty, input).map_err(|error| error.within(name))
        });
        values.collect::<Result<_, _>>().map(Value::Record)
    }

    /// The fields of an object in the order of `names`; none of them is unknown.
    pub(super) fn object(
        &self,
        input: Option<Input<'a>>,
        names: &[String],
    ) -> Result<Vec<Option<Input<'a>>>, InputError> {
        let view = input.map_or(View::Missing, |input| self.view(input));
        let View::Object(fields) = view else { return Err(expected("an object", &view)) };
        let mut given = vec![None; names.len()];
        for (name, value) in fields {
            match names.iter().position(|known| known == name) {
                Some(at) => given[at] = Some(value).filter(|&value| self.is_given(value)),
                None => {
                    let text = format!("is not known here; there are {}.", list_names(names));
                    return Err(InputError::new(text).within(&shown(name)));
                }
            }
        }
        Ok(given)
    }

    /// The case of a OneOf input object, and its payload.
    pub(super) fn case<'t>(
        &self,
        plugin: &Plugin,
        names: &[String],
        payload: impl Fn(usize) -> Option<&'t Type>,
        input: Option<Input<'a>>,
    ) -> Result<(usize, Option<Box<Value>>), InputError> {
        let given = self.object(input, names)?;
        let mut set = given.iter().enumerate().filter_map(|(case, value)| value.map(|value| (case, value)));
        let (Some((case, value)), None) = (set.next(), set.next()) else {
            let text = format!("must have exactly one of {}.", list_names(names));
            return Err(InputError::new(text));
        };
        let payload = match payload(case) {
            Some(ty) => {
                Some(Box::new(self.payload(plugin, ty, Some(value)).map_err(|e| e.within(&names[case]))?))
            }
            None => match self.view(value) {
                View::Bool(true) => None,
                _ => {
                    return Err(InputError::new("must be true: this case has no value.").within(&names[case]));
                }
            },
        };
        Ok((case, payload))
    }

    /// A single value is taken as a list of one, as GraphQL has it (section 3.11).
    fn items(&self, input: Option<Input<'a>>, view: View<'a>) -> Vec<Input<'a>> {
        match view {
            View::List(items) => items,
            _ => input.into_iter().collect(),
        }
    }

    pub(super) fn list(
        &self,
        plugin: &Plugin,
        item: &Type,
        input: Option<Input<'a>>,
        view: View<'a>,
    ) -> Result<Vec<Value>, InputError> {
        let items = self.items(input, view).into_iter().enumerate();
        items.map(|(at, of)| self.decode(plugin, item, Some(of)).map_err(|error| error.at(at))).collect()
    }

    pub(super) fn map(
        &self,
        plugin: &Plugin,
        (ty, key, value): (&Type, &Type, &Type),
        input: Option<Input<'a>>,
        view: View<'a>,
    ) -> Result<Value, InputError> {
        let members = &plugin.names.wrapper(ty).members;
        let mut known = HashSet::new();
        let mut entry = |entry: Input<'a>| {
            let fields = self.object(Some(entry), members)?;
            let key = self.decode(plugin, key, fields[0]).map_err(|error| error.within("key"))?;
            let value = self.decode(plugin, value, fields[1]).map_err(|error| error.within("value"))?;
            let text = key_text(&key);
            self.charge(text.len())?;
            match known.insert(text) {
                true => Ok((key, value)),
                false => Err(InputError::new("is there twice.").within("key")),
            }
        };
        let entries = self.items(input, view).into_iter().enumerate();
        let entries = entries.map(|(at, of)| entry(of).map_err(|error| error.at(at)));
        entries.collect::<Result<_, _>>().map(Value::Map)
    }

    pub(super) fn flags(
        &self,
        names: &[String],
        input: Option<Input<'a>>,
        view: View<'a>,
    ) -> Result<Value, InputError> {
        let mut set = 0;
        for (at, item) in self.items(input, view).into_iter().enumerate() {
            let flag = enum_value(names, &self.view(item)).map_err(|error| error.at(at))?;
            if set & 1 << flag != 0 {
                return Err(InputError::new("is there twice.").at(at));
            }
            set |= 1 << flag;
        }
        Ok(Value::Flags(set))
    }
}
