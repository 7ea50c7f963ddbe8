//! Where the functions of a component are.

use std::sync::Arc;

use wasmtime::component::{Component, ComponentExportIndex, Func, Instance};
use wasmtime::{StoreContextMut, format_err};
use wharf_call::{Function, FunctionId, Schema};

use crate::schema::{FunctionPlan, OutputPlan, Plan};
use crate::state::State;
use crate::values::Types;

/// The functions that callers can call, looked up once for a generation.
pub(crate) struct ServiceExports {
    pub(crate) types: Types,
    plan: Arc<Plan>,
    indices: Vec<Vec<Found<ComponentExportIndex>>>,
}

/// A function, and those of the resource that it returns.
#[derive(Clone, Copy)]
pub(crate) struct Found<F> {
    pub(crate) call: F,
    pub(crate) next: Option<F>,
    pub(crate) push: Option<F>,
    pub(crate) finish: Option<F>,
}

impl ServiceExports {
    /// Finds every function of `plan`, which was read from the same component.
    ///
    /// # Errors
    /// One is not there.
    pub(crate) fn find(
        schema: Arc<Schema>,
        plan: Arc<Plan>,
        component: &Component,
    ) -> wasmtime::Result<Self> {
        let mut indices = Vec::with_capacity(plan.interfaces.len());
        for interface in &plan.interfaces {
            let find = |name: &str| {
                let within = component.get_export_index(None, interface.export.as_str());
                let found = within.and_then(|within| component.get_export_index(Some(&within), name));
                found.ok_or_else(|| format_err!("{} has no export {name}", interface.export))
            };
            let found = |function: &FunctionPlan| {
                let (next, push) = match &function.output {
                    OutputPlan::Resource(resource) => (resource.next.as_ref(), resource.push.as_ref()),
                    _ => (None, None),
                };
                Ok(Found {
                    call: find(&function.call.name)?,
                    next: next.map(|next| find(&next.name)).transpose()?,
                    push: push.map(|push| find(&push.push.name)).transpose()?,
                    finish: push.map(|push| find(&push.finish.name)).transpose()?,
                })
            };
            indices.push(interface.functions.iter().map(found).collect::<wasmtime::Result<_>>()?);
        }
        Ok(ServiceExports { types: Types::new(schema), plan, indices })
    }

    pub(crate) fn schema(&self) -> &Arc<Schema> {
        &self.types.schema
    }

    /// The function at `id` and how it is called, if there is one.
    pub(crate) fn function(&self, id: FunctionId) -> Option<(&Function, &FunctionPlan)> {
        let (interface, function) = (id.interface as usize, id.function as usize);
        let described = self.types.schema.interfaces.get(interface)?.functions.get(function)?;
        Some((described, self.plan.interfaces.get(interface)?.functions.get(function)?))
    }

    /// The function at `id` in one instance.
    pub(crate) fn load(
        &self,
        id: FunctionId,
        mut store: StoreContextMut<'_, State>,
        instance: &Instance,
    ) -> wasmtime::Result<Found<Func>> {
        let functions = self.indices.get(id.interface as usize);
        let found = functions.and_then(|functions| functions.get(id.function as usize));
        let found = found.ok_or_else(|| format_err!("no such function"))?;
        let mut load = |index: &ComponentExportIndex| {
            instance.get_func(&mut store, index).ok_or_else(|| format_err!("an export is no function"))
        };
        Ok(Found {
            call: load(&found.call)?,
            next: found.next.as_ref().map(&mut load).transpose()?,
            push: found.push.as_ref().map(&mut load).transpose()?,
            finish: found.finish.as_ref().map(&mut load).transpose()?,
        })
    }
}
