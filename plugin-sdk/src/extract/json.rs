use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::{Extract, Takes, media_type, wrong_type};
use crate::call::Call;
use crate::{Failure, IntoResponse, Response, Result};

/// JSON: as an argument, the body of the request; as an answer, the body of the response.
///
/// ```
/// # use wharf_sdk as wharf;
/// use wharf::Json;
///
/// #[derive(serde::Deserialize, serde::Serialize)]
/// struct Point {
///     x: i32,
///     y: i32,
/// }
///
/// #[wharf::handler]
/// async fn mirror(Json(point): Json<Point>) -> Json<Point> {
///     Json(Point { x: point.y, y: point.x })
/// }
/// ```
///
/// A request must say `content-type: application/json` (or another type that ends in `+json`): otherwise it
/// is `unsupported_media_type`. What is not JSON is a `bad_request`, and JSON that does not fit the type is
/// `unprocessable`; both say line and column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned> Extract for Json<T> {
    const TAKES: Takes = Takes::Body;

    async fn extract(call: &mut Call) -> Result<Self> {
        check_type(call.headers())?;
        let body = call.take_body().bytes().await?;
        parse(&body).map(Json)
    }
}

fn check_type(headers: &HeaderMap) -> Result<()> {
    // As nearly everybody sends it.
    if headers.get(CONTENT_TYPE).is_some_and(|value| value == "application/json") {
        return Ok(());
    }
    let found = media_type(headers);
    match found.as_deref() {
        Some("application/json") => Ok(()),
        Some(other) if other.ends_with("+json") => Ok(()),
        other => Err(wrong_type(other, "JSON", "application/json")),
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    if body.is_empty() {
        return Err(Failure::bad_request("the body is empty, and JSON is needed"));
    }
    serde_json::from_slice(body).map_err(|error| match error.classify() {
        Category::Data => Failure::unprocessable(format!("the JSON does not fit: {error}")),
        _ => Failure::bad_request(format!("the body is not JSON: {error}")),
    })
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Result<Response> {
        let body = serde_json::to_vec(&self.0)?;
        let mut response = Response::new(Bytes::from(body).into());
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Deserialize, Serialize)]
    struct Note {
        title: String,
        stars: u8,
    }

    #[test]
    fn each_mistake_in_a_body_has_its_kind_and_its_place() {
        for (body, kind, says) in [
            ("", "bad_request", "the body is empty"),
            ("{\"title\": \"a\",\n  oops}", "bad_request", "line 2 column 3"),
            ("{\"title\": \"a\"", "bad_request", "EOF"),
            ("{\"title\": \"a\"}", "unprocessable", "missing field `stars`"),
            ("{\"title\": \"a\",\n \"stars\": 300}", "unprocessable", "line 2 column"),
        ] {
            let failure = parse::<Note>(body.as_bytes()).expect_err("invalid");
            assert_eq!(failure.kind(), kind, "{body}");
            assert!(failure.message().contains(says), "{body}: {failure}");
        }
        let note = parse::<Note>(b"{\"title\":\"a\",\"stars\":5}").expect("valid");
        assert_eq!(note, Note { title: "a".into(), stars: 5 });
    }

    #[test]
    fn json_is_recognised_by_its_media_type() {
        let typed = |value: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            if let Some(value) = value {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static(value));
            }
            check_type(&headers)
        };
        for good in ["application/json", "Application/JSON; charset=utf-8", "application/vnd.api+json"] {
            typed(Some(good)).expect(good);
        }
        let failure = typed(Some("application/x-www-form-urlencoded")).expect_err("what curl -d sends");
        assert_eq!(failure.kind(), "unsupported_media_type");
        assert!(failure.message().contains("\"content-type: application/json\""), "{failure}");
        assert!(typed(None).expect_err("no type").message().contains("no content-type"));
    }

    #[test]
    fn an_answer_is_typed() {
        let response = Json(Note { title: "a".into(), stars: 5 }).into_response().expect("it serialises");
        assert_eq!(response.headers()["content-type"], "application/json");
    }
}
