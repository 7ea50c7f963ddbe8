#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod answers;
mod contract;
mod hostile;
mod mapping;
mod plugin;
mod random;
mod wire;

use wharf_call::{Docs, Field, Function, Interface, Output, Package, Schema, Type};

use crate::compile::compile;
use crate::merge::merge;
use crate::plan::Plan;

fn package(text: &str) -> Package {
    let (name, version) = text.split_once('@').map_or((text, None), |(name, version)| (name, Some(version)));
    let (namespace, name) = name.split_once(':').unwrap();
    Package { namespace: namespace.into(), name: name.into(), version: version.map(str::to_owned) }
}

fn field(name: &str, ty: Type) -> Field {
    Field { name: name.into(), docs: Docs::default(), ty }
}

fn function(name: &str, params: Vec<Field>, output: Output) -> Function {
    Function {
        name: name.into(),
        docs: Docs::default(),
        is_async: true,
        params,
        input: None,
        output,
        error: None,
    }
}

fn interface(of: &str, name: &str, functions: Vec<Function>) -> Interface {
    Interface { package: package(of), name: name.into(), docs: Docs::default(), functions }
}

fn plan_of(schema: &Schema) -> Plan {
    compile(&merge(&[("p", schema)]).unwrap().schema).unwrap()
}
