//! What an operation asks for, worked out against the types once and before anything is called.
//!
//! Fields of one response key are merged here (GraphQL, section 6.3.2), so that a function is called once and a value written
//! once, whatever a document repeats.

use async_graphql::parser::types::{
    Directive, ExecutableDocument, Field, OperationDefinition, OperationType, Selection, SelectionSet,
};
use async_graphql::{Name, Pos, Positioned};
use async_graphql_value::Value as Literal;
use indexmap::IndexMap;
use wharf_call::{Type, TypeKind};

use crate::alike;
use crate::input::{Decoder, Input};
use crate::limits::Refusal;
use crate::model::{Model, Plugin, Root, RootKind};
use crate::overlap;
use crate::schema::PLACEHOLDER;

/// What an operation asks for.
pub(crate) struct Plan {
    pub(crate) kind: RootKind,
    pub(crate) roots: Vec<RootPlan>,
    /// Response keys of `__schema` and `__type`.
    pub(crate) introspects: bool,
}

/// A field at the root.
pub(crate) struct RootPlan {
    pub(crate) key: String,
    pub(crate) pos: Pos,
    pub(crate) source: RootSource,
}

/// Where a field at the root comes from.
pub(crate) enum RootSource {
    Call { root: Root, args: Vec<Option<Literal>>, shape: Shape },
    Typename(&'static str),
    Introspection,
    Placeholder,
}

/// What of a value is asked for.
#[derive(Debug)]
pub(crate) enum Shape {
    /// All of it: it has no fields.
    Leaf,
    /// Fields of an object.
    Object(Vec<FieldPlan>),
    /// Fields of each case's object.
    Union(Vec<Vec<FieldPlan>>),
}

/// A field of an object.
#[derive(Debug)]
pub(crate) struct FieldPlan {
    pub(crate) key: String,
    pub(crate) name: String,
    pub(crate) pos: Pos,
    pub(crate) source: Source,
}

/// Where a field of an object comes from.
#[derive(Debug)]
pub(crate) enum Source {
    /// The name of the type.
    Typename(String),
    /// The value's own part at this position.
    Member(usize, Shape),
    /// [`Model::links`] at this position.
    Link(usize, Shape),
}

type Group<'d> = Vec<&'d Positioned<Field>>;
type Groups<'d> = IndexMap<&'d str, Group<'d>>;

/// Makes plans of one document, as its variables are.
pub(crate) struct Planner<'d> {
    pub(crate) model: &'d Model,
    pub(crate) document: &'d ExecutableDocument,
    pub(crate) conditions: &'d Decoder<'d>,
    /// Whether `__schema` and `__type` are answered.
    pub(crate) introspection: bool,
}

impl<'d> Planner<'d> {
    /// The plan of one operation of the document.
    pub(crate) fn plan(&self, operation: &'d OperationDefinition) -> Result<Plan, Refusal> {
        let (kind, type_name) = match operation.ty {
            OperationType::Query => (RootKind::Query, "Query"),
            OperationType::Mutation => (RootKind::Mutation, "Mutation"),
            OperationType::Subscription => (RootKind::Subscription, "Subscription"),
        };
        let mut groups = Groups::new();
        self.collect(&operation.selection_set.node, &[type_name], &mut Vec::new(), &mut groups)?;
        let known = self.model.roots(kind);
        let mut introspects = false;
        let mut roots = Vec::with_capacity(groups.len());
        for (key, group) in groups {
            let field = merged(&group)?;
            let name = field.node.name.node.as_str();
            let source = match (name, known.get(name)) {
                ("__typename", _) => {
                    leaf(field)?;
                    RootSource::Typename(type_name)
                }
                ("__schema" | "__type", _) if !self.introspection => {
                    let text = "Introspection is switched off here.".to_owned();
                    return Err(Refusal { text, at: Some(field.pos) });
                }
                ("__schema" | "__type", _) if kind == RootKind::Query => {
                    introspects = true;
                    RootSource::Introspection
                }
                (_, Some(root)) => {
                    let args = root.args.iter().map(|arg| {
                        let given =
                            field.node.arguments.iter().find(|(name, _)| name.node.as_str() == arg.name);
                        given.map(|(_, value)| value.node.clone())
                    });
                    let args = args.collect();
                    let plugin = &self.model.plugins[root.plugin];
                    let shape = match &plugin.schema.function(root.function).1.output {
                        wharf_call::Output::Nothing => Shape::Leaf,
                        wharf_call::Output::Value(ty) | wharf_call::Output::Stream(ty) => {
                            self.shape(plugin, ty, &group)?
                        }
                    };
                    RootSource::Call { root: root.clone(), args, shape }
                }
                (PLACEHOLDER, None) if kind == RootKind::Query => RootSource::Placeholder,
                _ => return Err(unknown(field, type_name)),
            };
            roots.push(RootPlan { key: key.to_owned(), pos: field.pos, source });
        }
        Ok(Plan { kind, roots, introspects })
    }

