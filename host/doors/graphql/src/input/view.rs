//! What stands in a document and in its variables, seen alike.

use std::collections::HashMap;

use async_graphql::Name;
use async_graphql_value::Value as Literal;
use serde_json::{Map, Number, Value as Json};

use super::Decoder;
use super::error::{InputError, expected};

/// The variables of an operation: those that were given, and the defaults of those that were not.
#[derive(Clone, Copy)]
pub(crate) struct Variables<'a> {
    pub(crate) given: &'a Map<String, Json>,
    pub(crate) defaults: &'a HashMap<Name, Literal>,
}

/// What stands somewhere: in the document, or in a variable.
#[derive(Clone, Copy)]
pub(crate) enum Input<'a> {
    Literal(&'a Literal),
    Json(&'a Json),
}

pub(super) enum View<'a> {
    Missing,
    Null,
    Bool(bool),
    Number(&'a Number),
    Text(&'a str),
    Name(&'a str),
    List(Vec<Input<'a>>),
    Object(Vec<(&'a str, Input<'a>)>),
}

impl View<'_> {
    pub(super) fn what(&self) -> &'static str {
        match self {
            View::Missing => "nothing",
            View::Null => "null",
            View::Bool(_) => "a boolean",
            View::Number(_) => "a number",
            View::Text(_) => "a string",
            View::Name(_) => "a name",
            View::List(_) => "a list",
            View::Object(_) => "an object",
        }
    }
}

impl<'a> Decoder<'a> {
    /// Whether something stands there: a variable without a value is as if nothing did.
    pub(crate) fn is_given(&self, input: Input<'a>) -> bool {
        !matches!(self.view(input), View::Missing)
    }

    /// The boolean of `@skip` and `@include`.
    pub(crate) fn condition(&self, input: Input<'a>) -> Result<bool, InputError> {
        match self.view(input) {
            View::Bool(value) => Ok(value),
            other => Err(expected("a boolean", &other)),
        }
    }

    pub(super) fn view(&self, input: Input<'a>) -> View<'a> {
        match input {
            Input::Literal(Literal::Variable(name)) => match self.variables.given.get(name.as_str()) {
                Some(json) => self.view(Input::Json(json)),
                None => match self.variables.defaults.get(name) {
                    // A default has no variables in it.
                    Some(literal) => self.view(Input::Literal(literal)),
                    None => View::Missing,
                },
            },
            Input::Literal(Literal::Null) | Input::Json(Json::Null) => View::Null,
            Input::Literal(Literal::Boolean(value)) | Input::Json(Json::Bool(value)) => View::Bool(*value),
            Input::Literal(Literal::Number(number)) | Input::Json(Json::Number(number)) => {
                View::Number(number)
            }
            Input::Literal(Literal::String(text)) | Input::Json(Json::String(text)) => View::Text(text),
            Input::Literal(Literal::Enum(name)) => View::Name(name),
            Input::Literal(Literal::List(items)) => View::List(items.iter().map(Input::Literal).collect()),
            Input::Json(Json::Array(items)) => View::List(items.iter().map(Input::Json).collect()),
            Input::Literal(Literal::Object(fields)) => View::Object(
                fields.iter().map(|(name, value)| (name.as_str(), Input::Literal(value))).collect(),
            ),
            Input::Json(Json::Object(fields)) => {
                View::Object(fields.iter().map(|(name, value)| (name.as_str(), Input::Json(value))).collect())
            }
            Input::Literal(Literal::Binary(_)) => View::Null,
        }
    }
}
