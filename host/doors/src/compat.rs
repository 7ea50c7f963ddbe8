//! Which changes of a schema would break a client of it.
//!
//! A change breaks when a request or an answer that was right for the old schema is not for the new one, at any door. What may be done without
//! breaking: new interfaces and functions; new parameters and fields that are options, at the end; new flags at the end; new cases at
//! the end of a variant or an enum that clients only send. Whether a type is sent, or received, or both, is followed from the functions.
//!
//! Interfaces are matched as clients know them: by package, major version and name. What is only in a version that the new schema has no
//! longer is removed.

use std::collections::HashSet;

use wharf_call::{Case, Field, Function, Interface, Output, Schema, Type, TypeId, TypeKind};

use crate::names::path_package;

/// A sentence for each change from `old` to `new` that would break a client, in the order of the old schema. Empty when there is none.
pub fn breaking_changes(old: &Schema, new: &Schema) -> Vec<String> {
    let mut changes = Changes { old, new, said: Vec::new(), seen: HashSet::new() };
    for interface in &old.interfaces {
        changes.interface(interface);
    }
    let mut once = HashSet::new();
    changes.said.retain(|text| once.insert(text.clone()));
    changes.said
}

struct Changes<'a> {
    old: &'a Schema,
    new: &'a Schema,
    said: Vec<String>,
    /// Pairs of types that have been compared already.
    seen: HashSet<(TypeId, TypeId, Direction)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Direction {
    /// From the client to the plugin.
    Sent,
    /// From the plugin to the client.
    Received,
}

use Direction::{Received, Sent};

