//! Parts of a call by themselves, for `benches/engine`: nothing in the host uses them.

use std::sync::Arc;

use wharf_call::{Failure, Invocation, Kind, Schema, Type, Value};

use crate::catalog::Plugin;
use crate::instance::Hook;
use crate::lease::Lease;
use crate::values::Types;

/// The conversion of typed values, without a guest.
#[doc(hidden)]
pub struct Conversion(Types);

impl Conversion {
    /// For values of the types of this schema.
    pub fn new(schema: Arc<Schema>) -> Self {
        Conversion(Types::new(schema))
    }

    /// To what wasmtime takes and back again.
    pub fn there_and_back(&self, ty: &Type, value: Value) -> Option<Value> {
        self.0.lift(ty, self.0.lower(ty, value)?)
    }
}

impl Plugin {
    /// Makes an instance of the serving generation and drops it; in between it is started, if wanted.
    ///
    /// # Errors
    /// What instantiating or `lifecycle.start` came to.
    #[doc(hidden)]
    pub async fn probe_instance(&self, start: bool) -> Result<(), Failure> {
        let generation = self.serving();
        let mut instance = generation.instance().await?;
        let started = if start { instance.hook(Hook::Start).await } else { Ok(()) };
        drop(instance);
        started.map_err(|error| Failure::new(Kind::GuestFailed, "start").with_private(error.describe()))
    }

    /// Borrows an instance for no call, and gives it back.
    ///
    /// # Errors
    /// As of a call, when there is none.
    #[doc(hidden)]
    pub async fn probe_lease(&self, invocation: &Invocation) -> Result<(), Failure> {
        Lease::take(&self.serving(), invocation).await?.end_well();
        Ok(())
    }
}