    fn shape(&self, plugin: &Plugin, ty: &Type, group: &Group<'d>) -> Result<Shape, Refusal> {
        match ty {
            Type::Option(inner) => match **inner {
                Type::Option(_) => self.members(plugin, inner, group),
                ref inner => self.shape(plugin, inner, group),
            },
            Type::List(item) | Type::FixedList(item, _) => self.shape(plugin, item, group),
            Type::Map(..) | Type::Tuple(_) | Type::Result(..) => self.members(plugin, ty, group),
            Type::Named(id) => match plugin.schema.type_def(*id).kind {
                TypeKind::Record(_) | TypeKind::Variant(_) => self.members(plugin, ty, group),
                _ => Ok(Shape::Leaf),
            },
            _ => Ok(Shape::Leaf),
        }
    }

    /// The shape of a type that is an object or a union.
    fn members(&self, plugin: &Plugin, ty: &Type, group: &Group<'d>) -> Result<Shape, Refusal> {
        let names = match ty {
            Type::Named(id) => plugin.names.named(*id),
            ty => plugin.names.wrapper(ty),
        };
        let name = names.name.output.as_str();
        if names.cases.is_empty() {
            let member =
                |at: usize, group: &Group<'d>| self.shape(plugin, member_type(plugin, ty, at), group);
            return self.fields(&[name], &names.members, group, &member).map(Shape::Object);
        }
        let cases =
            names.cases.iter().zip(&names.members).enumerate().map(|(case, (object, member_name))| {
                let member = |_: usize, group: &Group<'d>| match case_type(plugin, ty, case) {
                    Some(ty) => self.shape(plugin, ty, group),
                    None => Ok(Shape::Leaf),
                };
                self.fields(&[object, name], std::slice::from_ref(member_name), group, &member)
            });
        let cases = cases.collect::<Result<Vec<_>, _>>()?;
        let of = names.cases.iter().zip(&cases);
        let all = of.flat_map(|(object, fields)| fields.iter().map(|field| (object.as_str(), field)));
        alike::check(self.model, all.collect())?;
        Ok(Shape::Union(cases))
    }

    /// The fields that `group` asks of the object `names[0]`, which is one of the union that is named after it.
    fn fields(
        &self,
        names: &[&str],
        members: &[String],
        group: &Group<'d>,
        member: &dyn Fn(usize, &Group<'d>) -> Result<Shape, Refusal>,
    ) -> Result<Vec<FieldPlan>, Refusal> {
        let mut groups = Groups::new();
        let mut spread = Vec::new();
        for field in group {
            self.collect(&field.node.selection_set.node, names, &mut spread, &mut groups)?;
        }
        let fields = groups.into_iter().map(|(key, group)| {
            let field = merged(&group)?;
            let name = field.node.name.node.as_str();
            let source = if name == "__typename" {
                leaf(field)?;
                Source::Typename(names[0].to_owned())
            } else if let Some(at) = members.iter().position(|member| member == name) {
                Source::Member(at, member(at, &group)?)
            } else if let Some(&link) = self.model.linked.get(&(names[0].to_owned(), name.to_owned())) {
                let to = &self.model.links[link];
                Source::Link(link, self.shape(&self.model.plugins[to.plugin], &to.target, &group)?)
            } else {
                return Err(unknown(field, names[0]));
            };
            Ok(FieldPlan { key: key.to_owned(), name: name.to_owned(), pos: field.pos, source })
        });
        fields.collect()
    }

    /// GraphQL's CollectFields, for an object that goes by `names`.
    fn collect(
        &self,
        set: &'d SelectionSet,
        names: &[&str],
        spread: &mut Vec<&'d Name>,
        groups: &mut Groups<'d>,
    ) -> Result<(), Refusal> {
        for selection in &set.items {
            match &selection.node {
                Selection::Field(field) => {
                    if self.is_included(&field.node.directives)? {
                        groups.entry(field.node.response_key().node.as_str()).or_default().push(field);
                    }
                }
                Selection::InlineFragment(fragment) => {
                    let condition = fragment.node.type_condition.as_ref();
                    let applies = condition.is_none_or(|on| names.contains(&on.node.on.node.as_str()));
                    if applies && self.is_included(&fragment.node.directives)? {
                        self.collect(&fragment.node.selection_set.node, names, spread, groups)?;
                    }
                }
                Selection::FragmentSpread(of) => {
                    let name = &of.node.fragment_name.node;
                    if spread.contains(&name) || !self.is_included(&of.node.directives)? {
                        continue;
                    }
                    spread.push(name);
                    let Some(fragment) = self.document.fragments.get(name) else { continue };
                    if names.contains(&fragment.node.type_condition.node.on.node.as_str()) {
                        self.collect(&fragment.node.selection_set.node, names, spread, groups)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn is_included(&self, directives: &'d [Positioned<Directive>]) -> Result<bool, Refusal> {
        for directive in directives {
            let wanted = match directive.node.name.node.as_str() {
                "skip" => false,
                "include" => true,
                _ => continue,
            };
            let Some((_, value)) = directive.node.arguments.iter().find(|(name, _)| name.node == "if") else {
                continue;
            };
            let condition = self
                .conditions
                .condition(Input::Literal(&value.node))
                .map_err(|error| Refusal { text: error.within("if").to_string(), at: Some(directive.pos) })?;
            if condition != wanted {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Whether a plan of `document` depends on its variables.
pub(crate) fn is_conditional(document: &ExecutableDocument) -> bool {
    let operations = document.operations.iter().map(|(_, operation)| &operation.node.selection_set);
    let fragments = document.fragments.values().map(|fragment| &fragment.node.selection_set);
    operations.chain(fragments).any(|set| has_directives(&set.node))
}

fn has_directives(set: &SelectionSet) -> bool {
    set.items.iter().any(|selection| match &selection.node {
        Selection::Field(field) => {
            !field.node.directives.is_empty() || has_directives(&field.node.selection_set.node)
        }
        Selection::InlineFragment(fragment) => {
            !fragment.node.directives.is_empty() || has_directives(&fragment.node.selection_set.node)
        }
        Selection::FragmentSpread(spread) => !spread.node.directives.is_empty(),
    })
}

/// The one field that a group stands for.
fn merged<'d>(group: &Group<'d>) -> Result<&'d Positioned<Field>, Refusal> {
    let first = group[0];
    group[1..].iter().try_for_each(|other| overlap::same(&first.node, other))?;
    Ok(first)
}

/// A name of a type has no fields. The library looks at those of all other leaves.
fn leaf(field: &Positioned<Field>) -> Result<(), Refusal> {
    match field.node.selection_set.node.items.is_empty() {
        true => Ok(()),
        false => {
            let text = "\"__typename\" has no fields: leave out what is in its braces.".to_owned();
            Err(Refusal { text, at: Some(field.pos) })
        }
    }
}

fn unknown(field: &Positioned<Field>, ty: &str) -> Refusal {
    let text = format!("\"{ty}\" has no field \"{}\".", field.node.name.node);
    Refusal { text, at: Some(field.pos) }
}

/// The type of a member of a record, a tuple, an entry of a map, or an option that is an object: that one has itself,
/// as what may be null.
pub(crate) fn member_type<'t>(plugin: &'t Plugin, ty: &'t Type, at: usize) -> &'t Type {
    match ty {
        Type::Map(key, value) => [key, value][at],
        Type::Tuple(items) => &items[at],
        Type::Named(id) => match &plugin.schema.type_def(*id).kind {
            TypeKind::Record(fields) => &fields[at].ty,
            _ => ty,
        },
        _ => ty,
    }
}

/// The payload of a case of a variant or result.
pub(crate) fn case_type<'t>(plugin: &'t Plugin, ty: &'t Type, case: usize) -> Option<&'t Type> {
    match ty {
        Type::Result(ok, error) => [ok, error][case].as_deref(),
        Type::Named(id) => match &plugin.schema.type_def(*id).kind {
            TypeKind::Variant(cases) => cases[case].ty.as_ref(),
            _ => None,
        },
        _ => None,
    }
}