impl Changes<'_> {
    fn say(&mut self, text: String) {
        self.said.push(text);
    }

    fn interface(&mut self, old: &Interface) {
        let path = |of: &Interface| format!("{}/{}", path_package(&of.package), of.name);
        let at = path(old);
        let Some(new) = self.new.interfaces.iter().find(|new| path(new) == at) else {
            return self.say(format!("interface {at} is gone"));
        };
        for function in &old.functions {
            let at = format!("{at}.{}", function.name);
            match new.functions.iter().find(|new| new.name == function.name) {
                Some(new) => self.function(&at, function, new),
                None => self.say(format!("function {at} is gone")),
            }
        }
    }

    fn function(&mut self, at: &str, old: &Function, new: &Function) {
        self.fields(at, "parameter", &old.params, &new.params, Sent);
        match (&old.input, &new.input) {
            (None, None) => {}
            (Some(old), Some(new)) => self.ty(&format!("what is streamed to {at}"), old, new, Sent),
            (None, Some(_)) => self.say(format!("{at} takes a stream now")),
            (Some(_), None) => self.say(format!("{at} does not take a stream any more")),
        }
        match (&old.output, &new.output) {
            (Output::Nothing, Output::Nothing) => {}
            (Output::Value(old), Output::Value(new)) => {
                self.ty(&format!("the result of {at}"), old, new, Received);
            }
            (Output::Stream(old), Output::Stream(new)) => {
                self.ty(&format!("what {at} streams"), old, new, Received);
            }
            (old, new) => self.say(format!("{at} returns {} now, and returned {}", output(new), output(old))),
        }
        match (&old.error, &new.error) {
            (Some(old), Some(new)) => self.ty(&format!("the error of {at}"), old, new, Received),
            (Some(_), None) => self.say(format!("{at} does not return its declared error any more")),
            // A client that knew of no declared error gets a failure as before.
            (None, _) => {}
        }
        if old.is_query() && !new.is_query() {
            self.say(format!(
                "{at} is no @query any more: GET does not reach it, and in GraphQL it is a mutation"
            ));
        }
    }

    /// The fields of a record, or parameters.
    fn fields(&mut self, at: &str, what: &str, old: &[Field], new: &[Field], direction: Direction) {
        for (position, field) in old.iter().enumerate() {
            let Some(there) = new.iter().position(|new| new.name == field.name) else {
                self.say(format!("{what} {} of {at} is gone", field.name));
                continue;
            };
            if there != position {
                self.say(format!(
                    "{what} {} of {at} is number {} now, and was number {}: add new ones at the end",
                    field.name,
                    there + 1,
                    position + 1
                ));
            }
            self.ty(&format!("{what} {} of {at}", field.name), &field.ty, &new[there].ty, direction);
        }
        for field in new.iter().filter(|new| old.iter().all(|old| old.name != new.name)) {
            // Who receives a new field passes over it, or is made anew; who has to send it does not know of it.
            if direction == Sent && !matches!(field.ty, Type::Option(_)) {
                self.say(format!("{what} {} of {at} is new and required: make it an option", field.name));
            }
        }
    }

    fn cases(&mut self, at: &str, what: &str, old: &[Case], new: &[Case], direction: Direction) {
        for (position, case) in old.iter().enumerate() {
            let Some(there) = new.iter().position(|new| new.name == case.name) else {
                self.say(format!("{what} {} of {at} is gone", case.name));
                continue;
            };
            if there != position {
                self.say(format!(
                    "{what} {} of {at} is number {} now, and was number {}: add new ones at the end",
                    case.name,
                    there + 1,
                    position + 1
                ));
            }
            match (&case.ty, &new[there].ty) {
                (None, None) => {}
                (Some(old), Some(new)) => {
                    self.ty(&format!("{what} {} of {at}", case.name), old, new, direction)
                }
                (None, Some(_)) => self.say(format!("{what} {} of {at} has a value now", case.name)),
                (Some(_), None) => self.say(format!("{what} {} of {at} has no value any more", case.name)),
            }
        }
        for case in new.iter().filter(|new| old.iter().all(|old| old.name != new.name)) {
            if direction == Received && what == "case" {
                self.say(format!(
                    "case {} of {at} is new, and clients that receive it do not know it",
                    case.name
                ));
            }
        }
    }

    /// Compares types without a name on the way; `at` says where they are.
    fn ty(&mut self, at: &str, old: &Type, new: &Type, direction: Direction) {
        match (old, new) {
            (Type::Named(old), Type::Named(new)) => self.named(at, *old, *new, direction),
            (Type::List(old), Type::List(new)) | (Type::Option(old), Type::Option(new)) => {
                self.ty(at, old, new, direction);
            }
            (Type::FixedList(old, n), Type::FixedList(new, m)) if n == m => self.ty(at, old, new, direction),
            (Type::Map(key, value), Type::Map(new_key, new_value)) => {
                self.ty(at, key, new_key, direction);
                self.ty(at, value, new_value, direction);
            }
            (Type::Tuple(old), Type::Tuple(new)) if old.len() == new.len() => {
                for (old, new) in old.iter().zip(new) {
                    self.ty(at, old, new, direction);
                }
            }
            (Type::Result(ok, error), Type::Result(new_ok, new_error))
                if ok.is_some() == new_ok.is_some() && error.is_some() == new_error.is_some() =>
            {
                for (old, new) in [(ok, new_ok), (error, new_error)] {
                    if let (Some(old), Some(new)) = (old, new) {
                        self.ty(at, old, new, direction);
                    }
                }
            }
            (old, Type::Option(_)) if !matches!(old, Type::Option(_)) => match direction {
                Sent => self.say(format!(
                    "{at} is an option now, and was required: GraphQL and protobuf see another type"
                )),
                Received => self.say(format!("{at} is an option now, and clients expect it always")),
            },
            (Type::Option(_), new) if !matches!(new, Type::Option(_)) => match direction {
                Sent => self.say(format!("{at} is required now, and was an option")),
                Received => {
                    self.say(format!("{at} is no option any more: GraphQL and protobuf see another type"))
                }
            },
            (old, new) if old == new => {}
            (old, new) => {
                self.say(format!("{at} is {} now, and was {}", self.new.show(new), self.old.show(old)));
            }
        }
    }

    fn named(&mut self, at: &str, old: TypeId, new: TypeId, direction: Direction) {
        if !self.seen.insert((old, new, direction)) {
            return;
        }
        let (was, is) = (self.old.type_def(old), self.new.type_def(new));
        if was.name != is.name {
            self.say(format!(
                "{at} is {} now, and was {}: types have names in gRPC and GraphQL",
                is.name, was.name
            ));
            return;
        }
        let name = &was.name;
        match (&was.kind, &is.kind) {
            (TypeKind::Record(old), TypeKind::Record(new)) => self.fields(name, "field", old, new, direction),
            (TypeKind::Variant(old), TypeKind::Variant(new)) | (TypeKind::Enum(old), TypeKind::Enum(new)) => {
                self.cases(name, "case", old, new, direction);
            }
            (TypeKind::Flags(old), TypeKind::Flags(new)) => self.cases(name, "flag", old, new, direction),
            (old, new) => self.say(format!("{name} is {} now, and was {}", kind(new), kind(old))),
        }
    }
}

fn output(output: &Output) -> &'static str {
    match output {
        Output::Nothing => "nothing",
        Output::Value(_) => "a value",
        Output::Stream(_) => "a stream",
    }
}

fn kind(kind: &TypeKind) -> &'static str {
    match kind {
        TypeKind::Record(_) => "a record",
        TypeKind::Variant(_) => "a variant",
        TypeKind::Enum(_) => "an enum",
        TypeKind::Flags(_) => "flags",
    }
}

#[cfg(test)]
mod tests;
