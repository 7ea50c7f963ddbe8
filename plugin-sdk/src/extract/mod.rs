//! What a function can ask of a call.

mod form;
#[cfg(feature = "json")]
mod json;
mod path;
mod query;
mod state;

use std::any::Any;

use bytes::Bytes;
use http::{HeaderMap, Method, Uri};

use crate::call::Call;
use crate::{Body, Context, Failure, Request, Result};

pub use form::Form;
#[cfg(feature = "json")]
pub use json::Json;
pub use path::Path;
pub use query::Query;
pub use state::State;

/// What a function can ask for as an argument.
///
/// | argument | is | a failure is |
/// |---|---|---|
/// | [`Path<T>`](Path) | the parameters of the route's pattern | `bad_request` |
/// | [`Query<T>`](Query) | the query of the address | `bad_request` |
/// | [`Json<T>`](Json) | the body, as JSON | `unsupported_media_type`, `bad_request`, `unprocessable` |
/// | [`Form<T>`](Form) | the body, as a form; of GET and HEAD, the query | the same |
/// | [`Bytes`], `Vec<u8>` | the whole body | what cut it short |
/// | [`String`] | the whole body, as text | `bad_request` when it is not UTF-8 |
/// | [`Body`] | the body, as a stream if the host streams it | never |
/// | [`Request`] | all of it | never |
/// | [`Context`] | request id, trace, caller, deadline … | never |
/// | [`Method`], [`Uri`], [`HeaderMap`] | a copy of that part | never |
/// | [`State<&T>`](State) | what the router was given with `with_state` | `internal` |
/// | [`Option<E>`](Option) | `None` where `E` fails | never |
/// | [`Result<E>`](crate::Result) | `E`, or its failure | never |
///
/// Nothing is parsed that is not asked for. The arguments may be in any order, but only one of them can take
/// the body:
///
/// ```compile_fail
/// # use wharf_sdk as wharf;
/// #[wharf::handler]
/// async fn twice(_text: String, _bytes: wharf::Bytes) -> &'static str {
///     "the body is read once\n"
/// }
/// ```
///
/// # Your own
///
/// ```
/// # use wharf_sdk as wharf;
/// use wharf::{Call, Extract, Failure, OrFail, Result};
///
/// /// The tenant that the request is for.
/// struct Tenant(String);
///
/// impl Extract for Tenant {
///     async fn extract(call: &mut Call) -> Result<Self> {
///         let value = call.headers().get("x-tenant").or_bad_request("say who you are: x-tenant")?;
///         Ok(Tenant(value.to_str().or_bad_request("x-tenant is not text")?.to_owned()))
///     }
/// }
///
/// #[wharf::handler]
/// async fn greet(Tenant(name): Tenant) -> String {
///     format!("hello, {name}\n")
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "a handler cannot take `{Self}`",
    label = "not something that can be taken from a request",
    note = "take a `Request`, `Context`, `Path<T>`, `Query<T>`, `Json<T>`, `Form<T>`, `Bytes`, `String`, `Body`, \
            `HeaderMap`, `Method`, `Uri`, `State<&T>`, an `Option` of one, or implement `wharf::Extract`",
    note = "where `T` is a type of your own, it needs `#[derive(serde::Deserialize)]`"
)]
pub trait Extract: Sized {
    /// Whether something is taken that is there only once. Arguments that take nothing come first, whatever
    /// their order.
    const TAKES: Takes = Takes::Nothing;

    /// The value, or the failure that the host answers with instead of calling the function.
    fn extract(call: &mut Call) -> impl Future<Output = Result<Self>>;

    /// A state that this needs and a router's `states` lack, by the name of its type: found out when the
    /// router is built, so that such a plugin never serves.
    #[doc(hidden)]
    fn missing(states: &[&'static dyn Any]) -> Option<&'static str> {
        let _ = states;
        None
    }
}

/// What an extractor takes away from the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Nothing: it only looks.
    Nothing,
    /// The body.
    Body,
    /// The whole request.
    Request,
    /// The context.
    Context,
}

impl Takes {
    /// Who goes first: those who look at the request, those who take it, those who take the context.
    const fn turn(self) -> u8 {
        match self {
            Takes::Nothing => 0,
            Takes::Body | Takes::Request => 1,
            Takes::Context => 2,
        }
    }

    /// Stops the compiler where two arguments take the same.
    #[doc(hidden)]
    pub const fn check(all: &[Takes]) {
        let mut bodies = 0;
        let mut contexts = 0;
        let mut at = 0;
        while at < all.len() {
            match all[at] {
                Takes::Nothing => {}
                Takes::Body | Takes::Request => bodies += 1,
                Takes::Context => contexts += 1,
            }
            at += 1;
        }
        assert!(
            bodies < 2,
            "only one argument of a handler can take the body: Json, Form, Bytes, String, Body and Request do"
        );
        assert!(contexts < 2, "only one argument of a handler can take the Context");
    }
}

/// Fills a place in its turn.
#[doc(hidden)]
pub async fn fill<T: Extract, const TURN: u8>(place: &mut Option<T>, call: &mut Call) -> Result<()> {
    if T::TAKES.turn() == TURN {
        *place = Some(T::extract(call).await?);
    }
    Ok(())
}

impl Extract for Request {
    const TAKES: Takes = Takes::Request;

