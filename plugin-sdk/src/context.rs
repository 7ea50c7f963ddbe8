use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use crate::bindings::wharf::plugin::types as raw;

/// What the host knows of a call beside the request itself.
///
/// Ask for it as the second argument of a handler:
///
/// ```
/// # use wharf_sdk as wharf;
/// use wharf::{Context, OrFail, Request, Result};
///
/// #[wharf::handler]
/// async fn note(_request: Request, context: Context) -> Result<String> {
///     let id = context.param("id").or_not_found("no such note")?;
///     Ok(format!("note {id} for request {}\n", context.request_id()))
/// }
/// ```
pub struct Context {
    raw: raw::Context,
    caller: Option<Caller>,
    matched: Option<Matched>,
}

/// What a router of the plugin's own has matched, below the host's route.
pub(crate) struct Matched {
    pub(crate) pattern: Rc<str>,
    pub(crate) names: Rc<[Box<str>]>,
    pub(crate) values: Vec<String>,
}

impl Matched {
    fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.names.iter().zip(&self.values).map(|(name, value)| (&**name, value.as_str()))
    }
}

impl Context {
    /// Names this request in every log line of the host: 1 to 128 visible ASCII characters.
    pub fn request_id(&self) -> &str {
        &self.raw.request_id
    }

    /// The trace that this call is part of, as a W3C Trace Context `traceparent` value whose parent is the
    /// host's span for this call. Pass it on with calls of your own.
    pub fn traceparent(&self) -> &str {
        &self.raw.traceparent
    }

    /// The pattern of the route that matched, as the manifest has it: `/notes/{id}`.
    pub fn route(&self) -> &str {
        &self.raw.route
    }

    /// The pattern that matched in the plugin: its [`Router`](crate::Router)'s, or else the
    /// [route](Context::route)'s.
    pub fn pattern(&self) -> &str {
        self.matched.as_ref().map_or(&*self.raw.route, |matched| &*matched.pattern)
    }

    /// The value of a parameter, percent-decoded: of the [pattern](Context::pattern) that matched, or of the
    /// route's; `None` when neither has a parameter of this name. The value of `{*rest}` has its segments
    /// joined with `/`.
    pub fn param(&self, name: &str) -> Option<&str> {
        let matched = self.matched.iter().flat_map(Matched::pairs).find(|(own, _)| *own == name);
        matched.map(|(_, value)| value).or_else(|| find(&self.raw.params, name))
    }

    /// The parameters of the [pattern](Context::pattern) and their values, in its order.
    pub fn params(&self) -> impl Iterator<Item = (&str, &str)> {
        let route: &[_] = if self.matched.is_some() { &[] } else { &self.raw.params };
        self.matched.iter().flat_map(Matched::pairs).chain(pairs(route))
    }

    /// Who is calling, as the host has established it; `None` when it is not known.
    pub fn caller(&self) -> Option<&Caller> {
        self.caller.as_ref()
    }

    /// How long the host will wait for the head of the response, counted from the start of the call. Give
    /// calls of your own less than that.
    pub fn deadline(&self) -> Duration {
        Duration::from_millis(self.raw.deadline_ms.into())
    }

    /// A fact that the host or a middleware has added.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        find(&self.raw.attributes, name)
    }

    /// Goes on with `work` after the response was sent: [`background`](crate::background).
    pub fn background<T: crate::Outcome>(&self, work: impl Future<Output = T> + 'static) {
        crate::background(work);
    }

    pub(crate) fn set_matched(&mut self, matched: Matched) {
        self.matched = Some(matched);
    }

    /// What is left of a context that was taken.
    pub(crate) fn empty() -> Self {
        Context {
            raw: raw::Context {
                request_id: String::new(),
                traceparent: String::new(),
                route: String::new(),
                params: Vec::new(),
                caller: None,
                deadline_ms: 0,
                attributes: Vec::new(),
            },
            caller: None,
            matched: None,
        }
    }

    #[cfg(test)]
    pub(crate) fn for_tests(route: &str, params: &[(&str, &str)]) -> Self {
        let mut context = Context::empty();
        context.raw.route = route.to_owned();
        context.raw.params =
            params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        context
    }

    /// All such facts, as name and value.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        pairs(&self.raw.attributes)
    }
}

impl From<raw::Context> for Context {
    fn from(mut raw: raw::Context) -> Self {
        let caller = raw.caller.take().map(|raw| Caller { raw });
        Context { raw, caller, matched: None }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("request_id", &self.request_id())
            .field("route", &self.route())
            .field("params", &self.params().collect::<Vec<_>>())
            .field("caller", &self.caller)
            .finish_non_exhaustive()
    }
}

/// Who is calling, as the host has established it. Plugins need not, and cannot, verify it again.
pub struct Caller {
    raw: raw::Caller,
}

impl Caller {
    /// The stable name of the caller at its issuer, as the `sub` claim of a token.
    pub fn subject(&self) -> &str {
        &self.raw.subject
    }

    /// Who vouches for the subject, as the `iss` claim of a token.
    pub fn issuer(&self) -> &str {
        &self.raw.issuer
    }

    /// Roles that the host's policy knows the caller by; sorted, each once.
    pub fn roles(&self) -> &[String] {
        &self.raw.roles
    }

    /// Whether the caller has this role.
    pub fn has_role(&self, role: &str) -> bool {
        self.raw.roles.iter().any(|own| own == role)
    }

    /// Scopes that were granted to the caller; sorted, each once.
    pub fn scopes(&self) -> &[String] {
        &self.raw.scopes
    }

    /// Whether the caller was granted this scope.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.raw.scopes.iter().any(|own| own == scope)
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller")
            .field("subject", &self.raw.subject)
            .field("issuer", &self.raw.issuer)
            .finish()
    }
}

/// A handful of pairs at most: looking through them costs less than any index.
fn find<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
}

fn pairs(pairs: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> {
    pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_caller_and_deadline_are_found() {
        let context = Context::from(raw::Context {
            request_id: "r-1".into(),
            traceparent: String::new(),
            route: "/notes/{id}".into(),
            params: vec![("id".into(), "7".into())],
            caller: Some(raw::Caller {
                subject: "ann".into(),
                issuer: "https://id.example".into(),
                roles: vec!["editor".into()],
                scopes: vec!["notes:read".into()],
            }),
            deadline_ms: 1_500,
            attributes: vec![("region".into(), "north".into())],
        });
        assert_eq!(context.param("id"), Some("7"));
        assert_eq!(context.param("ID"), None);
        assert_eq!(context.attribute("region"), Some("north"));
        assert_eq!(context.deadline(), Duration::from_millis(1_500));
        let caller = context.caller().expect("there is one");
        assert_eq!(caller.subject(), "ann");
        assert!(caller.has_role("editor") && !caller.has_role("admin"));
        assert!(caller.has_scope("notes:read") && !caller.has_scope("notes"));
    }
}
