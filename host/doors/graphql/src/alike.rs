//! Whether one response key has one type in whatever case of a variant it is asked for (GraphQL, section 5.3.2,
//! SameResponseShape): clients that generate types count on it. The library does not look.

use std::borrow::Cow;

use async_graphql::dynamic::TypeRef;
use indexmap::IndexMap;

use crate::limits::Refusal;
use crate::model::Model;
use crate::plan::{FieldPlan, Shape, Source};
use crate::types::DefKind;

/// Refuses the first of `fields`, each of the object that stands with it, that is of another type than one of the same key.
pub(crate) fn check(model: &Model, fields: Vec<(&str, &FieldPlan)>) -> Result<(), Refusal> {
    let mut groups: IndexMap<&str, Vec<(Cow<'_, TypeRef>, &FieldPlan)>> = IndexMap::new();
    for (object, field) in fields {
        if let Some(ty) = type_of(model, object, field) {
            groups.entry(&field.key).or_default().push((ty, field));
        }
    }
    // One alone was checked when it was planned.
    for (key, group) in groups.iter().filter(|(_, group)| group.len() > 1) {
        let first = &group[0].0;
        if let Some((_, field)) = group.iter().find(|(ty, _)| !alike(model, first, ty)) {
            let text =
                format!("\"{key}\" is of different types in different cases: give one of them an alias.");
            return Err(Refusal { text, at: Some(field.pos) });
        }
        check(model, group.iter().flat_map(|(ty, field)| within(model, ty, field)).collect())?;
    }
    Ok(())
}

fn type_of<'m>(model: &'m Model, object: &str, field: &FieldPlan) -> Option<Cow<'m, TypeRef>> {
    if let Source::Typename(_) = field.source {
        return Some(Cow::Owned(TypeRef::named_nn(TypeRef::STRING)));
    }
    let DefKind::Object(fields) = &model.defs.get(object)?.kind else { return None };
    fields.iter().find(|def| def.name == field.name).map(|def| Cow::Borrowed(&def.ty))
}

fn alike(model: &Model, a: &TypeRef, b: &TypeRef) -> bool {
    let has_fields = |name: &str| {
        matches!(model.defs.get(name).map(|def| &def.kind), Some(DefKind::Object(_) | DefKind::Union(_)))
    };
    match (a, b) {
        (TypeRef::NonNull(a), TypeRef::NonNull(b)) | (TypeRef::List(a), TypeRef::List(b)) => {
            alike(model, a, b)
        }
        (TypeRef::Named(a), TypeRef::Named(b)) => a == b || (has_fields(a) && has_fields(b)),
        _ => false,
    }
}

/// What is asked for of a field, each with the object that it is of.
fn within<'m>(model: &'m Model, ty: &'m TypeRef, field: &'m FieldPlan) -> Vec<(&'m str, &'m FieldPlan)> {
    let (Source::Member(_, shape) | Source::Link(_, shape)) = &field.source else { return Vec::new() };
    let name = ty.type_name();
    match (shape, model.defs.get(name).map(|def| &def.kind)) {
        (Shape::Object(fields), _) => fields.iter().map(|field| (name, field)).collect(),
        (Shape::Union(cases), Some(DefKind::Union(objects))) => {
            let cases = objects.iter().zip(cases);
            cases.flat_map(|(object, fields)| fields.iter().map(|field| (object.as_str(), field))).collect()
        }
        _ => Vec::new(),
    }
}
