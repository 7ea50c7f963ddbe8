//! Fields of one response key that are different fields (GraphQL, section 5.3.2), looked for where the library's validation
//! looks for them, and before it: it tells of every one in every selection around it, which is more than fits in memory.

use std::collections::{HashMap, HashSet};

use async_graphql::Positioned;
use async_graphql::parser::types::{ExecutableDocument, Field, Selection, SelectionSet};

use crate::limits::Refusal;

/// Refuses the first of them. What it does is bounded by the cost of the document, which was checked before.
pub(crate) fn check(document: &ExecutableDocument) -> Result<(), Refusal> {
    let operations = document.operations.iter().map(|(_, operation)| &operation.node.selection_set);
    let fragments = document.fragments.values().map(|fragment| &fragment.node.selection_set);
    operations.chain(fragments).try_for_each(|set| walk(document, &set.node))
}

fn walk(document: &ExecutableDocument, set: &SelectionSet) -> Result<(), Refusal> {
    let mut seen = Seen { document, fields: HashMap::new(), spread: HashSet::new() };
    seen.add(None, set)?;
    set.items.iter().try_for_each(|selection| match &selection.node {
        Selection::Field(field) => walk(document, &field.node.selection_set.node),
        Selection::InlineFragment(fragment) => walk(document, &fragment.node.selection_set.node),
        Selection::FragmentSpread(_) => Ok(()),
    })
}

/// What one selection set asks for, by the nearest type condition and the response key.
struct Seen<'d> {
    document: &'d ExecutableDocument,
    fields: HashMap<(Option<&'d str>, &'d str), &'d Field>,
    spread: HashSet<&'d str>,
}

impl<'d> Seen<'d> {
    fn add(&mut self, on: Option<&'d str>, set: &'d SelectionSet) -> Result<(), Refusal> {
        for selection in &set.items {
            match &selection.node {
                Selection::Field(field) => {
                    let key = field.node.response_key().node.as_str();
                    let first = *self.fields.entry((on, key)).or_insert(&field.node);
                    same(first, field)?;
                }
                Selection::InlineFragment(fragment) => {
                    let on = fragment.node.type_condition.as_ref().map(|on| on.node.on.node.as_str());
                    self.add(on, &fragment.node.selection_set.node)?;
                }
                Selection::FragmentSpread(spread) => {
                    let name = &spread.node.fragment_name.node;
                    if let Some(fragment) = self.document.fragments.get(name)
                        && self.spread.insert(name)
                    {
                        let on = fragment.node.type_condition.node.on.node.as_str();
                        self.add(Some(on), &fragment.node.selection_set.node)?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Refuses `other` where it is not the field that `first` is, with the same arguments.
pub(crate) fn same(first: &Field, other: &Positioned<Field>) -> Result<(), Refusal> {
    let of = &other.node;
    if std::ptr::eq(first, of) {
        // That an argument is there twice is told in its own words.
        return Ok(());
    }
    let same_args = first.arguments.len() == of.arguments.len()
        && first
            .arguments
            .iter()
            .all(|(name, value)| of.get_argument(&name.node).is_some_and(|other| other.node == value.node));
    match first.name.node == of.name.node && same_args {
        true => Ok(()),
        false => {
            let key = &of.response_key().node;
            let text = format!("\"{key}\" stands for different fields: give one of them an alias.");
            Err(Refusal { text, at: Some(other.pos) })
        }
    }
}
