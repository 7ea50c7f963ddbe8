use serde::de::DeserializeOwned;

use super::Extract;
use crate::call::Call;
use crate::{Failure, Result, text};

/// The query of the address, as a structure: `?q=wharf&page=2`.
///
/// Fields that need not be there are `Option`s or have `#[serde(default)]`. A field that is a list takes a
/// key that occurs several times. An empty value of an `Option` is `None`.
///
/// ```
/// # use wharf_sdk as wharf;
/// use wharf::Query;
///
/// #[derive(serde::Deserialize)]
/// struct Search {
///     q: String,
///     page: Option<u32>,
///     #[serde(default)]
///     tag: Vec<String>,
/// }
///
/// #[wharf::handler]
/// async fn search(Query(search): Query<Search>) -> String {
///     format!("page {} of {}, {} tags\n", search.page.unwrap_or(1), search.q, search.tag.len())
/// }
/// ```
///
/// What does not parse is a `bad_request` that names the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned> Extract for Query<T> {
    async fn extract(call: &mut Call) -> Result<Self> {
        read(call).map(Query)
    }
}

pub(super) fn read<T: DeserializeOwned>(call: &Call) -> Result<T> {
    T::deserialize(text::url_encoded(call.uri().query().unwrap_or_default()))
        .map_err(|error| Failure::bad_request(format!("the query's {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Context, Request};
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Page {
        page: u32,
    }

    fn query(uri: &str) -> Result<Page> {
        let request = Request::builder().uri(uri).body(().into()).expect("valid");
        read(&Call::new(request, Context::empty()))
    }

    #[test]
    fn a_query_is_read_or_refused_by_its_key() {
        assert_eq!(query("/?page=2").expect("valid"), Page { page: 2 });
        let failure = query("/").expect_err("no query");
        assert_eq!((failure.kind(), failure.message()), ("bad_request", "the query's \"page\" is missing"));
        let failure = query("/?page=two").expect_err("no number");
        assert_eq!(failure.message(), "the query's \"page\": \"two\" is not a whole number");
    }
}
