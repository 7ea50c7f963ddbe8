//! A schema as JSON, for `wharf inspect --json`.

use std::sync::Arc;

use serde::{Serialize, Serializer};
use wharf_call::{Case, Docs, Field, Flow, Function, Interface, Output, Schema, Type, TypeDef, TypeKind};

/// Writes interfaces and types, with each type as its WIT has it.
pub(crate) fn serialize<S: Serializer>(schema: &Arc<Schema>, serializer: S) -> Result<S::Ok, S::Error> {
    let view = SchemaView {
        interfaces: schema.interfaces.iter().map(|interface| InterfaceView::of(schema, interface)).collect(),
        types: schema.types.iter().map(|def| TypeView::of(schema, def)).collect(),
    };
    view.serialize(serializer)
}

#[derive(Serialize)]
struct SchemaView<'a> {
    interfaces: Vec<InterfaceView<'a>>,
    types: Vec<TypeView<'a>>,
}

#[derive(Serialize)]
struct InterfaceView<'a> {
    name: String,
    #[serde(flatten)]
    docs: DocsView<'a>,
    functions: Vec<FunctionView<'a>>,
}

#[derive(Serialize)]
struct FunctionView<'a> {
    name: &'a str,
    #[serde(flatten)]
    docs: DocsView<'a>,
    flow: &'static str,
    #[serde(rename = "async")]
    is_async: bool,
    params: Vec<MemberView<'a>>,
    /// The items that the caller streams.
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<String>,
    /// The value, or the items that the plugin streams.
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Serialize)]
struct TypeView<'a> {
    name: &'a str,
    interface: String,
    #[serde(flatten)]
    docs: DocsView<'a>,
    kind: &'static str,
    members: Vec<MemberView<'a>>,
}

/// A parameter, a field, a case or a flag.
#[derive(Serialize)]
struct MemberView<'a> {
    name: &'a str,
    #[serde(flatten)]
    docs: DocsView<'a>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    ty: Option<String>,
}

#[derive(Serialize)]
struct DocsView<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    docs: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    annotations: &'a [(String, String)],
    #[serde(skip_serializing_if = "Option::is_none")]
    deprecated: Option<&'a str>,
}

impl<'a> From<&'a Docs> for DocsView<'a> {
    fn from(docs: &'a Docs) -> Self {
        DocsView { docs: &docs.text, annotations: &docs.annotations, deprecated: docs.deprecated.as_deref() }
    }
}

impl<'a> InterfaceView<'a> {
    fn of(schema: &Schema, interface: &'a Interface) -> Self {
        InterfaceView {
            name: interface.full_name(),
            docs: (&interface.docs).into(),
            functions: interface
                .functions
                .iter()
                .map(|function| FunctionView::of(schema, function))
                .collect(),
        }
    }
}

impl<'a> FunctionView<'a> {
    fn of(schema: &Schema, function: &'a Function) -> Self {
        let show = |ty: &Type| schema.show(ty).to_string();
        FunctionView {
            name: &function.name,
            docs: (&function.docs).into(),
            flow: match function.flow() {
                Flow::Unary => "unary",
                Flow::ServerStream => "server-stream",
                Flow::ClientStream => "client-stream",
                Flow::Bidirectional => "bidirectional",
            },
            is_async: function.is_async,
            params: fields(schema, &function.params),
            input: function.input.as_ref().map(show),
            output: match &function.output {
                Output::Nothing => None,
                Output::Value(ty) | Output::Stream(ty) => Some(show(ty)),
            },
            error: function.error.as_ref().map(show),
        }
    }
}

impl<'a> TypeView<'a> {
    fn of(schema: &Schema, def: &'a TypeDef) -> Self {
        let (kind, members) = match &def.kind {
            TypeKind::Record(members) => ("record", fields(schema, members)),
            TypeKind::Variant(members) => ("variant", cases(schema, members)),
            TypeKind::Enum(members) => ("enum", cases(schema, members)),
            TypeKind::Flags(members) => ("flags", cases(schema, members)),
        };
        let of = Interface {
            package: def.package.clone(),
            name: def.interface.clone(),
            docs: Docs::default(),
            functions: Vec::new(),
        };
        TypeView { name: &def.name, interface: of.full_name(), docs: (&def.docs).into(), kind, members }
    }
}

fn fields<'a>(schema: &Schema, fields: &'a [Field]) -> Vec<MemberView<'a>> {
    let view = |field: &'a Field| MemberView {
        name: &field.name,
        docs: (&field.docs).into(),
        ty: Some(schema.show(&field.ty).to_string()),
    };
    fields.iter().map(view).collect()
}

fn cases<'a>(schema: &Schema, cases: &'a [Case]) -> Vec<MemberView<'a>> {
    let view = |case: &'a Case| MemberView {
        name: &case.name,
        docs: (&case.docs).into(),
        ty: case.ty.as_ref().map(|ty| schema.show(ty).to_string()),
    };
    cases.iter().map(view).collect()
}
