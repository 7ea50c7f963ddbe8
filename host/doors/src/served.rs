//! A service with what the JSON doors have prepared for it.

use std::sync::Arc;

use wharf_call::{
    Call, Door, Failure, Function, FunctionId, Interface, Invocation, Memory, Reply, Service, Value,
    ValueStream,
};

use crate::call;
use crate::json::{Limits, Plan, encode};
use crate::names::path_package;

/// What the JSON doors are given by the host.
#[derive(Clone)]
pub struct DoorConfig {
    /// Pays for bodies that arrive in pieces.
    pub memory: Arc<dyn Memory>,
    /// The most bytes of a request's body or, where lines are streamed, of one line. Default 1 MiB.
    pub body_bytes_max: u64,
    /// The most that the values of one request take in memory, in bytes. Default 4 MiB.
    pub value_bytes_max: u64,
    /// Functions that change nothing beside those that the WIT marks with `@query`: plugin, and `INTERFACE.FUNCTION`. REST
    /// answers GET for them. Default none.
    pub queries: Vec<(String, String)>,
    /// Whether REST serves functions under their own names, and not only under routes of the manifest. Default true.
    pub rpc: bool,
}

impl DoorConfig {
    /// The defaults.
    pub fn new(memory: Arc<dyn Memory>) -> Self {
        DoorConfig {
            memory,
            body_bytes_max: 1 << 20,
            value_bytes_max: 4 << 20,
            queries: Vec::new(),
            rpc: true,
        }
    }

    pub(crate) fn limits(&self) -> Limits {
        Limits { value_bytes_max: self.value_bytes_max }
    }

    /// Whether `target` changes nothing, as its WIT or the manifest has it.
    pub(crate) fn is_query(&self, target: &Target) -> bool {
        let is = |(plugin, function): &(String, String)| {
            let (interface, name) = function.rsplit_once('.').unwrap_or_default();
            let has = target.interface();
            plugin == target.service.plugin()
                && name == target.function().name
                && (interface == has.name || interface == has.full_name())
        };
        target.function().is_query() || self.queries.iter().any(is)
    }
}

/// One function of one service.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) service: Arc<dyn Service>,
    pub(crate) plan: Arc<Plan>,
    pub(crate) id: FunctionId,
}

impl Target {
    /// Every function of `services`, those of one service with one plan.
    pub(crate) fn all(services: &[Arc<dyn Service>]) -> Vec<Target> {
        let each = services.iter().flat_map(|service| {
            let plan = Arc::new(Plan::new(service.schema()));
            let ids: Vec<_> = service.schema().functions().map(|(id, ..)| id).collect();
            ids.into_iter().map(move |id| Target { service: service.clone(), plan: plan.clone(), id })
        });
        each.collect()
    }

    pub(crate) fn interface(&self) -> &Interface {
        self.plan.schema().function(self.id).0
    }

    pub(crate) fn function(&self) -> &Function {
        self.plan.schema().function(self.id).1
    }

    pub(crate) async fn invoke(
        &self,
        args: Vec<Value>,
        input: Option<ValueStream>,
        door: Door,
        invocation: Invocation,
    ) -> Result<Reply, Failure> {
        let call = Call { function: self.id, args, input, door };
        call::invoke(&*self.service, call, invocation).await
    }

    /// The JSON of the error that the contract declares, if `failure` has one.
    pub(crate) fn declared(&self, failure: &Failure) -> Option<Vec<u8>> {
        let (ty, error) = self.function().error.as_ref().zip(failure.error())?;
        let mut json = Vec::new();
        encode(&self.plan, ty, error, &mut json);
        Some(json)
    }

    /// `demo:users@1/accounts`.
    pub(crate) fn path(&self) -> String {
        let interface = self.interface();
        format!("{}/{}", path_package(&interface.package), interface.name)
    }

    /// What is to be done about a function that is served under the name of one of `other`.
    pub(crate) fn conflict(&self, other: &Target) -> String {
        let (a, b, path) = (other.service.plugin(), self.service.plugin(), self.path());
        if a == b {
            return format!(
                "plugin {a:?} exports {} and {}, which are one to a client, {path}: export only the newer one, which has to serve \
                 the clients of both",
                other.interface().full_name(),
                self.interface().full_name(),
            );
        }
        format!(
            "plugins {a:?} and {b:?} both export {path}: remove one of them from wharf.toml, or change the package or its major \
             version in the WIT of one",
        )
    }
}
