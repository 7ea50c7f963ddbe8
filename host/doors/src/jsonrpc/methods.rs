//! Which function a method is.

use std::collections::HashMap;
use std::sync::Arc;

use wharf_call::suggest::nearest;
use wharf_call::{Interface, Service};

use crate::names::{distinct, lower_camel, proto_package};
use crate::served::Target;

/// The methods of a door.
pub(super) struct Methods {
    by_name: HashMap<String, Found>,
    /// Each function once, in the order of the schemas, with the shortest name that it has.
    pub(super) listed: Vec<(String, Target)>,
}

enum Found {
    One(Target),
    /// The full names of those that share this one.
    Several(Vec<String>),
}

impl Methods {
    pub(super) fn new(services: &[Arc<dyn Service>]) -> Result<Self, Vec<String>> {
        let mut by_name: HashMap<String, Found> = HashMap::new();
        let mut shorts: Vec<(String, String, Target)> = Vec::new();
        let mut conflicts = Vec::new();
        for target in Target::all(services) {
            let (short, full) = names(&target);
            match by_name.insert(full.clone(), Found::One(target.clone())) {
                Some(Found::One(other)) => {
                    let text = target.conflict(&other);
                    if !conflicts.contains(&text) {
                        conflicts.push(text);
                    }
                }
                _ => shorts.push((short, full, target)),
            }
        }
        if !conflicts.is_empty() {
            return Err(conflicts);
        }
        let mut sharing: HashMap<&str, Vec<&str>> = HashMap::new();
        for (short, full, _) in &shorts {
            sharing.entry(short).or_default().push(full);
        }
        let mut listed = Vec::with_capacity(shorts.len());
        for (short, full, target) in &shorts {
            let all = &sharing[short.as_str()];
            // A package without a namespace does not exist: a full name has more dots than a short one.
            let found = match all.len() {
                1 => Found::One(target.clone()),
                _ => Found::Several(all.iter().map(|full| (*full).to_owned()).collect()),
            };
            listed.push((if all.len() == 1 { short.clone() } else { full.clone() }, target.clone()));
            by_name.insert(short.clone(), found);
        }
        Ok(Methods { by_name, listed })
    }

    /// The function that is called `method`.
    ///
    /// # Errors
    /// What the client is told where there is none, or more than one.
    pub(super) fn find(&self, method: &str) -> Result<&Target, String> {
        match self.by_name.get(method) {
            Some(Found::One(target)) => Ok(target),
            Some(Found::Several(names)) => {
                Err(format!("Several methods are called {method}: use one of {}.", names.join(", ")))
            }
            None => {
                let shown = &method[..method.floor_char_boundary(64)];
                let near = nearest(method, self.by_name.keys().map(String::as_str));
                Err(match near {
                    Some(near) => format!("There is no method {shown:?}; did you mean {near:?}?"),
                    None => format!("There is no method {shown:?}; rpc.discover lists those that there are."),
                })
            }
        }
    }
}

/// The short and the full name.
fn names(target: &Target) -> (String, String) {
    let interface: &Interface = target.interface();
    let functions = distinct(interface.functions.iter().map(|function| &*function.name), lower_camel);
    let short = format!("{}.{}", lower_camel(&interface.name), functions[target.id.function as usize]);
    let full = format!("{}.{short}", proto_package(&interface.package));
    (short, full)
}