    async fn extract(call: &mut Call) -> Result<Self> {
        Ok(call.take_request())
    }
}

impl Extract for Context {
    const TAKES: Takes = Takes::Context;

    async fn extract(call: &mut Call) -> Result<Self> {
        Ok(call.take_context())
    }
}

impl Extract for Body {
    const TAKES: Takes = Takes::Body;

    async fn extract(call: &mut Call) -> Result<Self> {
        Ok(call.take_body())
    }
}

impl Extract for Bytes {
    const TAKES: Takes = Takes::Body;

    async fn extract(call: &mut Call) -> Result<Self> {
        call.take_body().bytes().await
    }
}

impl Extract for Vec<u8> {
    const TAKES: Takes = Takes::Body;

    async fn extract(call: &mut Call) -> Result<Self> {
        Ok(call.take_body().bytes().await?.into())
    }
}

impl Extract for String {
    const TAKES: Takes = Takes::Body;

    async fn extract(call: &mut Call) -> Result<Self> {
        call.take_body().text().await
    }
}

impl Extract for Method {
    async fn extract(call: &mut Call) -> Result<Self> {
        Ok(call.method().clone())
    }
}

impl Extract for Uri {
    async fn extract(call: &mut Call) -> Result<Self> {
        Ok(call.uri().clone())
    }
}

impl Extract for HeaderMap {
    async fn extract(call: &mut Call) -> Result<Self> {
        Ok(call.headers().clone())
    }
}

impl<E: Extract> Extract for Option<E> {
    const TAKES: Takes = E::TAKES;

    async fn extract(call: &mut Call) -> Result<Self> {
        Ok(E::extract(call).await.ok())
    }
}

impl<E: Extract> Extract for Result<E, Failure> {
    const TAKES: Takes = E::TAKES;

    async fn extract(call: &mut Call) -> Result<Self> {
        Ok(E::extract(call).await)
    }
}

/// The media type of a request's body, without its parameters, in lower case.
fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(http::header::CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

/// The body is of another type than the function needs.
fn wrong_type(found: Option<&str>, noun: &str, content_type: &str) -> Failure {
    let found = match found {
        Some(found) => format!("the body is {found}"),
        None => "the body has no content-type".to_owned(),
    };
    Failure::unsupported_media_type(format!(
        "{found}, and {noun} is needed: send it with \"content-type: {content_type}\""
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::block_on;

    fn call() -> Call {
        let request = Request::builder()
            .method("PUT")
            .uri("http://example.com/notes?page=2")
            .header("x-tenant", "ann")
            .body(Body::from("text"))
            .expect("valid");
        Call::new(request, Context::empty())
    }

    fn take<T: Extract>() -> Result<T> {
        block_on(async {
            let mut call = call();
            T::extract(&mut call).await
        })
    }

    #[test]
    fn each_part_of_a_request_can_be_asked_for() {
        assert_eq!(take::<String>().expect("text"), "text");
        assert_eq!(take::<Bytes>().expect("bytes"), "text");
        assert_eq!(take::<Vec<u8>>().expect("bytes"), b"text");
        assert_eq!(take::<Method>().expect("the method"), Method::PUT);
        assert_eq!(take::<Uri>().expect("the URI").query(), Some("page=2"));
        assert_eq!(take::<HeaderMap>().expect("the fields")["x-tenant"], "ann");
        assert_eq!(take::<Request>().expect("all").headers()["x-tenant"], "ann");
        assert!(!take::<Body>().expect("the body").is_empty());
    }

    #[test]
    fn an_option_is_none_where_its_extractor_fails_and_a_result_says_why() {
        struct Never;
        impl Extract for Never {
            async fn extract(_: &mut Call) -> Result<Self> {
                Err(Failure::gone("never"))
            }
        }
        assert!(take::<Option<Never>>().expect("no failure").is_none());
        assert_eq!(take::<Result<Never>>().expect("no failure").err().expect("why").kind(), "gone");
        assert_eq!(take::<Option<String>>().expect("no failure").as_deref(), Some("text"));
    }

    #[test]
    fn those_who_take_something_go_last_whatever_their_place() {
        let (request, headers) = block_on(async {
            let mut call = call();
            let (mut request, mut headers) = (None::<Request>, None::<HeaderMap>);
            fill::<_, 0>(&mut request, &mut call).await?;
            fill::<_, 0>(&mut headers, &mut call).await?;
            assert!(request.is_none());
            fill::<_, 1>(&mut request, &mut call).await?;
            fill::<_, 1>(&mut headers, &mut call).await?;
            Ok::<_, Failure>((request.expect("its turn"), headers.expect("its turn")))
        })
        .expect("nothing fails");
        assert_eq!(request.headers(), &headers);
        assert_eq!(headers.len(), 1);
    }

    #[test]
    #[should_panic(expected = "only one argument of a handler can take the body")]
    fn two_arguments_that_take_the_body_are_refused() {
        Takes::check(&[Takes::Body, Takes::Nothing, Takes::Request]);
    }
}
