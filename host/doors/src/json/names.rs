use std::collections::HashMap;

/// The JSON names of one scope, in its order: of the fields of a record, the cases of a variant, the parameters.
pub struct Names {
    names: Vec<Box<str>>,
    /// With quotes, escapes and a colon: what is written before a member's value.
    members: Vec<Box<[u8]>>,
    /// Only where there are many.
    index: Option<HashMap<Box<str>, usize>>,
}

/// Up to so many names are compared one by one.
const LINEAR_MAX: usize = 12;

impl Names {
    pub(super) fn new(names: Vec<String>) -> Self {
        let members = names.iter().map(|name| format!("{}:", serde_json::Value::from(name.as_str())));
        let members = members.map(|member| member.into_bytes().into_boxed_slice()).collect();
        let names: Vec<Box<str>> = names.into_iter().map(String::into_boxed_str).collect();
        let index = (names.len() > LINEAR_MAX).then(|| names.iter().cloned().zip(0..).collect());
        Names { names, members, index }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The name at `position`, which is one of the scope.
    pub fn get(&self, position: usize) -> &str {
        &self.names[position]
    }

    /// All of them, in the order of the WIT.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| &**name)
    }

    /// Where `name` stands. `hint` is where it most likely does.
    pub fn position(&self, name: &str, hint: usize) -> Option<usize> {
        if self.names.get(hint).is_some_and(|at| **at == *name) {
            return Some(hint);
        }
        match &self.index {
            Some(index) => index.get(name).copied(),
            None => self.names.iter().position(|has| **has == *name),
        }
    }

    /// The member's name as JSON, with the colon behind it.
    pub(super) fn member(&self, position: usize) -> &[u8] {
        &self.members[position]
    }

    /// The member's name as JSON.
    pub(super) fn quoted(&self, position: usize) -> &[u8] {
        let member = &self.members[position];
        &member[..member.len() - 1]
    }
}
