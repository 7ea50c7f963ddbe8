use wharf_sdk::http::HeaderMap;
use wharf_sdk::socket::{Message, Stream};
use wharf_sdk::{Path, Query, Result};

#[wharf_sdk::socket]
async fn open(
    Path(_room): Path<String>,
    incoming: impl Stream<Item = Message> + 'static,
    Query(_options): Query<std::collections::BTreeMap<String, String>>,
    _headers: HeaderMap,
) -> Result<impl Stream<Item = Message>> {
    Ok(incoming)
}
