//! The answer of the `version-*` guests, made so that a mixture of two versions would show.

use wharf::{Body, Response, Result};

/// `x-version: WORD` and five chunks `WORD\n`, streamed.
pub fn answer(word: &'static str) -> Result<Response> {
    let body = Body::stream(move |mut writer| async move {
        for _ in 0..5 {
            writer.write(format!("{word}\n")).await?;
        }
        Ok(())
    });
    Ok(Response::builder().header("x-version", word).body(body)?)
}
