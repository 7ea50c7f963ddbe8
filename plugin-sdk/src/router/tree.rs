use std::borrow::Cow;
use std::rc::Rc;

use http::Method;

use super::pattern::Segment;
use crate::call::States;
use crate::endpoint::AnyEndpoint;
use crate::text::percent_decode;

/// The routes by segment: a fixed one beats `{param}`, which beats `{*rest}`, whatever the order in which
/// they were added.
#[derive(Default)]
pub(super) struct Node {
    fixed: Vec<(Box<str>, Node)>,
    param: Option<Box<Node>>,
    here: Vec<Entry>,
    rest: Vec<Entry>,
}

/// One function under one pattern.
pub(super) struct Entry {
    /// `None` is every method.
    pub(super) method: Option<Method>,
    pub(super) pattern: Rc<str>,
    pub(super) names: Rc<[Box<str>]>,
    pub(super) endpoint: Rc<dyn AnyEndpoint>,
    pub(super) states: States,
}

/// The entry for a path, and the values of its parameters.
pub(super) struct Found<'a> {
    pub(super) entry: &'a Entry,
    pub(super) values: Vec<String>,
}

impl Node {
    /// Adds an entry, or gives the pattern of the one that is there already.
    pub(super) fn add(&mut self, segments: &[Segment], entry: Entry) -> Result<(), Rc<str>> {
        let entries = match segments {
            [] => &mut self.here,
            [Segment::Rest(_), ..] => &mut self.rest,
            [Segment::Param(_), after @ ..] => {
                return self.param.get_or_insert_default().add(after, entry);
            }
            [Segment::Fixed(text), after @ ..] => {
                let at = self.fixed.iter().position(|(own, _)| own == text).unwrap_or_else(|| {
                    self.fixed.push((text.clone(), Node::default()));
                    self.fixed.len() - 1
                });
                return self.fixed[at].1.add(after, entry);
            }
        };
        match entries.iter().find(|other| other.method == entry.method) {
            Some(other) => Err(other.pattern.clone()),
            None => {
                entries.push(entry);
                Ok(())
            }
        }
    }

    /// Looks for the most specific entry that has the method. `allowed` collects the methods of entries that
    /// only lack it.
    pub(super) fn find<'a>(
        &'a self,
        path: &str,
        method: &Method,
        allowed: &mut Vec<&'a Method>,
    ) -> Option<Found<'a>> {
        let segments: Vec<Cow<'_, str>> =
            path.split('/').filter(|part| !part.is_empty()).map(decode).collect();
        let mut values = Vec::new();
        let entry = self.descend(&segments, method, &mut values, allowed)?;
        Some(Found { entry, values })
    }

    fn descend<'a>(
        &'a self,
        segments: &[Cow<'_, str>],
        method: &Method,
        values: &mut Vec<String>,
        allowed: &mut Vec<&'a Method>,
    ) -> Option<&'a Entry> {
        match segments {
            [] => {
                if let Some(entry) = choose(&self.here, method, allowed) {
                    return Some(entry);
                }
            }
            [first, after @ ..] => {
                if let Some((_, node)) = self.fixed.iter().find(|(text, _)| **text == **first)
                    && let Some(entry) = node.descend(after, method, values, allowed)
                {
                    return Some(entry);
                }
                if let Some(node) = &self.param {
                    values.push(first.clone().into_owned());
                    if let Some(entry) = node.descend(after, method, values, allowed) {
                        return Some(entry);
                    }
                    values.pop();
                }
            }
        }
        let entry = choose(&self.rest, method, allowed)?;
        values.push(segments.join("/"));
        Some(entry)
    }
}

fn decode(part: &str) -> Cow<'_, str> {
    if !part.contains('%') {
        return Cow::Borrowed(part);
    }
    // The host refuses paths that are not UTF-8.
    Cow::Owned(String::from_utf8_lossy(&percent_decode(part)).into_owned())
}

/// The entry for the method itself, else for GET when it is HEAD, else for every method.
fn choose<'a>(entries: &'a [Entry], method: &Method, allowed: &mut Vec<&'a Method>) -> Option<&'a Entry> {
    let of = |wanted: Option<&Method>| entries.iter().find(|entry| entry.method.as_ref() == wanted);
    let found = of(Some(method))
        .or_else(|| if method == Method::HEAD { of(Some(&Method::GET)) } else { None })
        .or_else(|| of(None));
    if found.is_none() {
        allowed.extend(entries.iter().filter_map(|entry| entry.method.as_ref()));
    }
    found
}
