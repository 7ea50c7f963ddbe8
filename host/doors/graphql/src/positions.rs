//! Whether variables stand where their types allow it (GraphQL, section 5.8.5). The library has this rule, and never runs it:
//! its composed visitor does not hand it any values.

use std::collections::{HashMap, HashSet};

use async_graphql::dynamic::TypeRef;
use async_graphql::parser::types::{
    BaseType, Directive, ExecutableDocument, Field, OperationDefinition, OperationType, Selection,
    SelectionSet, Type as AstType, VariableDefinition,
};
use async_graphql::{Pos, Positioned};
use async_graphql_value::{ConstValue, Value as Literal};

use crate::limits::Refusal;
use crate::model::{Model, Root, RootKind};
use crate::types::DefKind;

/// Refuses the first variable of a valid document that is used where its type is not taken.
pub(crate) fn check(model: &Model, document: &ExecutableDocument) -> Result<(), Refusal> {
    document.operations.iter().try_for_each(|(_, operation)| {
        let operation = &operation.node;
        let kind = match operation.ty {
            OperationType::Query => RootKind::Query,
            OperationType::Mutation => RootKind::Mutation,
            OperationType::Subscription => RootKind::Subscription,
        };
        let mut walk =
            Walk { model, document, kind, variables: variables(operation), spread: HashSet::new() };
        walk.directives(&operation.directives)?;
        walk.set(&operation.selection_set.node, true)
    })
}

fn variables(operation: &OperationDefinition) -> HashMap<&str, &VariableDefinition> {
    let definitions = operation.variable_definitions.iter();
    definitions.map(|variable| (variable.node.name.node.as_str(), &variable.node)).collect()
}

/// One operation with the fragments that it spreads, each once.
struct Walk<'d> {
    model: &'d Model,
    document: &'d ExecutableDocument,
    kind: RootKind,
    variables: HashMap<&'d str, &'d VariableDefinition>,
    spread: HashSet<&'d str>,
}

impl<'d> Walk<'d> {
    /// Only fields at the root have arguments, those of introspection aside.
    fn set(&mut self, set: &'d SelectionSet, is_root: bool) -> Result<(), Refusal> {
        set.items.iter().try_for_each(|selection| match &selection.node {
            Selection::Field(field) => {
                self.directives(&field.node.directives)?;
                if let (true, Some(root)) = (is_root, self.root(&field.node)) {
                    for (name, value) in &field.node.arguments {
                        if let Some(arg) = root.args.iter().find(|arg| arg.name == name.node.as_str()) {
                            self.value(&value.node, &arg.ty, value.pos)?;
                        }
                    }
                }
                self.set(&field.node.selection_set.node, false)
            }
            Selection::InlineFragment(fragment) => {
                self.directives(&fragment.node.directives)?;
                self.set(&fragment.node.selection_set.node, is_root)
            }
            Selection::FragmentSpread(spread) => {
                self.directives(&spread.node.directives)?;
                let name = &spread.node.fragment_name.node;
                match self.document.fragments.get(name) {
                    Some(fragment) if self.spread.insert(name) => {
                        self.directives(&fragment.node.directives)?;
                        self.set(&fragment.node.selection_set.node, is_root)
                    }
                    _ => Ok(()),
                }
            }
        })
    }

    fn root(&self, field: &Field) -> Option<&'d Root> {
        self.model.roots(self.kind).get(field.name.node.as_str())
    }

    /// `@skip` and `@include`: there are no others that take a variable.
    fn directives(&self, directives: &'d [Positioned<Directive>]) -> Result<(), Refusal> {
        let boolean = TypeRef::named_nn(TypeRef::BOOLEAN);
        let args = directives.iter().flat_map(|directive| &directive.node.arguments);
        args.filter(|(name, _)| name.node == "if")
            .try_for_each(|(_, value)| self.value(&value.node, &boolean, value.pos))
    }

    fn value(&self, value: &Literal, ty: &TypeRef, pos: Pos) -> Result<(), Refusal> {
        match (value, ty) {
            (Literal::Variable(name), ty) => {
                let Some(variable) = self.variables.get(name.as_str()) else { return Ok(()) };
                let has_default =
                    variable.default_value.as_ref().is_some_and(|default| default.node != ConstValue::Null);
                let of = &variable.var_type.node;
                match fits(of, of.nullable && !has_default, ty) {
                    true => Ok(()),
                    false => {
                        let text =
                            format!("The variable `${name}` of type {of} is used where {ty} is expected.");
                        Err(Refusal { text, at: Some(pos) })
                    }
                }
            }
            (value, TypeRef::NonNull(ty)) => self.value(value, ty, pos),
            (Literal::List(items), TypeRef::List(ty)) => {
                items.iter().try_for_each(|item| self.value(item, ty, pos))
            }
            // A single value is a list of one.
            (value, TypeRef::List(ty)) => self.value(value, ty, pos),
            (Literal::Object(members), TypeRef::Named(name)) => {
                let Some(DefKind::Input { fields, one_of }) =
                    self.model.defs.get(name.as_ref()).map(|def| &def.kind)
                else {
                    return Ok(());
                };
                members.iter().try_for_each(|(name, value)| {
                    match fields.iter().find(|field| field.name == name.as_str()) {
                        // What is the only one of its object must not be null.
                        Some(field) if *one_of => {
                            self.value(value, &TypeRef::NonNull(Box::new(field.ty.clone())), pos)
                        }
                        Some(field) => self.value(value, &field.ty, pos),
                        None => Ok(()),
                    }
                })
            }
            _ => Ok(()),
        }
    }
}

/// Whether a variable of the type `of`, which may be null or not, is of the type `ty`.
fn fits(of: &AstType, nullable: bool, ty: &TypeRef) -> bool {
    match (&of.base, ty) {
        (_, TypeRef::NonNull(ty)) => !nullable && fits(of, true, ty),
        (BaseType::List(of), TypeRef::List(ty)) => fits(of, of.nullable, ty),
        (BaseType::Named(of), TypeRef::Named(ty)) => of.as_str() == ty.as_ref(),
        _ => false,
    }
}
