use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use wharf_call::ports::{Refusal, Stage};

/// An error as a problem document (RFC 9457).
#[derive(Debug, Serialize)]
pub(crate) struct Problem {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: String,
    /// Which step of a load refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<Stage>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Error");
        Problem { r#type: "about:blank", title, status: status.as_u16(), detail: detail.into(), stage: None }
    }

    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }
}

/// What is not there is a 404, what has to wait for something a 409; everything else is a request that was understood and not carried out.
impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal.stage {
            Stage::Find => StatusCode::NOT_FOUND,
            Stage::Profile => StatusCode::CONFLICT,
            Stage::Manifest
            | Stage::Read
            | Stage::Inspect
            | Stage::Grant
            | Stage::Compile
            | Stage::Instantiate
            | Stage::Start
            | Stage::Health
            | Stage::Contract => StatusCode::UNPROCESSABLE_ENTITY,
        };
        Problem { stage: Some(refusal.stage), ..Problem::new(status, refusal.message) }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // Strings and numbers always serialise; an empty body is what is left to say otherwise.
        let mut response = (status, serde_json::to_vec(&self).unwrap_or_default()).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"wharf admin\""));
        }
        response
    }
}
