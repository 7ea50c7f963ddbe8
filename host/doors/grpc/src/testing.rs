//! For tests that speak to a whole host: the messages of one plugin, as its clients write and read them.

use wharf_call::{Failure, Schema, Value};

use crate::compile::compile;
use crate::encode::{encode, encode_fields};
use crate::frame;
use crate::merge::merge;
use crate::plan::Plan;

/// What lies on the wire for each function of one interface, counted in its order.
pub struct Messages(Plan);

impl Messages {
    /// Of the only interface of `schema`.
    ///
    /// # Errors
    /// What of the schema cannot be served by gRPC.
    pub fn new(schema: &Schema) -> Result<Self, Vec<String>> {
        compile(&merge(&[("plugin", schema)])?.schema).map(Messages)
    }

    /// The path that calls the function.
    pub fn path(&self, function: usize) -> &str {
        &self.0.methods[function].path
    }

    /// The body of a call that streams nothing.
    ///
    /// # Errors
    /// Arguments that are not of the parameters' types.
    pub fn request(&self, function: usize, args: &[Value]) -> Result<Vec<u8>, Failure> {
        let fields = &self.0.methods[function].request;
        message(|out| encode_fields(&self.0, fields, args, out))
    }

    /// The body of an answer that streams nothing.
    ///
    /// # Errors
    /// A value that is not of the result's type.
    pub fn answer(&self, function: usize, value: &Value) -> Result<Vec<u8>, Failure> {
        let field = self.0.methods[function].result.as_ref();
        message(|out| encode(&self.0, field, Some(value), usize::MAX, out))
    }
}

fn message(write: impl FnOnce(&mut Vec<u8>) -> Result<(), Failure>) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    frame::append(&mut body, None, write)?;
    Ok(body)
}
