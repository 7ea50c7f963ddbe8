//! A request of GraphQL, however it came in, and the text that it stands for.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Map, Value as Json};
use wharf_call::{Failure, Kind};

use crate::document::Ready;
use crate::door::REGISTERED_BYTES;
use crate::errors::{BAD_USER_INPUT, request_error};
use crate::{Core, unique};

/// The parameters of a request (GraphQL over HTTP, section 5.1).
#[derive(Debug, Default, PartialEq)]
pub(crate) struct GraphqlRequest {
    pub(crate) query: Option<String>,
    pub(crate) operation: Option<String>,
    pub(crate) variables: Map<String, Json>,
    pub(crate) extensions: Map<String, Json>,
}

impl GraphqlRequest {
    /// Reads the parameters of one request.
    ///
    /// # Errors
    /// [`Kind::BadRequest`] when one is not of its type.
    pub(crate) fn from_json(json: Json) -> Result<Self, Failure> {
        let Json::Object(mut members) = json else {
            return Err(bad("The request must be a JSON object with the member \"query\"."));
        };
        let mut text = |name: &str| match members.remove(name) {
            None | Some(Json::Null) => Ok(None),
            Some(Json::String(text)) => Ok(Some(text)),
            Some(_) => Err(bad(format!("\"{name}\" must be a string."))),
        };
        let (query, operation) = (text("query")?, text("operationName")?);
        let mut object = |name: &str| match members.remove(name) {
            None | Some(Json::Null) => Ok(Map::new()),
            Some(Json::Object(members)) => Ok(members),
            Some(_) => Err(bad(format!("\"{name}\" must be an object."))),
        };
        let (variables, extensions) = (object("variables")?, object("extensions")?);
        let request = GraphqlRequest { query, operation, variables, extensions };
        request.complete()
    }

    /// Reads the query of a URL.
    ///
    /// # Errors
    /// [`Kind::BadRequest`] when a parameter is not of its type.
    pub(crate) fn from_url(query: &str) -> Result<Self, Failure> {
        let mut request = GraphqlRequest::default();
        let object = |name: &str, text: &str| match unique::parse(text.as_bytes()) {
            Ok(Json::Object(members)) => Ok(members),
            Ok(Json::Null) => Ok(Map::new()),
            _ if text.is_empty() => Ok(Map::new()),
            Ok(_) => Err(bad(format!("\"{name}\" must be a JSON object."))),
            Err(error) => Err(bad(format!("\"{name}\" {error}"))),
        };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "query" => request.query = Some(value.into_owned()),
                "operationName" => {
                    request.operation = Some(value.into_owned()).filter(|name| !name.is_empty())
                }
                "variables" => request.variables = object("variables", &value)?,
                "extensions" => request.extensions = object("extensions", &value)?,
                _ => {}
            }
        }
        request.complete()
    }

    fn complete(self) -> Result<Self, Failure> {
        if self.query.is_none() && !self.extensions.contains_key("persistedQuery") {
            return Err(bad("The parameter \"query\" is missing."));
        }
        Ok(self)
    }
}

fn bad(text: impl Into<std::borrow::Cow<'static, str>>) -> Failure {
    Failure::new(Kind::BadRequest, text)
}

impl Core {
    /// Everything up to the first call. The errors are those of a request.
    pub(crate) async fn start(&self, request: GraphqlRequest, request_id: &str) -> Result<Ready, Vec<Json>> {
        let text = self.text(&request, request_id)?;
        let document = self.document(&text, request_id).await?;
        self.ready(document, request.operation.as_deref(), request.variables, request_id)
    }

    /// The text of the query: as it was sent, or as it is known by its hash.
    fn text(&self, request: &GraphqlRequest, request_id: &str) -> Result<Arc<str>, Vec<Json>> {
        let config = &self.config.persisted;
        let refuse = |text: &str, code| Err(vec![request_error(text, None, code, request_id)]);
        let hash = match request.extensions.get("persistedQuery") {
            None | Some(Json::Null) => None,
            Some(persisted) => {
                let hash = persisted.get("sha256Hash").and_then(Json::as_str);
                if persisted.get("version").and_then(Json::as_u64) != Some(1) || hash.is_none() {
                    let text = "\"extensions.persistedQuery\" must have \"version\": 1 and \"sha256Hash\".";
                    return refuse(text, BAD_USER_INPUT);
                }
                hash.map(str::to_ascii_lowercase)
            }
        };
        if let Some(text) = hash.as_ref().and_then(|hash| config.trusted.get(hash)) {
            return Ok(text.as_str().into());
        }
        if config.only {
            let known = request.query.as_deref().and_then(|query| config.trusted.get(&sha256(query)));
            return match known {
                Some(text) => Ok(text.as_str().into()),
                None => refuse("Only queries that the server knows are answered.", "PERSISTED_QUERY_ONLY"),
            };
        }
        match (&request.query, hash) {
            (Some(query), None) => Ok(query.as_str().into()),
            (_, Some(_)) if config.automatic_max == 0 => {
                refuse("Persisted queries are switched off here.", "PERSISTED_QUERY_NOT_SUPPORTED")
            }
            (Some(query), Some(hash)) => {
                if sha256(query) != hash {
                    return refuse("\"sha256Hash\" is not the hash of \"query\".", BAD_USER_INPUT);
                }
                let text: Arc<str> = query.as_str().into();
                if text.len() <= self.config.query_bytes_max {
                    let weight = text.len().max(REGISTERED_BYTES / config.automatic_max);
                    self.registered.lock().insert(hash, text.clone(), weight);
                }
                Ok(text)
            }
            (None, Some(hash)) => match self.registered.lock().get(&hash) {
                Some(text) => Ok(text),
                None => refuse("PersistedQueryNotFound", "PERSISTED_QUERY_NOT_FOUND"),
            },
            (None, None) => refuse("The parameter \"query\" is missing.", BAD_USER_INPUT),
        }
    }
}

/// SHA-256 in hex.
pub(crate) fn sha256(text: &str) -> String {
    digest(&SHA256, text.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
