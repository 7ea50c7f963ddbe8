//! `wharf:plugin/call@0.1.0`: the typed call that the instance works on.

use std::time::Instant;

use http::HeaderMap;
use wharf_bindings::call_0_1::wharf::plugin::call::{CallContext, Fields, Host, MetadataError};
use wharf_bindings::call_0_1::wharf::plugin::types;
use wharf_call::metadata::{FieldError, field};
use wharf_call::{Invocation, LimitKey};

use crate::enforcer::Enforcer;
use crate::state::State;

/// A typed call, for as long as its guest may ask about it.
pub(crate) struct TypedCall {
    invocation: Invocation,
    /// What goes with the answer; nothing once that is out.
    answer: Option<AnswerFields>,
}

#[derive(Default)]
struct AnswerFields {
    headers: HeaderMap,
    /// As `limits.response_headers` counts.
    bytes: u64,
}

impl TypedCall {
    pub(crate) fn new(invocation: Invocation) -> Self {
        TypedCall { invocation, answer: Some(AnswerFields::default()) }
    }

    /// The function has returned: what was set until now goes with its answer.
    pub(crate) fn returned(&mut self) {
        if let Some(answer) = self.answer.take()
            && !answer.headers.is_empty()
        {
            self.invocation.metadata.answer(answer.headers);
        }
    }

    fn set(&mut self, name: &str, value: &[u8], enforcer: &Enforcer) -> Result<(), MetadataError> {
        if !self.invocation.metadata.carries_answer() {
            return Err(MetadataError::NotCarried);
        }
        let answer = self.answer.as_mut().ok_or(MetadataError::TooLate)?;
        // Before it is copied into anything: a guest may hand over a lot.
        let bytes = answer.bytes.saturating_add((name.len() + value.len() + 4) as u64);
        check(enforcer, answer.headers.len(), bytes)?;
        let (name, value) = field(name, value).map_err(|error| match error {
            FieldError::Invalid(text) => MetadataError::Invalid(text),
            FieldError::Reserved(text) => MetadataError::Reserved(text),
        })?;
        let bytes = answer.bytes + (name.as_str().len() + value.len() + 4) as u64;
        check(enforcer, answer.headers.len(), bytes)?;
        let appended = answer.headers.try_append(name, value);
        appended.map_err(|_| MetadataError::TooMuch("a response has no room for more fields".to_owned()))?;
        answer.bytes = bytes;
        Ok(())
    }
}

/// Whether one more field may go along, with which there are `bytes`.
fn check(enforcer: &Enforcer, count: usize, bytes: u64) -> Result<(), MetadataError> {
    enforcer
        .check(LimitKey::ResponseHeaderCount, count as u64 + 1)
        .and_then(|()| enforcer.check(LimitKey::ResponseHeaders, bytes))
        .map_err(|exceeded| MetadataError::TooMuch(exceeded.to_string()))
}

impl Host for State {
    fn current(&mut self) -> Option<CallContext> {
        self.call.as_ref().map(|call| context(&call.invocation))
    }

    fn metadata(&mut self) -> Fields {
        let fields = self.call.iter().flat_map(|call| call.invocation.metadata.fields());
        fields.map(|(name, value)| (name.to_owned(), value.into_owned())).collect()
    }

    fn set_metadata(&mut self, name: String, value: Vec<u8>) -> Result<(), MetadataError> {
        let call = self.call.as_mut().ok_or(MetadataError::NoCall)?;
        call.set(&name, &value, &self.enforcer)
    }
}

impl types::Host for State {}

fn context(invocation: &Invocation) -> CallContext {
    let left = invocation.deadline.remaining(Instant::now());
    CallContext {
        request_id: invocation.request_id.to_string(),
        traceparent: invocation.trace.to_string(),
        route: invocation.route.to_string(),
        params: invocation.params.iter().map(|(name, value)| (name.to_string(), value.clone())).collect(),
        caller: invocation.caller.as_ref().map(|caller| types::Caller {
            subject: caller.subject.clone(),
            issuer: caller.issuer.clone(),
            roles: caller.roles.clone(),
            scopes: caller.scopes.clone(),
        }),
        deadline_ms: left.map_or(u32::MAX, |left| u32::try_from(left.as_millis()).unwrap_or(u32::MAX)),
        attributes: Vec::new(),
    }
}
