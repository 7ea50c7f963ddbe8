use http::Method;
use serde::de::DeserializeOwned;

use super::{Extract, Takes, media_type, query, wrong_type};
use crate::call::Call;
use crate::{Failure, OrFail, Result, text};

const FORM: &str = "application/x-www-form-urlencoded";

/// A form, as a structure: the body of a request with `application/x-www-form-urlencoded`, or the query of
/// a GET or HEAD. What is said of [`Query`](crate::Query)'s fields holds here too.
///
/// ```
/// # use wharf_sdk as wharf;
/// use wharf::{Form, Redirect};
///
/// #[derive(serde::Deserialize)]
/// struct Comment {
///     author: Option<String>,
///     text: String,
/// }
///
/// #[wharf::handler]
/// async fn comment(Form(comment): Form<Comment>) -> Redirect {
///     println!("{} wrote {} characters", comment.author.as_deref().unwrap_or("somebody"), comment.text.len());
///     Redirect::see_other("/comments")
/// }
/// ```
///
/// Another type of body is `unsupported_media_type`; a field that does not parse is `unprocessable`, named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form<T>(pub T);

impl<T: DeserializeOwned> Extract for Form<T> {
    const TAKES: Takes = Takes::Body;

    async fn extract(call: &mut Call) -> Result<Self> {
        if matches!(*call.method(), Method::GET | Method::HEAD) {
            return query::read(call).map(Form);
        }
        let found = media_type(call.headers());
        if found.as_deref() != Some(FORM) {
            return Err(wrong_type(found.as_deref(), "a form", FORM));
        }
        let body = call.take_body().bytes().await?;
        let body = std::str::from_utf8(&body).or_bad_request("the form is not UTF-8")?;
        T::deserialize(text::url_encoded(body))
            .map(Form)
            .map_err(|error| Failure::unprocessable(format!("the form's {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::block_on;
    use crate::{Context, Request};
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Comment {
        text: String,
    }

    fn form(method: &str, uri: &str, content_type: &str, body: &'static str) -> Result<Comment> {
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .header("content-type", content_type)
            .body(body.into())
            .expect("valid");
        block_on(async { Form::extract(&mut Call::new(request, Context::empty())).await })
            .map(|Form(form)| form)
    }

    #[test]
    fn a_form_is_the_body_of_a_post_and_the_query_of_a_get() {
        let hello = Comment { text: "hello you".into() };
        assert_eq!(form("POST", "/", FORM, "text=hello+you").expect("valid"), hello);
        assert_eq!(
            form("POST", "/", &format!("{FORM}; charset=UTF-8"), "text=hello%20you").expect("valid"),
            hello
        );
        assert_eq!(form("GET", "/?text=hello+you", "", "").expect("valid"), hello);
    }

    #[test]
    fn what_is_no_form_is_refused_with_what_to_send() {
        let failure = form("POST", "/", "application/json", "{}").expect_err("JSON");
        assert_eq!(failure.kind(), "unsupported_media_type");
        assert_eq!(
            failure.message(),
            "the body is application/json, and a form is needed: send it with \
             \"content-type: application/x-www-form-urlencoded\""
        );
        let failure = form("POST", "/", FORM, "other=1").expect_err("no text");
        assert_eq!((failure.kind(), failure.message()), ("unprocessable", "the form's \"text\" is missing"));
    }
}
