//! Answers with the value of the key `greeting` in the bucket `notes`; without a grant it must not load.

use wharf::{OrFail, Result};

wit_bindgen::generate!({ path: "wit", generate_all });

use wasi::keyvalue::store;

#[wharf::handler]
async fn greeting() -> Result<Vec<u8>> {
    let bucket = store::open("notes")?;
    bucket.get("greeting")?.or_not_found("no greeting")
}
