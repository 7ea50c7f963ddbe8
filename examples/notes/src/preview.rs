//! The title of what a note links to: a call of the plugin's own.
//!
//! Where it may call is the operator's decision: `grants.http` in `wharf.toml` lists the origins. Anything
//! else is refused by the host, whatever a client asks for.

use std::time::Duration;

use wharf::{OrFail, Result, client};

use crate::Link;

/// How much of a page is looked at.
const PAGE_BYTES_MAX: usize = 64 << 10;

/// Looks the link up, if there is one.
pub async fn of(url: Option<String>) -> Result<Option<Link>> {
    let Some(url) = url else { return Ok(None) };
    let page = client::get(&url)
        .timeout(Duration::from_secs(2))
        .send()
        .await
        .or_fail("unprocessable", "the link cannot be looked up")?;
    let page = page.error_for_status().or_fail("unprocessable", "the link leads nowhere")?;
    let text = page.text().await?;
    let title = title(&text[..text.floor_char_boundary(PAGE_BYTES_MAX)]).unwrap_or(&url).to_owned();
    Ok(Some(Link { title, url }))
}

/// What stands between `<title>` and `</title>`.
fn title(page: &str) -> Option<&str> {
    let (_, rest) = page.split_once("<title>")?;
    let (title, _) = rest.split_once("</title>")?;
    Some(title.trim())
}

#[cfg(test)]
mod tests {
    use super::title;

    #[test]
    fn a_title_is_found_or_not() {
        assert_eq!(title("<html><title> My notes\n</title>"), Some("My notes"));
        assert_eq!(title("<title>cut off"), None);
        assert_eq!(title("no page at all"), None);
    }
}
