//! Reads its configuration: `/get/KEY` answers with one value, `/all` with a line `key=value` for each.

use wharf::{Failure, OrFail, Request, Result};

wit_bindgen::generate!({ path: "wit", generate_all });

use wasi::config::store;

#[wharf::handler]
async fn config(request: Request) -> Result<String> {
    match request.uri().path().split('/').collect::<Vec<_>>()[..] {
        ["", "get", key] => {
            let value = store::get(key)?.or_not_found("no such key")?;
            Ok(format!("{value}\n"))
        }
        ["", "all"] => {
            let mut pairs = store::get_all()?;
            pairs.sort();
            Ok(pairs.iter().map(|(key, value)| format!("{key}={value}\n")).collect())
        }
        _ => Err(Failure::not_found("try /get/KEY or /all")),
    }
}
